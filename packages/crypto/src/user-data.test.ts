import assert from 'node:assert/strict';
import { ReadableStream } from 'node:stream/web';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeBase64Url } from './base64url.ts';
import { systemRandomBytes } from './random.ts';
import {
  decryptForUser,
  decryptStreamForUser,
  encryptForUser,
  encryptStreamForUser,
  userDataChunkBytes,
} from './user-data.ts';

const secret = systemRandomBytes(32);
const context = { user: 'alice', purpose: 'records/file' };
const cannotDecrypt = { code: 'crypto.cannot_decrypt', message: 'The content cannot be decrypted.' };

test('one shot and stream write the same format: either opens the other, however the parts fall', async () => {
  const length = fc.oneof(fc.nat(300), fc.integer({ min: userDataChunkBytes - 2, max: 2 * userDataChunkBytes + 2 }));
  const sizes = fc.array(fc.integer({ min: 0, max: 50_000 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(length, sizes, async (count, partSizes) => {
      const plaintext = systemRandomBytes(count);
      const streamed = await joined(encryptStreamForUser(secret, inParts(plaintext, partSizes), context));
      const atOnce = await encryptForUser(secret, plaintext, context);
      assert.equal(streamed.length, atOnce.length);
      assert.deepEqual(Buffer.from(await decryptForUser(secret, streamed, context)), Buffer.from(plaintext));
      const parts = decryptStreamForUser(encodeBase64Url(secret), inParts(atOnce, partSizes), context);
      assert.deepEqual(await joined(parts), Buffer.from(plaintext));
    }),
    { numRuns: 30 },
  );
});

test('no flipped bit and no cut ever opens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), fc.nat(), fc.nat(7), async (plaintext, at, bit) => {
      const message = await encryptForUser(secret, plaintext, context);
      const flipped = Uint8Array.from(message);
      const index = at % message.length;
      flipped[index] = (flipped[index] ?? 0) ^ (1 << bit);
      await assert.rejects(decryptForUser(secret, flipped, context), cannotDecrypt);
      await assert.rejects(decryptForUser(secret, message.subarray(0, index), context), cannotDecrypt);
    }),
    { numRuns: 60 },
  );
});

test('a message cut at every chunk boundary is noticed at the end of the stream', async () => {
  const message = await encryptForUser(secret, new Uint8Array(3 * userDataChunkBytes), context);
  for (const chunks of [0, 1, 2]) {
    const cut = message.subarray(0, 68 + chunks * (userDataChunkBytes + 16));
    let given = 0;
    await assert.rejects(async () => {
      for await (const part of decryptStreamForUser(secret, [cut], context)) given += part.length;
    }, cannotDecrypt);
    // Chunks that stood in their place were given out; the one that had become the last was not.
    assert.equal(given, Math.max(0, chunks - 1) * userDataChunkBytes);
  }
});

test('a web stream in, a web stream out', async () => {
  const source = ReadableStream.from([new TextEncoder().encode('hello '), new TextEncoder().encode('world')]);
  const sealed = ReadableStream.from(encryptStreamForUser(secret, source, context));
  const opened = ReadableStream.from(decryptStreamForUser(secret, sealed, context));
  assert.equal(Buffer.from(await joined(opened)).toString(), 'hello world');
});

test('an error of the source reaches the reader', async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
    throw new Error('disk gone');
  }
  await assert.rejects(joined(encryptStreamForUser(secret, failing(), context)), /disk gone/u);
});

test('the same text twice gives different bytes', async () => {
  const [a, b] = await Promise.all([encryptForUser(secret, 'x', context), encryptForUser(secret, 'x', context)]);
  assert.notDeepEqual(a, b);
});

test('wrong arguments name their field', async () => {
  const bad: readonly [() => Promise<unknown>, string][] = [
    [() => encryptForUser(new Uint8Array(31), 'x', context), 'secret'],
    [() => encryptForUser('short', 'x', context), 'secret'],
    [() => encryptForUser(secret, 'x', { ...context, user: '' }), 'user'],
    [() => encryptForUser(secret, 'x', { ...context, purpose: '\ud800' }), 'purpose'],
    [() => encryptForUser(secret, 'x', { ...context, organization: '' }), 'organization'],
    [() => encryptForUser(secret, 'x', context, { randomBytes: () => new Uint8Array(4) }), 'randomBytes'],
  ];
  for (const [call, field] of bad) await assert.rejects(call, { code: 'crypto.invalid_argument', field });
});

function* inParts(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let start = 0;
  for (const size of sizes) {
    yield bytes.subarray(start, start + size);
    start += size;
  }
  yield bytes.subarray(start);
}

async function joined(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}
