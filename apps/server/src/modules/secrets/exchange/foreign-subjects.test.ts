import assert from 'node:assert/strict';
import { createPrivateKey, type JsonWebKey, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { generateKeyPair, jwkThumbprint } from '@gatehouse/crypto';
import {
  authorizePath,
  claimsOf,
  createBrowser,
  pkce,
  redirectUri,
  userPassword,
} from '../../../testing/oauth-fixture.ts';
import {
  createSecretsFixture,
  exchangeGrant,
  jwtType,
  type SecretsFixture,
  userSecretType,
} from '../secrets-fixture.ts';

let node: SecretsFixture;
before(async () => {
  node = await createSecretsFixture();
});
after(() => node.closeAddresses());

const original = (token: string, form: Record<string, string> = {}, path = '/secret-server/token-exchange') =>
  node.app.inject({
    method: 'POST',
    url: path,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({
      grant_type: exchangeGrant,
      subject_token: token,
      subject_token_type: jwtType,
      audience: 'records',
      ...form,
    }).toString(),
  });

test('a partner’s user who is called as one of ours gets no token of ours in that name', async () => {
  const { sub } = claimsOf(await node.signIn('alice')) as { sub: string };
  for (const name of [sub, 'acme.records']) {
    const theirs = await node.partner.sign({ sub: name, roles: ['records:writer'] });
    const form = { subject_token: theirs, subject_token_type: jwtType };
    const token = await node.exchange(node.records, form);
    assert.equal(token.statusCode, 400, `${name}: ${token.body}`);
    assert.equal(token.json<{ error: string }>().error, 'invalid_grant');
    assert.equal((await original(theirs)).statusCode, 403);
    assert.equal((await original(theirs, {}, '/token/token-exchange')).statusCode, 403);
    // The secret by itself is another one than ours, and is no token.
    const secret = await node.exchange(node.records, { ...form, requested_token_type: userSecretType });
    assert.equal(secret.statusCode, 200, secret.body);
  }
});

test('a partner gives no roles of ours', async () => {
  const theirs = await node.partner.sign({ sub: 'dora', roles: ['admin', 'records:writer'] });
  const answer = await node.exchange(node.records, { subject_token: theirs, subject_token_type: jwtType });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.deepEqual(claimsOf(answer.json<{ access_token: string }>().access_token)['roles'], []);
});

test('an audience that two organizations have is not guessed for a foreign user', async () => {
  const headers = { authorization: `Bearer ${await node.operatorToken()}` };
  const rival = { ...headers, 'gatehouse-organization': 'rival' };
  await node.app.inject({ method: 'POST', url: '/v1/organizations', headers, payload: { name: 'rival' } });
  const payload = { name: 'lookalike', audience: 'records', pop_url: node.popUrl };
  const made = await node.app.inject({ method: 'POST', url: '/v1/services', headers: rival, payload });
  assert.equal(made.statusCode, 201, made.body);
  const foreign = await original(await node.partner.sign({ sub: 'dora' }));
  assert.equal(foreign.statusCode, 400, foreign.body);
  assert.match(foreign.body, /several organizations/);
  const own = await original(await node.signIn('alice'));
  assert.equal(own.statusCode, 200, 'our own users have an organization');
});

test('a token bound to a key is not turned into one that is not, by whoever found it', async () => {
  const pair = await generateKeyPair('ES256');
  const client = await node.createService('app', {
    authentication: 'none',
    grants: ['authorization_code'],
    redirect_uris: [redirectUri],
  });
  const { verifier, challenge } = pkce();
  const target = await createBrowser(node.app).authorize(
    authorizePath({ client_id: client.clientId, code_challenge: challenge }),
    { username: 'alice', password: userPassword },
  );
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const { kty, crv, x, y } = pair.publicJwk as unknown as Record<string, string>;
  const iat = Math.floor(node.clock.now().getTime() / 1000);
  const signed = [
    part({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }),
    part({ htm: 'POST', htu: `${node.issuer}/oauth/token`, jti: 'one', iat }),
  ].join('.');
  const key = {
    key: createPrivateKey({ key: { ...pair.privateJwk } as JsonWebKey, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363',
  } as const;
  const proof = `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
  const answer = await node.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', dpop: proof },
    payload: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: client.clientId,
      code: target.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }).toString(),
  });
  assert.equal(answer.statusCode, 200, answer.body);
  const { access_token: bound } = answer.json<{ access_token: string }>();
  assert.deepEqual(claimsOf(bound)['cnf'], { jkt: jwkThumbprint(pair.publicJwk) });
  assert.equal((await original(bound)).statusCode, 403);
  assert.equal((await original(bound, {}, '/token/token-exchange')).statusCode, 403);
});

test('every token the original endpoints give is on record, and what is refused of a verified user', async () => {
  const token = await node.signIn('alice');
  const plain = await original(token, {}, '/token/token-exchange');
  const { jti } = claimsOf(plain.json<{ access_token: string }>().access_token) as { jti: string };
  const exchanged = (await node.audit('token.exchanged')).at(-1);
  assert.equal(exchanged?.details['token_id'], jti);
  const sealed = await original(token);
  const released = (await node.audit('secret.released')).at(-1);
  assert.equal(released?.details['token_id'], claimsOf(sealed.json<{ access_token: string }>().access_token)['jti']);
  node.answerPop('no keys', 500);
  await node.createService('mute', { audience: 'mute', pop_url: node.popUrl });
  node.clock.advance(301);
  const fresh = await node.signIn('alice');
  const before = (await node.audit('secret.refused')).length;
  const refused = await original(fresh, { audience: 'mute' });
  assert.equal(refused.statusCode, 503, refused.body);
  assert.equal((await node.audit('secret.refused')).length, before + 1);
});
