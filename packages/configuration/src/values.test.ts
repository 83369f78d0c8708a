import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import fc from 'fast-check';
import { ConfigurationError, diffConfigurations, isVisibleSecret, limits, parseWritten } from './index.ts';

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>;
const key = fc.string({ minLength: 1, maxLength: 12, unit: 'binary' });
const problemsOf = (configuration: JsonObject) => {
  try {
    parseWritten(configuration);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
};
const objectOf = (entries: [string, JsonValue][]) => Object.fromEntries(entries) as JsonObject;

/** Member names anywhere below. */
function namesBelow(value: JsonValue): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => namesBelow(one as JsonValue));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => [name, ...namesBelow(one as JsonValue)]);
}

describe('parseWritten', () => {
  it('takes markers at the first level for what they are', () => {
    const fingerprint = 'AbCdEfGh01234_-9';
    const written = parseWritten({
      A: 1,
      B: { $secret: { user: 'x' } },
      C: { $secret: { fingerprint } },
      D: { $secret: { fingerprint: 'too short' } },
      E: { $key: 'pop' },
      F: { $key: { keyring: 'pop', format: 'jwks' } },
      G: { $client: 'secret' },
    });
    assert.deepEqual(Object.fromEntries(written), {
      A: { kind: 'plain', value: 1 },
      B: { kind: 'secret', value: { user: 'x' } },
      C: { kind: 'keep', fingerprint },
      D: { kind: 'secret', value: { fingerprint: 'too short' } },
      E: { kind: 'key', reference: { keyring: 'pop', format: 'pem' } },
      F: { kind: 'key', reference: { keyring: 'pop', format: 'jwks' } },
      G: { kind: 'client', what: 'secret' },
    });
  });

  it('keeps every value as it is, or refuses by its path; never shows a value', () => {
    fc.assert(
      fc.property(fc.dictionary(key, json, { maxKeys: 8 }), (configuration) => {
        const given = objectOf(Object.entries(configuration));
        const problems = problemsOf(given);
        if (problems.length > 0) return;
        for (const [name, value] of parseWritten(given)) {
          assert.equal(name.startsWith('$') || name === '__proto__', false);
          if (value.kind === 'plain') assert.equal(canonicalJson(value.value), canonicalJson(given[name] as JsonValue));
          if (value.kind === 'plain' || value.kind === 'secret') {
            assert.equal(
              namesBelow(value.value).some((one) => one.startsWith('$')),
              false,
              'no marker below',
            );
          }
        }
      }),
    );
  });

  it('a marker below the first level is always found', () => {
    const marker = fc.constantFrom('$secret', '$key', '$client', '$other');
    fc.assert(
      fc.property(
        json,
        marker,
        fc.array(fc.constantFrom('list', 'object'), { minLength: 1, maxLength: 6 }),
        (value, name, way) => {
          let inside: JsonValue = { [name]: 'canary-value', beside: value };
          for (const step of way) inside = step === 'list' ? [value, inside] : { a: inside };
          for (const given of [inside, { $secret: inside } as JsonValue]) {
            const problems = problemsOf({ KEY: given });
            assert.ok(problems.length > 0, canonicalJson(given));
            assert.equal(JSON.stringify(problems).includes('canary-value'), false);
          }
        },
      ),
    );
  });

  it('what is wrong is refused, all of it', () => {
    const cases: [JsonObject, RegExp][] = [
      [{ '': 1 }, /is empty/],
      [{ ['k'.repeat(limits.keyCharacters + 1)]: 1 }, /longer than 256/],
      [{ 'a\nb': 1 }, /control characters/],
      [{ $a: 1 }, /begins with \$/],
      [JSON.parse('{"__proto__": 1}') as JsonObject, /keeps for itself/],
      [{ A: 'x\u0000' }, /U\+0000/],
      [{ A: { $secret: ['x\u0000'] } }, /U\+0000/],
      [{ A: { $secret: 1, b: 2 } }, /other members/],
      [{ A: { $vault: 1 } }, /not known/],
      [{ A: { $key: 'Upper' } }, /not understood/],
      [{ A: { $client: 'key' } }, /not known/],
      [{ A: 'x'.repeat(limits.bytes) }, /bytes of JSON/],
      [Object.fromEntries(Array.from({ length: limits.keys + 1 }, (_, index) => [`K${index}`, 1])), /2001 keys/],
    ];
    for (const [configuration, expected] of cases) {
      assert.match(problemsOf(configuration)[0]?.rule ?? '', expected);
    }
    assert.equal(problemsOf({ '': 1, $a: 1, B: { $vault: 1 } }).length, 3);
  });
});

describe('diffConfigurations', () => {
  const configuration = fc
    .dictionary(fc.constantFrom('A', 'B', 'C', 'constructor', 'toString'), json)
    .map((one) => ({ ...one }));

  it('applied to the one gives the other', () => {
    fc.assert(
      fc.property(configuration, configuration, (from, to) => {
        const { created, changed, deleted } = diffConfigurations(from, to);
        const made = new Map<string, JsonValue>(Object.entries(from));
        for (const name of Object.keys(deleted)) assert.ok(made.delete(name));
        for (const [name, change] of Object.entries(changed)) {
          assert.equal(canonicalJson(change.from), canonicalJson(made.get(name) as JsonValue));
          made.set(name, change.to);
        }
        for (const [name, value] of Object.entries(created)) {
          assert.equal(made.has(name), false);
          made.set(name, value);
        }
        assert.equal(canonicalJson(Object.fromEntries(made)), canonicalJson(to));
      }),
    );
  });

  it('of equals is empty, and turned round it is turned round', () => {
    fc.assert(
      fc.property(configuration, configuration, (from, to) => {
        assert.deepEqual(diffConfigurations(from, { ...from }), { created: {}, changed: {}, deleted: {} });
        const there = diffConfigurations(from, to);
        const back = diffConfigurations(to, from);
        assert.deepEqual(there.created, back.deleted);
        assert.deepEqual(new Set(Object.keys(there.changed)), new Set(Object.keys(back.changed)));
      }),
    );
  });

  it('secrets are told apart by fingerprint alone', () => {
    const secret = (fingerprint: string) => ({ $secret: { fingerprint } });
    assert.equal(isVisibleSecret(secret('A'.repeat(16))), true);
    assert.deepEqual(diffConfigurations({ A: secret('A'.repeat(16)) }, { A: secret('A'.repeat(16)) }).changed, {});
    assert.equal(
      Object.keys(diffConfigurations({ A: secret('A'.repeat(16)) }, { A: secret('B'.repeat(16)) }).changed).length,
      1,
    );
  });
});
