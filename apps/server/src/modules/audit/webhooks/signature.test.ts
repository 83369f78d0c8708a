import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSecret, signedHeaders, writeSecret } from './signature.ts';

test('the published example of Standard Webhooks comes out the same', () => {
  const headers = signedHeaders({
    eventId: 'msg_loFOjxBNrRLzqYUf',
    timestampSeconds: 1731705121,
    body: '{"event_type":"ping","data":{"success":true}}',
    secrets: [Buffer.from('plJ3nmyCDGBKInavdOK15jsl', 'base64')],
  });
  assert.deepEqual(headers, {
    'webhook-id': 'msg_loFOjxBNrRLzqYUf',
    'webhook-timestamp': '1731705121',
    'webhook-signature': 'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
  });
});

test('a secret is 24 to 64 bytes in base64 behind whsec_; anything else is none', () => {
  for (const length of [24, 32, 64]) {
    const bytes = new Uint8Array(length).fill(length);
    assert.deepEqual(readSecret(writeSecret(bytes)), bytes);
    assert.deepEqual(readSecret(writeSecret(bytes).replace(/=+$/, '')), bytes);
  }
  const short = `whsec_${Buffer.alloc(23).toString('base64')}`;
  const long = `whsec_${Buffer.alloc(65).toString('base64')}`;
  const bare = Buffer.alloc(32).toString('base64');
  for (const wrong of [short, long, bare, '', 'whsec_', 'whsec_ÄÖÜ', `whsec_${'A'.repeat(41)}`, `whsec_${bare}\n`]) {
    assert.equal(readSecret(wrong), undefined, wrong);
  }
});
