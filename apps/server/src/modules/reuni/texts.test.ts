import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Version } from '../configuration/index.ts';
import { configurationOf, differenceOf, hasSecrets, textsOf } from './texts.ts';

const secret = { $secret: { id: 'val_1', fingerprint: 'AAAAAAAAAAAAAAAA' } };
const masked = '{"$secret":{"fingerprint":"AAAAAAAAAAAAAAAA"}}';
const version = (own: object, effective: object = own) => ({ own, effective }) as unknown as Version;

test('everything is shown as text, and a secret by its fingerprint only', () => {
  const shown = textsOf(version({ A: 'a', B: 5, C: true, D: null, E: { x: [1] }, F: secret }));
  assert.deepEqual(shown, { A: 'a', B: '5', C: 'true', D: 'null', E: '{"x":[1]}', F: masked });
  assert.equal(hasSecrets(version({ F: secret })), true);
  assert.equal(hasSecrets(version({ F: masked })), false);
});

test('what comes back unchanged keeps its type, its secret, its reference and its origin', () => {
  const own = { A: 'a', B: 5, F: secret, K: { $key: { keyring: 'tokens-es256', format: 'pem' } } };
  const base = version(own, { ...own, K: '-----BEGIN', I: 'inherited', J: 7 });
  const same = new Map(Object.entries(textsOf(base)));
  assert.deepEqual(configurationOf(same, base), {
    A: 'a',
    B: 5,
    F: { $secret: { fingerprint: 'AAAAAAAAAAAAAAAA' } },
    K: { $key: { keyring: 'tokens-es256', format: 'pem' } },
  });
  const edited = new Map([...same, ['A', 'b'], ['I', 'own now'], ['N', masked], ['B', '6']]);
  const written = configurationOf(edited, base);
  assert.deepEqual([written['A'], written['I'], written['B'], written['J']], ['b', 'own now', '6', undefined]);
  assert.equal(written['N'], masked, 'the text of another key’s secret is a text');
  assert.deepEqual(configurationOf(new Map([['B', '5']]), undefined), { B: '5' });
});

test('a difference has deleted, created and changed keys, in the original’s words', () => {
  const [deleted, created, changed] = differenceOf(
    version({ A: '1', B: '2', F: secret }),
    version({ B: '3', C: '4', F: { $secret: { id: 'val_2', fingerprint: 'BBBBBBBBBBBBBBBB' } } }),
  );
  assert.deepEqual(deleted, { A: '1' });
  assert.deepEqual(created, { C: '4' });
  assert.deepEqual(changed, {
    B: "from '2' to '3'",
    F: `from '${masked}' to '{"$secret":{"fingerprint":"BBBBBBBBBBBBBBBB"}}'`,
  });
});

test('names that JavaScript knows are names like others', () => {
  const base = version({ constructor: 'a', toString: 'b' });
  assert.deepEqual(configurationOf(new Map([['constructor', 'a']]), base), { constructor: 'a' });
  assert.deepEqual(configurationOf(new Map([['hasOwnProperty', 'x']]), base), { hasOwnProperty: 'x' });
  assert.deepEqual(Object.keys(configurationOf(new Map([['__proto__', 'x']]), base)), ['__proto__']);
});
