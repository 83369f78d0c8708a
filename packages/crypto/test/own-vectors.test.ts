/** `vectors/gatehouse/*.json` and `vectors/rfc8785.json` through `src/`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  canonicalJson,
  decryptForUser,
  decryptStreamForUser,
  encryptForUser,
  openBytes,
  parseJsonStrict,
  placeAad,
  sealBytes,
  sealedKeyId,
} from '../src/index.ts';
import { generatedFiles } from './generate.ts';
import { edited, plaintextOf, type SealingVector, sha256, type UserDataVector } from './own-vectors.ts';
import { referenceUserData } from './reference.ts';
import { readVectors } from './vector-cases.ts';

const bytes = (text: string) => Buffer.from(text, 'base64url');

test('the generated files are those in the repository', () => {
  for (const [path, text] of Object.entries(generatedFiles())) {
    const committed = readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8');
    assert.equal(committed, text, `${path} is stale: run npm run generate -w @gatehouse/crypto`);
  }
});

test('sealed values: the vectors open, and are written, as told', () => {
  const vectors = readVectors('gatehouse/sealing.json').vectors as unknown as readonly SealingVector[];
  assert.ok(vectors.length > 20);
  for (const { id, key, place, sealed, result, keyId = '', nonce = '', plaintext = '' } of vectors) {
    const open = () => openBytes(bytes(key), bytes(sealed), placeAad(place));
    if (result === 'refused') {
      assert.throws(open, { code: 'crypto.cannot_open', message: 'The sealed value cannot be opened.' }, id);
      continue;
    }
    assert.deepEqual(Buffer.from(open()), bytes(plaintext), id);
    assert.equal(sealedKeyId(bytes(sealed)), keyId, id);
    const again = sealBytes(bytes(key), bytes(plaintext), placeAad(place), () => bytes(nonce), keyId);
    assert.deepEqual(Buffer.from(again), bytes(sealed), id);
  }
});

test('user data: the vectors open, and are written, as told', async () => {
  const vectors = readVectors('gatehouse/user-data.json').vectors as unknown as readonly UserDataVector[];
  assert.ok(vectors.length > 30);
  for (const vector of vectors) {
    const { id, secret, salt, context, message, reader = {} } = vector;
    const plaintext = plaintextOf(vector.plaintext);
    const written = await encryptForUser(secret, plaintext, context, { randomBytes: () => bytes(salt) });
    if ('bytes' in message) assert.deepEqual(Buffer.from(written), bytes(message.bytes), id);
    else assert.deepEqual({ length: written.length, sha256: sha256(written) }, message, id);
    const changed = edited(written, vector.edits);
    const readerSecret = reader.secret ?? secret;
    const readerContext = reader.context ?? context;
    if (vector.result === 'opens') {
      assert.deepEqual(
        Buffer.from(await decryptForUser(readerSecret, changed, readerContext)),
        Buffer.from(plaintext),
        id,
      );
    } else {
      const refusal = { code: 'crypto.cannot_decrypt', message: 'The content cannot be decrypted.' };
      await assert.rejects(decryptForUser(readerSecret, changed, readerContext), refusal, id);
      await assert.rejects(
        drain(decryptStreamForUser(readerSecret, slices(changed, 1000), readerContext)),
        refusal,
        id,
      );
    }
  }
});

test('user data: a writer who knows the secret cannot give a message two spellings or two keys', async () => {
  const secret = Buffer.alloc(32, 7);
  const salt = Buffer.alloc(32, 9);
  const context = { user: 'alice', purpose: 'p' };
  const contextJson = '{"format":"gatehouse/user-data/1","purpose":"p","user":"alice"}';
  const full = new Uint8Array(65_536);
  const sound = referenceUserData(secret, full, contextJson, salt);
  assert.deepEqual(await decryptForUser(secret, sound, context), full);
  for (const malformed of [{ commitment: Buffer.alloc(32) }, { emptyLastChunk: true }]) {
    const message = referenceUserData(secret, full, contextJson, salt, malformed);
    await assert.rejects(decryptForUser(secret, message, context), { code: 'crypto.cannot_decrypt' });
  }
});

test('canonical JSON: the numbers of RFC 8785 appendix B', () => {
  const numbers = readVectors('rfc8785.json').numbers as unknown as readonly { ieee754: string; canonical: string }[];
  for (const { ieee754, canonical } of numbers) {
    assert.equal(canonicalJson(Buffer.from(ieee754, 'hex').readDoubleBE()), canonical, ieee754);
  }
  for (const ieee754 of ['7fffffffffffffff', '7ff0000000000000', 'fff0000000000000']) {
    assert.throws(() => canonicalJson(Buffer.from(ieee754, 'hex').readDoubleBE()), {
      code: 'crypto.not_canonicalizable',
    });
  }
});

test('canonical JSON: documents have one form, which is its own form, or are refused', () => {
  const file = readVectors('rfc8785.json') as unknown as Record<
    'documents' | 'refused',
    { comment: string; json: string; canonical: string }[]
  >;
  for (const { comment, json, canonical } of file.documents) {
    assert.equal(canonicalJson(parseJsonStrict(json)), canonical, comment);
    assert.equal(canonicalJson(parseJsonStrict(canonical)), canonical, comment);
    assert.equal(canonicalJson(parseJsonStrict(Buffer.from(json))), canonical, comment);
  }
  for (const { comment, json } of file.refused) {
    assert.throws(() => parseJsonStrict(json), { code: 'crypto.invalid_json' }, comment);
  }
});

function* slices(message: Uint8Array, size: number): Generator<Uint8Array> {
  for (let start = 0; start < message.length; start += size) yield message.subarray(start, start + size);
}

async function drain(parts: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const part of parts) assert.ok(part.length >= 0);
}
