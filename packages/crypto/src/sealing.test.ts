import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemRandomBytes } from './random.ts';
import { openBytes, placeAad, sealBytes, sealedKeyId } from './sealing.ts';

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const bytes = fc.uint8Array({ maxLength: 200 });
const keyId = fc.string({ maxLength: 16 });

test('what was sealed opens in its place, and the key id is readable', () => {
  fc.assert(
    fc.property(key, bytes, bytes, keyId, (k, plaintext, aad, id) => {
      const sealed = sealBytes(k, plaintext, aad, systemRandomBytes, id);
      assert.deepEqual(Buffer.from(openBytes(k, sealed, aad)), Buffer.from(plaintext));
      assert.equal(sealedKeyId(sealed), id);
    }),
  );
});

test('no flipped bit, no cut, no other key, no other place ever opens', () => {
  const cannotOpen = { code: 'crypto.cannot_open', message: 'The sealed value cannot be opened.' };
  fc.assert(
    fc.property(key, bytes, bytes, keyId, fc.nat(), fc.nat(7), (k, plaintext, aad, id, at, bit) => {
      const sealed = sealBytes(k, plaintext, aad, systemRandomBytes, id);
      const flipped = Uint8Array.from(sealed);
      const index = at % sealed.length;
      flipped[index] = (flipped[index] ?? 0) ^ (1 << bit);
      assert.throws(() => openBytes(k, flipped, aad), cannotOpen);
      assert.throws(() => openBytes(k, sealed.subarray(0, index), aad), cannotOpen);
      const otherKey = Uint8Array.from(k, (byte, i) => (i === at % 32 ? byte ^ (1 << bit) : byte));
      assert.throws(() => openBytes(otherKey, sealed, aad), cannotOpen);
      assert.throws(() => openBytes(k, sealed, Uint8Array.of(...aad, bit)), cannotOpen);
    }),
  );
});

test('two places are never the same bytes, and incomplete ones are refused', () => {
  const name = fc.string({ minLength: 1, maxLength: 4 }).filter((text) => text.isWellFormed());
  const place = fc.record({ organization: name, schema: name, table: name, rowId: name, owner: name });
  fc.assert(
    fc.property(place, place, (a, b) => {
      const isSame = (Object.keys(a) as (keyof typeof a)[]).every((member) => a[member] === b[member]);
      assert.equal(Buffer.from(placeAad(a)).equals(placeAad(b)), isSame);
    }),
  );
  const whole = { organization: 'acme', schema: 's', table: 't', rowId: '1', owner: 'o' };
  for (const member of Object.keys(whole)) {
    assert.throws(() => placeAad({ ...whole, [member]: '' }), { code: 'crypto.invalid_argument', field: member });
  }
});

test('wrong arguments are told apart from values that do not open', () => {
  const good = new Uint8Array(32);
  const none = new Uint8Array();
  assert.throws(() => sealBytes(new Uint8Array(16), none, none, systemRandomBytes), { field: 'key' });
  assert.throws(() => openBytes(new Uint8Array(31), none, none), { field: 'key' });
  assert.throws(() => sealBytes(good, none, none, () => new Uint8Array(8)), { field: 'randomBytes' });
  assert.throws(() => sealBytes(good, none, none, systemRandomBytes, 'k'.repeat(65)), { field: 'keyId' });
});

test('opened bytes own their memory: nothing else is reachable through .buffer', () => {
  const sealed = sealBytes(new Uint8Array(32), Uint8Array.of(1, 2, 3), new Uint8Array(), systemRandomBytes);
  assert.equal(openBytes(new Uint8Array(32), sealed, new Uint8Array()).buffer.byteLength, 3);
  assert.equal(sealed.buffer.byteLength, sealed.byteLength);
});
