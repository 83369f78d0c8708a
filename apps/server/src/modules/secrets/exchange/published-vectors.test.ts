/**
 * Wycheproof's JSON web vectors through the server's own doors: bearer token, subject token, sealed credentials. None of
 * them is a token or a message of ours, so each must be refused, alike and without a failure on our side.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { createSecretsFixture, jwtType, type SecretsFixture } from '../secrets-fixture.ts';

interface Group {
  tests: { jws?: unknown; jwe?: unknown }[];
}

let node: SecretsFixture;
before(async () => {
  node = await createSecretsFixture();
});
after(() => node.closeAddresses());

function vectors(name: string, member: 'jws' | 'jwe'): string[] {
  const url = import.meta.resolve(`../../../../../../packages/crypto/vectors/wycheproof/${name}`);
  const { testGroups } = JSON.parse(readFileSync(new URL(url), 'utf8')) as { testGroups: Group[] };
  return testGroups.flatMap((group) =>
    group.tests.map((one) => one[member]).map((token) => (typeof token === 'string' ? token : JSON.stringify(token))),
  );
}

test('no signed vector is accepted as a bearer token or as a subject token', async () => {
  const tokens = vectors('json_web_signature_test.json', 'jws');
  assert.ok(tokens.length > 300);
  for (const token of tokens) {
    // A header cannot carry line breaks: such a token never reaches the server.
    if (!/[\r\n]/.test(token)) {
      const bearer = await node.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${token}` } });
      assert.equal(bearer.statusCode, 401, token);
    }
    const answer = await node.exchange(node.records, { subject_token: token, subject_token_type: jwtType });
    assert.equal(answer.statusCode, 400, token);
    assert.equal(answer.json<{ error: string }>().error, token === '' ? 'invalid_request' : 'invalid_grant', token);
  }
});

test('no sealed vector is accepted as credentials, and every refusal is the same', async () => {
  const messages = vectors('json_web_encryption_test.json', 'jwe');
  assert.ok(messages.length > 50);
  const seen = new Set<string>();
  for (const credentials of messages) {
    const answer = await node.app.inject({ method: 'POST', url: '/v1/sessions', payload: { credentials } });
    assert.equal(answer.statusCode, 400, answer.body);
    seen.add(answer.json<{ code: string }>().code);
  }
  assert.deepEqual([...seen], ['keys.cannot_decrypt']);
});
