import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, canonicalJsonBytes } from './canonical-json.ts';
import { parseJsonObjectStrict, parseJsonStrict } from './json.ts';

const jsonText = fc.json({ maxDepth: 5, noUnicodeString: false }).filter((text) => text.isWellFormed());

test('what JSON.parse reads without duplicates, the strict parser reads the same', () => {
  fc.assert(
    fc.property(jsonText, (text) => {
      const value: unknown = JSON.parse(text);
      const isIJson = JSON.stringify(value) === JSON.stringify(parseOrUndefined(text));
      // fast-check may write lone surrogates as escapes: those are refused.
      assert.ok(isIJson || /\\ud[89a-f]/iu.test(text));
    }),
  );
});

test('a key written twice is refused wherever it stands, however it is spelled', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), fc.nat(4), fc.json(), (key, depth, other) => {
      const escaped = `"${Array.from(Buffer.from(key, 'utf16le').swap16().toString('hex').match(/.{4}/gu) ?? [])
        .map((unit) => `\\u${unit}`)
        .join('')}"`;
      const object = `{${JSON.stringify(key)}: ":{\\"", "x${key}": ${other}, ${escaped}: 1}`;
      const text = '['.repeat(depth) + object + ']'.repeat(depth);
      assert.throws(() => parseJsonStrict(text), { code: 'crypto.invalid_json' });
    }),
  );
});

test('depth and size are bounded, and the bound is exact', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  assert.ok(parseJsonStrict(nested(5), { maxDepth: 5 }));
  assert.throws(() => parseJsonStrict(nested(6), { maxDepth: 5 }), /deeper than 5/u);
  assert.throws(() => parseJsonStrict(nested(400_000)), { code: 'crypto.invalid_json' });
  assert.equal(parseJsonStrict('"é"', { maxBytes: 4 }), 'é');
  assert.throws(() => parseJsonStrict('"é"', { maxBytes: 3 }), { code: 'crypto.too_large' });
  assert.throws(() => parseJsonStrict(Buffer.from('"é"'), { maxBytes: 3 }), { code: 'crypto.too_large' });
});

test('bytes that are not UTF-8, and values that are not objects where one is due, are refused', () => {
  assert.throws(() => parseJsonStrict(Uint8Array.of(0x22, 0xc3, 0x22)), { code: 'crypto.invalid_json' });
  assert.throws(() => parseJsonStrict(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31)), { code: 'crypto.invalid_json' });
  for (const text of ['[]', 'null', '"{}"', '1']) {
    assert.throws(() => parseJsonObjectStrict(text), { code: 'crypto.invalid_json' }, text);
  }
});

test('no error repeats the text: it may be a secret', () => {
  assert.throws(
    () => parseJsonStrict('{"password":"hunter2" oops'),
    (error: Error) => !String(error.stack).includes('hunter2') && error.cause === undefined,
  );
});

test('the canonical form does not depend on the order of keys, and is its own canonical form', () => {
  fc.assert(
    fc.property(jsonText, (text) => {
      const value = parseOrUndefined(text);
      fc.pre(value !== undefined);
      const canonical = canonicalJson(value);
      assert.equal(canonicalJson(parseJsonStrict(canonical)), canonical);
      assert.equal(canonicalJson(reversed(value)), canonical);
      assert.deepEqual(Buffer.from(canonicalJsonBytes(value)).toString(), canonical);
    }),
  );
});

test('values without a JSON form are refused with their path', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const scalars = [undefined, 1n, Number.NaN, Infinity, Symbol('s'), () => 1, '\ud800'];
  const objects = [new Date(0), new Map(), Object.create({ inherited: 1 }), { [Symbol('s')]: 1 }, cyclic];
  const members = [{ '\udfff': 1 }, { a: undefined }, Array.from({ length: 2 }), Array(2)];
  const refused: readonly unknown[] = [...scalars, ...objects, ...members];
  for (const value of refused) assert.throws(() => canonicalJson(value), { code: 'crypto.not_canonicalizable' });
  assert.throws(() => canonicalJson({ a: [1, { b: Number.NaN }] }), { field: '$.a[1].b' });
});

function parseOrUndefined(text: string): unknown {
  try {
    return parseJsonStrict(text);
  } catch {
    return undefined;
  }
}

/** The same value with the members of every object in reverse order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, reversed(member)]),
  );
}
