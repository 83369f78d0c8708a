import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson } from '@gatehouse/crypto';
import fc from 'fast-check';
import { bounds, cleanDetails, cleanText } from './clean-text.ts';
import { prepareEntry } from './entry-rules.ts';

test('control characters, direction overrides and line separators become visible', () => {
  assert.equal(cleanText('a\r\n2026-01-01 forged line'), 'a\\u000d\\u000a2026-01-01 forged line');
  assert.equal(cleanText('\u001b[31mred\u0000\u009b'), '\\u001b[31mred\\u0000\\u009b');
  assert.equal(cleanText('user\u202egnp.exe\u2028'), 'user\\u202egnp.exe\\u2028');
  assert.equal(cleanText('Zoë 日本 👩‍🚀'), 'Zoë 日本 👩‍🚀');
});

test('lone surrogates are replaced, and a cut never splits a character', () => {
  assert.equal(cleanText('a\ud800b'), 'a\ufffdb');
  const cut = cleanText(`${'x'.repeat(8)}😀😀`, 10);
  assert.equal(cut, 'xxxxxxxx…');
  assert.ok(cut.isWellFormed());
});

test('any text becomes bounded, printable and well formed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), (text) => {
      const clean = cleanText(text);
      assert.ok(clean.length <= bounds.textLength && clean.isWellFormed());
      // oxlint-disable-next-line no-control-regex -- that they are gone is the point
      assert.ok(!/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/.test(clean));
    }),
  );
});

test('any details become bounded JSON that has a canonical form', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 8 })), (details) => {
      const clean = cleanDetails(details);
      assert.ok(Buffer.byteLength(canonicalJson(clean)) <= bounds.detailsBytes + 100);
    }),
  );
});

test('details that are too large are replaced by how large they were', () => {
  const details = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, 'x'.repeat(900)]));
  assert.match(JSON.stringify(cleanDetails(details)), /^\{"dropped":"The details had 18\d{3} bytes/);
});

test('what looks like a secret is not kept, whoever handed it in', () => {
  const canary = 'canary-51ab';
  const token = `eyJhbGciOiJFUzI1NiJ9.${canary}.${canary}`;
  const entry = prepareEntry(
    {
      action: 'test.happened',
      organization: 'acme',
      origin: { actor: { type: 'user', id: 'user-1' }, userAgent: `agent ${token}` },
      target: { type: 'thing', id: token },
      reason: `could not read ${token}`,
      details: {
        password: canary,
        clientSecret: canary,
        'Set-Cookie': canary,
        refresh_token: canary,
        credentials: { user: canary },
        deep: { access_token: canary, list: [{ private_key: canary }] },
        note: `Bearer ${token}`,
        token_id: 'kept',
        secret_id: 'kept',
      },
    },
    'audit_1',
    new Date(0),
  );
  const text = JSON.stringify(entry);
  assert.ok(!text.includes(canary), text);
  assert.equal(entry.details['token_id'], 'kept');
  assert.equal(entry.details['secret_id'], 'kept');
});
