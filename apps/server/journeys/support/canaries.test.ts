import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createCanaryWatch } from './canaries.ts';

test('a value is found in every form, wherever it stands, and nothing else is', () => {
  for (const length of [16, 17, 18, 24, 32, 33, 700]) {
    const value = randomBytes(length);
    const text = value.toString('base64url');
    const canaries = createCanaryWatch();
    canaries.watch('bytes', value);
    canaries.watch('text', text);
    for (let before = 0; before < 7; before += 1) {
      const around = (inner: Uint8Array) => Buffer.concat([randomBytes(before), inner, randomBytes(5)]);
      for (const secret of [value, Buffer.from(text)]) {
        const plain = around(secret);
        for (const seen of [
          plain,
          plain.toString('base64'),
          plain.toString('base64url'),
          plain.toString('hex'),
          `\\x${plain.toString('hex').toUpperCase()}`,
        ]) {
          assert.ok(canaries.find(seen, '').length > 0, `${length} bytes after ${before}`);
        }
      }
      // Cut in two by a page header.
      const cut = 1 + ((before * 5) % (length - 1));
      const halves = Buffer.concat([value.subarray(0, cut), Buffer.alloc(24), value.subarray(cut)]);
      if (length >= 24) assert.ok(canaries.find(halves, '').length > 0, `${length} bytes cut at ${cut}`);
    }
    assert.deepEqual(canaries.find(randomBytes(1_000_000), ''), []);
  }
});
