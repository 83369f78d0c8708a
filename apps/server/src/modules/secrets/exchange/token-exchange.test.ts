import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claimsOf } from '../../../testing/oauth-fixture.ts';
import {
  accessTokenType,
  createSecretsFixture,
  jwtType,
  type SecretsFixture,
  userSecretType,
} from '../secrets-fixture.ts';

let node: SecretsFixture;
before(async () => {
  node = await createSecretsFixture();
});
after(() => node.closeAddresses());

async function secretOf(token: string): Promise<string> {
  const answer = await node.exchange(node.records, { subject_token: token, requested_token_type: userSecretType });
  assert.equal(answer.statusCode, 200, answer.body);
  const body = answer.json<{ access_token: string; token_type: string; issued_token_type: string }>();
  assert.equal(body.token_type, 'N_A');
  assert.equal(body.issued_token_type, userSecretType);
  return node.open(body.access_token);
}

async function refusalOf(form: Record<string, string>, service = node.records): Promise<string> {
  const answer = await node.exchange(service, form);
  assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, answer.body);
  assert.equal(answer.headers['cache-control'], 'no-store');
  return answer.json<{ error: string }>().error;
}

test('a user has one secret, 256 bits in base64url, and another user has another', async () => {
  const first = await secretOf(await node.signIn('alice'));
  assert.match(first, /^[A-Za-z0-9_-]{43}$/);
  assert.equal(await secretOf(await node.signIn('alice')), first);
  assert.notEqual(await secretOf(await node.signIn('bob')), first);
});

test('without a requested type the answer is a token for the service, with the secret sealed in it', async () => {
  const token = await node.signIn('alice');
  const answer = await node.exchange(node.records, { subject_token: token, audience: 'records' });
  assert.equal(answer.statusCode, 200, answer.body);
  const body = answer.json<{
    access_token: string;
    issued_token_type: string;
    token_type: string;
    expires_in: number;
  }>();
  assert.equal(body.issued_token_type, accessTokenType);
  assert.equal(body.token_type, 'Bearer');
  const claims = claimsOf(body.access_token);
  const subject = claimsOf(token);
  assert.equal(claims['aud'], 'records');
  assert.equal(claims['sub'], subject['sub']);
  assert.equal(claims['sid'], subject['sid']);
  assert.equal(claims['client_id'], 'acme.records');
  assert.ok((claims['exp'] as number) <= (subject['exp'] as number));
  const { records } = claims['secret'] as { records: string };
  assert.equal(await node.open(records), await secretOf(token));
  // It is for the service: Gatehouse's own API does not take it.
  const own = await node.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${body.access_token}` } });
  assert.equal(own.statusCode, 401);
});

test('each release is an audit entry with the key and the reason, and holds no secret', async () => {
  const before = (await node.audit('secret.released')).length;
  const token = await node.signIn('alice');
  await node.exchange(node.records, { subject_token: token, requested_token_type: userSecretType, reason: 'ticket 7' });
  const entries = await node.audit('secret.released');
  assert.equal(entries.length, before + 1);
  const last = entries.at(-1);
  assert.equal(last?.reason, 'ticket 7');
  assert.equal(last?.details['service'], 'acme.records');
  assert.match(String(last?.details['kid']), /^[A-Za-z0-9_-]{43}$/);
  assert.ok(!JSON.stringify(entries).includes(await secretOf(token)));
});

test('a release that cannot be recorded does not happen', async () => {
  const token = await node.signIn('alice');
  await node.db.pool.query('alter table audit.entries rename to entries_away');
  try {
    const answer = await node.exchange(node.records, { subject_token: token, requested_token_type: userSecretType });
    assert.equal(answer.statusCode, 500);
    assert.doesNotMatch(answer.body, /access_token/);
  } finally {
    await node.db.pool.query('alter table audit.entries_away rename to entries');
  }
});

test('another audience, another tenant, another kind of token, a changed token: all refused', async () => {
  const token = await node.signIn('alice');
  const other = await node.createService('other', { grants: ['token_exchange'], pop_url: node.popUrl });
  assert.equal(await refusalOf({ subject_token: token, audience: 'acme.other' }), 'invalid_target');
  assert.equal(await refusalOf({ subject_token: token, audience: 'nobody' }), 'invalid_target');
  const narrow = await node.signIn('alice', { audience: ['acme.other'] });
  assert.equal(await refusalOf({ subject_token: narrow }), 'invalid_grant');
  assert.equal((await node.exchange(other, { subject_token: narrow })).statusCode, 200);
  const machine = await node.post('/oauth/token', { grant_type: 'client_credentials' }, node.records);
  assert.equal(
    await refusalOf({ subject_token: machine.json<{ access_token: string }>().access_token }),
    'invalid_grant',
  );
  assert.equal(await refusalOf({ subject_token: `${token.slice(0, -4)}AAAA` }), 'invalid_grant');
  assert.equal(await refusalOf({ subject_token: 'no token' }), 'invalid_grant');
  assert.equal(
    await refusalOf({ subject_token: token, subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }),
    'invalid_request',
  );
  assert.equal(await refusalOf({ subject_token: token, scope: 'everything' }), 'invalid_scope');
  assert.equal(await refusalOf({ subject_token: token, actor_token: token }), 'invalid_request');
  assert.equal(await refusalOf({}), 'invalid_request');
  const refused = await node.audit('secret.refused');
  assert.ok(refused.some((entry) => entry.outcome === 'failure' && entry.details['error'] === 'invalid_target'));
  assert.ok(!JSON.stringify(refused).includes(token));
  const stranger = await node.exchange({ ...node.records, secret: 'wrong' }, { subject_token: token });
  assert.equal(stranger.statusCode, 401);
});

test('a user of another organization is refused, although token and service are genuine', async () => {
  const operator = await node.operatorToken();
  for (const [url, organization, payload] of [
    ['/v1/organizations', 'gatehouse', { name: 'rival' }],
    ['/v1/users', 'rival', { username: 'mallory', password: 'a passphrase of the rival 17' }],
  ] as const) {
    const headers = { authorization: `Bearer ${operator}`, 'gatehouse-organization': organization };
    assert.equal((await node.app.inject({ method: 'POST', url, headers, payload })).statusCode, 201);
  }
  const answer = await node.app.inject({
    method: 'POST',
    url: '/v1/sessions',
    payload: { username: 'mallory', password: 'a passphrase of the rival 17' },
  });
  assert.equal(
    await refusalOf({ subject_token: answer.json<{ access_token: string }>().access_token }),
    'invalid_grant',
  );
});

test('after a logout or a suspension nothing is released, at once', async () => {
  const token = await node.signIn('bob');
  const out = await node.app.inject({
    method: 'DELETE',
    url: '/v1/sessions/current',
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(out.statusCode, 204);
  assert.equal(await refusalOf({ subject_token: token }), 'invalid_grant');
  const again = await node.signIn('bob');
  const { sub } = claimsOf(again) as { sub: string };
  await node.admin('POST', `/v1/users/${sub}/suspend`);
  assert.equal(await refusalOf({ subject_token: again }), 'invalid_grant');
  await node.admin('POST', `/v1/users/${sub}/restore`);
  assert.equal(await refusalOf({ subject_token: again }), 'invalid_grant');
});

test('a user of a trusted issuer has a secret too; kinds, times, issuers and keys of tokens are judged', async () => {
  const good = await node.partner.sign({ sub: 'dora', aud: 'anything' });
  const answer = await node.exchange(node.records, { subject_token: good, subject_token_type: jwtType });
  assert.equal(answer.statusCode, 200, answer.body);
  const now = Math.floor(node.clock.now().getTime() / 1000);
  for (const [why, token] of [
    ['expired', await node.partner.sign({ sub: 'dora', exp: now - 61, iat: now - 100 })],
    ['not yet valid', await node.partner.sign({ sub: 'dora', nbf: now + 61 })],
    ['without sub', await node.partner.sign({})],
    ['sub is no text', await node.partner.sign({ sub: 7 })],
    ['exp is text', await node.partner.sign({ sub: 'dora', exp: '9999999999' })],
    ['unknown issuer', await node.partner.sign({ sub: 'dora', iss: 'https://evil.example' })],
    [
      'our own issuer',
      await node.partner.sign({ sub: 'dora', iss: node.issuer, org: 'acme', client_id: 'x', jti: 'y', aud: 'records' }),
    ],
    ['logout token', await node.partner.sign({ sub: 'dora' }, { typ: 'logout+jwt' })],
  ] as const) {
    assert.equal(await refusalOf({ subject_token: token, subject_token_type: jwtType }), 'invalid_grant', why);
  }
});

test('the same subject at another issuer is another user', async () => {
  const { sub } = claimsOf(await node.signIn('alice')) as { sub: string };
  const theirs = await node.partner.sign({ sub });
  const answer = await node.exchange(node.records, {
    subject_token: theirs,
    subject_token_type: jwtType,
    requested_token_type: userSecretType,
  });
  const foreign = await node.open(answer.json<{ access_token: string }>().access_token);
  assert.notEqual(foreign, await secretOf(await node.signIn('alice')));
});

test('actors are kept in order and their tokens judged', async () => {
  const token = await node.signIn('alice');
  const actor = await node.partner.sign({ sub: 'agent-1' });
  const answer = await node.exchange(node.records, {
    subject_token: token,
    actor_token: actor,
    actor_token_type: jwtType,
  });
  assert.equal(answer.statusCode, 200, answer.body);
  const exchanged = answer.json<{ access_token: string }>().access_token;
  assert.deepEqual(claimsOf(exchanged)['act'], { sub: 'agent-1', iss: node.partner.issuer });
  const bad = { subject_token: token, actor_token: `${actor.slice(0, -4)}AAAA`, actor_token_type: jwtType };
  assert.equal(await refusalOf(bad), 'invalid_grant');
});

test('a service whose keys cannot be had is told so; weak and private keys are not used', async () => {
  const token = await node.signIn('alice');
  const port = new URL(node.popUrl).origin;
  const broken = await node.createService('broken', { grants: ['token_exchange'], pop_url: `${port}/pop?broken` });
  const silent = await node.exchange(broken, { subject_token: await node.signIn('alice') });
  assert.equal(silent.json<{ error: string }>().error, 'invalid_target', 'the address publishes signature keys only');
  const none = await node.createService('keyless', { grants: ['token_exchange'] });
  const answer = await node.exchange(none, { subject_token: await node.signIn('alice') });
  assert.equal(answer.json<{ error: string }>().error, 'invalid_target');
  assert.match(answer.json<{ error_description: string }>().error_description, /pop_url/);
  assert.equal(await refusalOf({ subject_token: token, audience: 'records,acme.other' }), 'invalid_target');
});
