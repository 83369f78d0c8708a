import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEnv } from 'node:util';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import fc from 'fast-check';
import { ConfigurationError } from '../errors.ts';
import {
  type ConfigurationFormat,
  configurationFormats,
  formatConfiguration,
  formatOfFile,
  parseConfiguration,
} from './index.ts';

/** Texts that have gone wrong in some reader or other. */
const hardTexts = [
  '', ' ', ' x', 'x ', '0123', '1e3', 'true', 'null', '~', 'yes', 'no', '12:30:45', '2020-01-01', '0x1F', '.inf', '=', 'a=b',
  '#', 'a#b', 'a #b', '"', "'", '`', `"'\``, `a"'\`b`, `"'\`#`, '\\', 'x\\', 'a\\nb', 'a\nb', '\n', 'a\r\nb', '\t', 'a\tb',
  '$HOME', '${HOME}', '\u00a0x', 'é✓🎷', '\u2028', '\u0085', '\ufeff', '\u0001', '\u007f', '- a', '? a', 'a: b', '!x', '&x',
  '*x', '|', '>', '%x', '@x', '{}', '[]', '{{x}}', '# gatehouse: json', '-----BEGIN X-----\nMIIB\n-----END X-----\n', '<<',
  '\\u0041', '\\', '\\\\', "it's", 'line one\n  indented\n\nafter\n\n', ' leading\nand more', 'trailing \nspace ', '\\r', "'\\",
] as const; // biome-ignore format: one list

/** One of these characters. */
const oneOf = (characters: string) => fc.constantFrom(...characters.split(''));

const text = fc.oneof(
  fc.constantFrom(...hardTexts),
  fc.string({ unit: 'binary', maxLength: 30 }).filter((value) => value.isWellFormed() && !value.includes('\u0000')),
  fc.string({ unit: oneOf('ab "\'`\\#=:$\n\r\t{}!n'), maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const number = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ noDefaultInfinity: true, noNaN: true }).map((value) => {
    const rounded = Number.isInteger(value) && !Number.isSafeInteger(value) ? 0.5 : value;
    return rounded === 0 ? 0 : rounded;
  }),
);
const innerKey = text.filter((name) => !name.startsWith('$') && name !== '__proto__');
const { json } = fc.letrec<{ json: JsonValue; leaf: JsonValue }>((tie) => ({
  leaf: fc.oneof(text, number, fc.boolean(), fc.constant(null)),
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(innerKey, tie('json'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const fingerprint = fc
  .string({ unit: oneOf('abcXYZ019_-'), minLength: 16, maxLength: 16 })
  .map((value) => ({ $secret: { fingerprint: value } }));
const value = fc.oneof(
  { arbitrary: json, weight: 6 },
  fingerprint,
  json.map((secret) => ({ $secret: secret })),
  fc.constant({ $key: 'tokens-es256' }),
  fc.constant({ $key: { keyring: 'pop', format: 'jwks' } }),
  fc.constant({ $client: 'secret' }),
) as fc.Arbitrary<JsonValue>;
const key = fc
  .oneof(
    fc.constantFrom(
      'DB_HOST',
      'a.b',
      'x-y',
      '8080',
      'with space',
      'a=b',
      'a:b',
      '#x',
      '!x',
      'é',
      'true',
      'null',
      '<<',
      '"q"',
      'export',
      '-',
      '\\',
    ),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  )
  .filter(
    // oxlint-disable-next-line no-control-regex -- the rule of the model
    (name) => name !== '' && !name.startsWith('$') && name !== '__proto__' && !/[\u0000-\u001f\u007f]/.test(name),
  );
const configuration = fc.dictionary(key, value, { maxKeys: 6, noNullPrototype: true }) as fc.Arbitrary<JsonObject>;

for (const format of configurationFormats) {
  test(`${format}: what is written reads as it was`, () => {
    fc.assert(
      fc.property(configuration, (written) => {
        const { text: file } = formatConfiguration(format, written);
        assert.equal(canonicalJson(parseConfiguration(format, file).configuration), canonicalJson(written));
      }),
      { numRuns: 400 },
    );
  });

  test(`${format}: every hard text reads as it was, plain and secret`, () => {
    const plain = Object.fromEntries(hardTexts.map((hard, index) => [`K${index}`, hard]));
    const secret = Object.fromEntries(hardTexts.map((hard, index) => [`S${index}`, { $secret: hard }]));
    const file = formatConfiguration(format, { ...plain, ...secret }).text;
    assert.deepEqual(parseConfiguration(format, file).configuration, { ...plain, ...secret });
  });

  test(`${format}: no text makes the reader fail otherwise than with named problems, and none quotes a value`, () => {
    const lines = fc.array(fc.oneof(text, fc.constantFrom('A=1', 'A: 1', '{"A":1}', '# gatehouse: json', 'A="b')), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(lines, (parts) => {
        try {
          parseConfiguration(format, parts.join('\n'));
        } catch (error) {
          assert.ok(error instanceof ConfigurationError, String(error));
          for (const { rule } of error.problems) assert.ok(rule !== '');
        }
      }),
      { numRuns: 300 },
    );
  });
}

test('.env: Node reads what we write as the texts that a process would get', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,6}$/), text, { maxKeys: 6 }), (texts) => {
      const { text: file, hidden } = formatConfiguration('env', texts);
      const seen = Object.entries(texts).filter(([name]) => !hidden.includes(name));
      assert.deepEqual({ ...parseEnv(file) }, Object.fromEntries(seen));
    }),
    { numRuns: 400 },
  );
});

test('.env: what we accept, Node reads the same', () => {
  const piece = fc.string({ unit: oneOf('ab "\'`\\#=:$\nn\tK1'), maxLength: 14 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 3 }), (pieces) => {
      const file = pieces.map((part, index) => `K${index}=${part}\n`).join('');
      let accepted: JsonObject;
      try {
        accepted = parseConfiguration('env', file).configuration;
      } catch {
        return;
      }
      assert.deepEqual({ ...parseEnv(file) }, accepted);
    }),
    { numRuns: 2000 },
  );
});

const cases: readonly [ConfigurationFormat, string, JsonObject][] = [
  ['env', '# c\nexport A = 1 # c\nB="x\\ny"\n\nC=\'a\n"b"\'\nD=`it\'s`\nE=\nF=a=b', { A: '1', B: 'x\ny', C: 'a\n"b"', D: "it's", E: '', F: 'a=b' }],
  ['env', '# gatehouse: json\nA=8080\n# gatehouse: secret\nB=pw\n# gatehouse: secret json\nC=[1]\n', { A: 8080, B: { $secret: 'pw' }, C: { $secret: [1] } }],
  ['env', '# gatehouse: {"A":{"$client":"secret"},"B":null}', { A: { $client: 'secret' }, B: null }],
  ['env', '', {}],
  ['properties', '# c\n! c\na.b = c\nd:e\nf g h\ni\\ j\\=k=l\\\n   m\nn=\\u00e9\\t\\\\\no=é\n\nq=', { 'a.b': 'c', d: 'e', f: 'g h', 'i j=k': 'lm', n: 'é\t\\', o: 'é', q: '' }],
  ['properties', '! gatehouse: json\na=true', { a: true }],
  ['yaml', 'A: 0.5\nB: "0123"\nC: &x [1, 2]\nD: *x\nE:\n  $secret: pw\n', { A: 0.5, B: '0123', C: [1, 2], D: [1, 2], E: { $secret: 'pw' } }],
  ['yaml', '{}', {}],
  ['json', '\ufeff{"A": {"b": [1, "x"]}}', { A: { b: [1, 'x'] } }],
]; // biome-ignore format: a row a case

for (const [format, file, expected] of cases) {
  test(`${format} reads ${JSON.stringify(file)}`, () => {
    assert.deepEqual(parseConfiguration(format, file).configuration, expected);
  });
}

const refusals: readonly [ConfigurationFormat, string, number, RegExp][] = [
  ['env', 'A=1\nA=2', 2, /^A is set in line 1 already/],
  ['env', 'A=1\n\nnonsense', 3, /is not KEY=value/],
  ['env', '# c\nA="x\ny', 2, /^A has a " that is never closed/],
  ['env', 'A="x\ny"\nB="x" y', 3, /^B has text after its closing quote/],
  ['env', 'A=pass#word', 1, /^A has # in a value without quotes/],
  ['env', 'A="a \\"b\\" c"', 1, /^A has \\ before "/],
  ['env', 'A="a\\rb"', 1, /^A has \\r/],
  ['env', 'A: 1', 1, /is not KEY=value/],
  ['env', '# gatehouse: json\nA=x', 2, /^A is not JSON/],
  ['env', 'A=1\n# gatehouse: json', 2, /is about an assignment, and none follows/],
  ['env', '# gatehouse: whatever', 1, /not understood/],
  ['env', 'B=1\n# gatehouse: {"A":{"$sekret":1}}', 2, /^A has the marker \$sekret/],
  ['properties', 'a=1\n\na=2', 3, /^a is set in line 1 already/],
  ['properties', 'a=1\nb=\\u00g1', 2, /^b has \\u without four/],
  ['properties', 'b=\\ud83c', 1, /half of a surrogate/],
  ['json', '{"A":1,\n"A":2}', 2, /^A is set in line 1 already/],
  ['json', '{"A":{"b":1,\n"b":2}}', 2, /^A\.b is set in line 1 already/],
  ['json', '{"A":1,\n}', 2, /a key in double quotes is due/],
  ['json', '{"A":12345678901234567890}', 1, /^A is a whole number/],
  ['json', '{"A":"\\ud800"}', 1, /^A has half of a surrogate/],
  ['json', '[1]', 1, /is not an object/],
  ['json', '{"A":1} x', 1, /goes on after its end/],
  ['json', '', 1, /is empty/],
  ['json', `{"A":${'['.repeat(40)}${']'.repeat(40)}}`, 1, /deeper than 32/],
  ['yaml', 'A: 1\nB: 2\nA: 3', 3, /^A is set in line 1 already/],
  ['yaml', 'A: {b: 1,\n b: 2}', 2, /^b is set in line 1 already/],
  ['yaml', '? A\n: 1', 1, /written with \?/],
  ['yaml', `A: ${'['.repeat(2000)}`, 1, /deeper than 32/],
  ['yaml', 'A: 0123', 1, /^A is a number that would lose its spelling/],
  ['yaml', 'A: [0x1F]', 1, /^A is a number that would lose its spelling/],
  ['yaml', 'A: .inf', 1, /^A is a number that would lose its spelling/],
  ['yaml', 'A: 12345678901234567890', 1, /^A is a number that readers would round/],
  ['yaml', '8080: x', 1, /^8080 is a key that YAML takes for a number/],
  ['yaml', 'A: &a {b: 1}\nC:\n  <<: *a', 3, /merges mappings/],
  ['yaml', 'A: !!js/function x', 1, /not YAML as we accept it/],
  ['yaml', 'A: 1\n---\nB: 2', 2, /not YAML as we accept it/],
  ['yaml', '- a', 1, /is not a mapping/],
  ['yaml', '# nothing', 1, /is empty/],
  ['yaml', `A: ${'['.repeat(40)}${']'.repeat(40)}`, 1, /deeper than 32/],
  ['yaml', 'A: {b: {$secret: x}}', 1, /^A\.b\.\$secret is a marker inside a value/],
]; // biome-ignore format: a row a case

for (const [format, file, line, rule] of refusals) {
  test(`${format} refuses ${JSON.stringify(file).slice(0, 60)} with its line`, () => {
    assert.throws(
      () => parseConfiguration(format, file),
      (error: unknown) => {
        assert.ok(error instanceof ConfigurationError);
        const [first] = error.problems;
        assert.equal(first?.line, line, JSON.stringify(first));
        assert.match(`${first.field} ${first.rule}`.trim(), rule);
        assert.ok(first.fix !== undefined);
        return true;
      },
    );
  });
}

test('texts that make the parser of YAML slow are refused', () => {
  assert.throws(() => parseConfiguration('yaml', '? '.repeat(2000)), /written with \?/);
  assert.throws(() => parseConfiguration('yaml', `A: ${'[? '.repeat(600)}`), /written with \?/);
  const many = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n');
  assert.throws(() => parseConfiguration('yaml', many), /at most 2000 are accepted/);
  const text = `${'? '.repeat(200)}\n${'[{'.repeat(2000)}\n? x\n`;
  assert.deepEqual(parseConfiguration('yaml', formatConfiguration('yaml', { A: text }).text).configuration, {
    A: text,
  });
});

test('long runs of one character are read or refused', () => {
  const long = (character: string) => character.repeat(20_000);
  for (const format of configurationFormats) {
    for (const character of [' ', '\t', '\\', '"', "'", '`', '#', '$', ':', '=', '-', '\n', '\r', '{', '0', 'a']) {
      for (const text of [
        `A=${long(character)}x`,
        `# gatehouse: x${long(character)}y`,
        `${long(character)}A: "x"`,
        `A: ${long(character)}x`,
      ]) {
        try {
          parseConfiguration(format, text);
        } catch (error) {
          assert.ok(error instanceof ConfigurationError);
        }
      }
    }
  }
});

test('a YAML bomb is refused before it fills the memory', () => {
  const levels = Array.from({ length: 20 }, (_, n) => `k${n}: &a${n} [${n === 0 ? 'x' : `*a${n - 1}, *a${n - 1}`}]`);
  assert.throws(() => parseConfiguration('yaml', levels.join('\n')), /repeats too much by aliases/);
});

test('a text larger than the bound is refused', () => {
  assert.throws(() => parseConfiguration('env', `A=${'x'.repeat(5_000_000)}`), /is larger than 4 MiB/);
});

test('what a writer may have meant otherwise is warned of, without the value', () => {
  const warned = (format: ConfigurationFormat, file: string) =>
    parseConfiguration(format, file).warnings.map(({ line, key, text: said }) => `${line} ${key} ${said}`);
  assert.match(warned('yaml', 'A: 1\nV: 1.10')[0] ?? '', /^2 V is a number and loses zeros/);
  assert.match(warned('yaml', 'A: yes')[0] ?? '', /^1 A is a text in YAML 1\.2/);
  assert.match(warned('env', 'U=http://${HOST}/')[0] ?? '', /^1 U has \$NAME or \$\{NAME\}/);
  assert.match(warned('properties', 'P=C:\\Dir')[0] ?? '', /^1 P has \\ before a letter/);
  assert.match(warned('properties', 'P')[0] ?? '', /^1 P has no =/);
  assert.deepEqual(warned('env', "U='http://${HOST}/'"), []);
});

test('a problem with a value names the key, never the value', () => {
  const canary = 'hunter2-canary';
  const texts: readonly [ConfigurationFormat, string][] = [
    ['env', `A="${canary}`],
    ['env', `A=${canary}#x`],
    ['env', `# gatehouse: json\nA=${canary}`],
    ['json', `{"A":"${canary}`],
    ['json', `{"A":${canary}}`],
    ['yaml', `A: "${canary}`],
    ['yaml', `A: *${canary}`],
    ['yaml', `A: !${canary} x`],
    ['yaml', `A: {b: "${canary}", b: 2}`],
    ['properties', `A=${canary}\\uzzzz`],
  ];
  for (const [format, file] of texts) {
    assert.throws(
      () => parseConfiguration(format, file),
      (error: unknown) => {
        assert.ok(error instanceof ConfigurationError);
        assert.ok(!JSON.stringify([error.message, error.problems]).includes(canary), JSON.stringify(error.problems));
        return true;
      },
    );
  }
});

test('the format is known by the name of the file', () => {
  const names = ['.env', 'x/.env.production', 'app.env', 'a.json', 'a.YAML', 'a.yml', 'a.properties', 'a.toml', 'env'];
  assert.deepEqual(names.map(formatOfFile), [
    'env',
    'env',
    'env',
    'json',
    'yaml',
    'yaml',
    'properties',
    undefined,
    undefined,
  ]);
});
