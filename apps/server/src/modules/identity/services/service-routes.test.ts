import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '@gatehouse/crypto';
import { createAccountsFixture } from '../../../testing/accounts-fixture.ts';

const t = await createAccountsFixture();
const developer = await t.member('acme-developer', ['developer']);
const asDeveloper = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
  t.call(method, url, { token: developer.token, payload });
const signKey = (await generateKeyPair('ES256')).publicJwk;

const tokenFor = (clientId: string, secret: string, node: Pick<typeof t, 'app'> = t) =>
  node.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`,
    },
    payload: 'grant_type=client_credentials',
  });

test('a service is registered once: its secret is shown this once and works', async () => {
  const made = await asDeveloper('POST', '/v1/services', {
    name: 'records',
    grants: ['client_credentials', 'token_exchange', 'authorization_code'],
    redirect_uris: ['https://records.acme.example/callback', 'http://127.0.0.1:9000/callback'],
    pop_url: 'http://127.0.0.1:9000/pop',
    roles: ['reader', 'writer'],
  });
  assert.equal(made.status, 201, made.raw.body);
  const { client_secret: secret, ...service } = made.body;
  assert.match(secret, /^[A-Za-z0-9_-]{43}$/);
  assert.equal(service.client_id, 'acme.records');
  assert.equal(service.audience, 'acme.records');
  assert.equal(service.authentication, 'client_secret');
  assert.deepEqual(service.roles, ['reader', 'writer']);
  assert.equal(service.secrets.length, 1);
  const read = await asDeveloper('GET', '/v1/services/records');
  assert.deepEqual(read.body, service);
  assert.equal((await tokenFor('acme.records', secret)).statusCode, 200);
  assert.equal((await tokenFor('acme.records', `${secret}x`)).statusCode, 401);
  const reader = await t.member('reader', ['records:reader']);
  assert.deepEqual((await t.call('GET', '/v1/me', { token: reader.token })).body.roles, ['records:reader']);

  const stored = JSON.stringify([
    (await t.db.pool.query('select * from identity.services')).rows,
    (await t.db.pool.query('select * from identity.service_secrets')).rows,
    (await t.db.pool.query('select * from audit.entries')).rows,
  ]);
  assert.ok(!stored.includes(secret) && !t.logLines.join('').includes(secret));
});

test('a secret is replaced without an interruption: two at most, the deleted one is refused', async () => {
  const first = (await asDeveloper('POST', '/v1/services', { name: 'rotating', grants: ['client_credentials'] })).body;
  const added = await asDeveloper('POST', '/v1/services/rotating/secrets', {});
  assert.equal(added.status, 201);
  assert.equal((await asDeveloper('POST', '/v1/services/rotating/secrets')).body.code, 'identity.too_many_secrets');
  const services = t.modules.identity.services;
  const valid = (secret: string) =>
    t.db.read(async (tx) =>
      services.verifyServiceSecret(tx, await services.getService(tx, 'acme', 'rotating'), secret),
    );
  assert.deepEqual(
    [await valid(first.client_secret), await valid(added.body.client_secret), await valid('x')],
    [true, true, false],
  );
  assert.equal((await asDeveloper('DELETE', `/v1/services/rotating/secrets/${first.secrets[0].id}`)).status, 204);
  assert.equal((await asDeveloper('DELETE', `/v1/services/rotating/secrets/${first.secrets[0].id}`)).status, 404);
  assert.deepEqual([await valid(first.client_secret), await valid(added.body.client_secret)], [false, true]);
  const soon = new Date(t.clock.now().getTime() + 60_000).toISOString();
  const brief = (await asDeveloper('POST', '/v1/services/rotating/secrets', { expires_at: soon })).body;
  assert.equal(await valid(brief.client_secret), true);
  t.clock.advance(61);
  assert.equal(await valid(brief.client_secret), false);
  assert.equal(
    (await t.acme('POST', '/v1/services/rotating/secrets', {})).status,
    201,
    'an expired one does not count',
  );
  const past = await t.acme('POST', '/v1/services/rotating/secrets', { expires_at: '2020-01-01T00:00:00Z' });
  assert.equal(past.body.errors[0].field, 'expires_at');
});

test('redirect URIs, addresses, keys, audiences and grants that are not safe are refused by name', async () => {
  const privateKey = { ...signKey, d: 'AAAA' };
  const cases: [object, string][] = [
    [{ redirect_uris: ['http://app.example/cb'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['https://app.example/cb#x'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['https://*.app.example/cb'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['https://ok.example/cb', 'https://user:pw@app.example/cb'] }, 'redirect_uris.1'],
    [{ redirect_uris: ['javascript:alert(1)'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['data:text/html,x'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['https://app.example\\@evil.example/'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['https://app.example/a/../cb'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['https://app.example/%2e%2e/cb'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['//app.example/cb'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['http://127.0.0.1.evil.example/cb'] }, 'redirect_uris.0'],
    [{ redirect_uris: ['https://äpp.example/cb'] }, 'redirect_uris.0'],
    [{ post_logout_redirect_uris: ['http://app.example/'] }, 'post_logout_redirect_uris.0'],
    [{ pop_url: 'http://10.0.0.5:9000/pop' }, 'pop_url'],
    [{ pop_url: 'file:///etc/passwd' }, 'pop_url'],
    [{ pop_url: 'https://user@records.example/pop' }, 'pop_url'],
    [{ pop_url: 'https://records.example/pop', jwks: { keys: [signKey] } }, 'jwks'],
    [{ jwks: { keys: [privateKey] } }, 'jwks'],
    [{ jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } }, 'jwks'],
    [{ jwks: { keys: [signKey, signKey] } }, 'jwks'],
    [{ authentication: 'private_key_jwt' }, 'authentication'],
    [{ authentication: 'none', grants: ['client_credentials'] }, 'grants'],
    [{ grants: ['authorization_code'] }, 'redirect_uris'],
    [{ grants: ['password'] }, 'grants.0'],
    [{ id_token_signed_response_alg: 'none' }, 'id_token_signed_response_alg'],
    [{ id_token_signed_response_alg: 'HS256' }, 'id_token_signed_response_alg'],
    [{ audience: t.settings.publicUrl }, 'audience'],
    [{ audience: 'gatehouse' }, 'audience'],
    [{ audience: 'globex.records' }, 'audience'],
    [{ audience: 'has space' }, 'audience'],
    [{ account_roles: ['nope'] }, 'roles.0'],
    [{ client_secret: 'x' }, 'client_secret'],
    [{ name: 'Bad.Name' }, 'name'],
  ];
  for (const [settings, field] of cases) {
    const answer = await t.acme('POST', '/v1/services', { name: 'refused', ...settings });
    assert.equal(answer.status, 400, `${JSON.stringify(settings)} ${answer.raw.body}`);
    assert.equal(answer.body.errors[0].field, field, JSON.stringify(settings));
  }
  assert.equal((await t.acme('GET', '/v1/services/refused')).status, 404, 'nothing is left of a refused one');
});

test('public clients and clients with keys have no secret', async () => {
  const open = await t.acme('POST', '/v1/services', {
    name: 'spa',
    authentication: 'none',
    grants: ['authorization_code'],
    redirect_uris: ['https://spa.example/cb'],
  });
  assert.equal(open.status, 201, open.raw.body);
  assert.equal(open.body.client_secret, undefined);
  const keyed = await t.acme('POST', '/v1/services', {
    name: 'keyed',
    authentication: 'private_key_jwt',
    jwks: { keys: [signKey] },
  });
  assert.equal(keyed.status, 201, keyed.raw.body);
  assert.equal(keyed.body.client_secret, undefined);
  assert.equal((await t.acme('POST', '/v1/services/keyed/secrets', {})).status, 409);
});

test('names and audiences are unique in the organization, and another one has its own', async () => {
  await t.acme('POST', '/v1/services', { name: 'unique', audience: 'files' });
  assert.equal((await t.acme('POST', '/v1/services', { name: 'unique' })).body.code, 'identity.service_exists');
  assert.equal(
    (await t.acme('POST', '/v1/services', { name: 'second', audience: 'files' })).body.code,
    'identity.audience_taken',
  );
  const globex = { token: t.operator, organization: 'globex', payload: { name: 'unique', audience: 'files' } };
  assert.equal((await t.call('POST', '/v1/services', globex)).status, 201);
  const raced = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      t.acme('POST', '/v1/services', { name: `raced-${index}`, audience: 'raced' }),
    ),
  );
  assert.deepEqual(
    raced.map((answer) => answer.status).sort((a, b) => a - b),
    [201, ...Array.from({ length: 7 }, () => 409)],
  );
  const { services } = t.modules.identity;
  const found = (organization: string | undefined) =>
    t.db.read((tx) => services.findServicesByAudience(tx, organization, ['files']));
  assert.deepEqual(
    (await found('acme')).map((service) => service.clientId),
    ['acme.unique'],
  );
  assert.deepEqual(
    (await found(undefined)).map((service) => service.clientId),
    ['acme.unique', 'globex.unique'],
  );
});

test('a change merges, null takes away, and what would not fit is refused', async () => {
  await t.acme('POST', '/v1/services', {
    name: 'changing',
    pop_url: 'https://changing.example/pop',
    roles: ['a', 'b'],
  });
  const change = (payload: object) => t.acme('PATCH', '/v1/services/changing', payload);
  assert.equal((await change({ grants: ['authorization_code'] })).body.errors[0].field, 'redirect_uris');
  assert.equal((await change({ jwks: { keys: [signKey] } })).body.errors[0].field, 'jwks');
  const changed = await change({ pop_url: null, jwks: { keys: [signKey] }, audience: 'changed', roles: ['b', 'c'] });
  assert.equal(changed.status, 200, changed.raw.body);
  assert.equal(changed.body.pop_url, undefined);
  assert.deepEqual(changed.body.jwks.keys[0].kid, signKey.kid);
  assert.deepEqual(changed.body.roles, ['b', 'c']);
  await t.member('holder', ['changing:b']);
  assert.equal((await change({ roles: [] })).body.code, 'identity.role_in_use');
  assert.equal((await t.acme('DELETE', '/v1/services/changing')).body.code, 'identity.role_in_use');
  assert.equal((await change({})).status, 400);
  assert.equal((await change({ name: 'other' })).status, 400);
  const actions = await t.actionsOn('acme.changing');
  assert.deepEqual(actions, ['service.created', 'service.updated']);
});

test('suspended, a service gets no token; deleted, it is gone', async () => {
  const made = (await t.acme('POST', '/v1/services', { name: 'brief', grants: ['client_credentials'] })).body;
  const findIt = () => t.db.read((tx) => t.modules.identity.services.findServiceByClientId(tx, 'acme.brief'));
  assert.ok(await findIt());
  assert.equal((await t.acme('POST', '/v1/services/brief/suspend')).body.status, 'suspended');
  assert.equal(await findIt(), undefined);
  const until = Date.now() + 5000;
  while ((await tokenFor('acme.brief', made.client_secret)).statusCode !== 401) {
    assert.ok(Date.now() < until, 'a suspended service still gets tokens');
  }
  assert.equal((await t.acme('POST', '/v1/services/brief/restore')).body.status, 'active');
  assert.equal((await t.acme('DELETE', '/v1/services/brief')).status, 204);
  assert.equal((await t.acme('GET', '/v1/services/brief')).status, 404);
  assert.equal(
    (await t.db.pool.query('select * from identity.service_secrets where service_id = $1', [made.id])).rowCount,
    0,
  );
});

test('whoever controls a service can act as its account, so that needs the account’s rights', async () => {
  const made = await t.acme('POST', '/v1/services', { name: 'robot', account_roles: ['admin'] });
  assert.deepEqual(made.body.account_roles, ['admin']);
  const attempts: ['POST' | 'PATCH' | 'DELETE', string, object | undefined][] = [
    ['POST', '/v1/services', { name: 'robot-2', account_roles: ['admin'] }],
    ['POST', '/v1/services/robot/secrets', {}],
    ['PATCH', '/v1/services/robot', { jwks: { keys: [signKey] }, authentication: 'private_key_jwt' }],
    ['DELETE', '/v1/services/robot', undefined],
  ];
  for (const [method, url, payload] of attempts) {
    assert.equal((await asDeveloper(method, url, payload)).body.code, 'identity.role_too_high', `${method} ${url}`);
  }
});
