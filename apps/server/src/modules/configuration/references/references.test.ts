import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { type ConfigurationFixture, createConfigurationFixture, pathOf } from '../configuration-fixture.ts';

describe('references', () => {
  let t: ConfigurationFixture;
  before(async () => {
    t = await createConfigurationFixture();
  });
  const secretsOf = async (service = 'billing') =>
    (await t.acme('GET', `/v1/services/${service}`)).body.secrets as { id: string }[];
  const reveal = async (name: string, version: number) =>
    (await t.acme('POST', `${pathOf(name)}/${version}/reveal`, {})).body.values;
  const signsIn = async (secret: string, service = 'billing') =>
    t.db.read(async (tx) => {
      const { services } = t.modules.identity;
      return services.verifyServiceSecret(tx, await services.getService(tx, 'acme', service), secret);
    });

  it('a public key is resolved, and published anew when its keyring is rotated, once over all nodes', async () => {
    await t.another();
    const configuration = {
      VERIFY: { $key: 'tokens-es256' },
      JWKS: { $key: { keyring: 'tokens-rs256', format: 'jwks' } },
      SEAL: { $key: 'pop' },
    };
    assert.equal((await t.namespace('keys', { configuration })).status, 201);
    const first = await t.latest('keys');
    createPublicKey(first.configuration.VERIFY);
    createPublicKey(first.configuration.SEAL);
    assert.deepEqual(first.own.VERIFY, { $key: { keyring: 'tokens-es256', format: 'pem' } });
    assert.equal(first.sources.VERIFY.kind, 'key');
    const jwks = (await t.call('GET', '/.well-known/jwks.json')).body.keys as { kid: string; alg: string }[];
    assert.deepEqual(
      first.configuration.JWKS.keys.map((key: { kid: string }) => key.kid),
      jwks.filter((key) => key.alg === 'RS256').map((key) => key.kid),
    );
    assert.equal(JSON.stringify(first.configuration).includes('"d"'), false);
    const rotated = await t.call('POST', '/v1/keyrings/tokens-es256/rotate', {
      token: t.operator,
      payload: { force: true },
    });
    assert.equal(rotated.status, 200, rotated.raw.body);
    const second = await t.reaches('keys', 2);
    assert.equal(second.kind, 'refresh');
    assert.deepEqual(second.cause, { keys: 'changed' });
    assert.notEqual(second.configuration.VERIFY, first.configuration.VERIFY);
    assert.deepEqual(second.own, first.own);
    await t.settled();
    assert.equal((await t.latest('keys')).version, 2);
    // What was read and is written back is still the reference.
    await t.publish('keys', { ...second.configuration, MORE: 1 });
    assert.deepEqual((await t.latest('keys')).own.VERIFY, first.own.VERIFY);
  });

  it('only keyrings whose keys are public can be named', async () => {
    for (const keyring of ['audit', 'nothing']) {
      const answer = await t.namespace('other', { configuration: { K: { $key: keyring } } });
      assert.equal(answer.status, 400, answer.raw.body);
      assert.match(answer.body.detail, /not one whose keys are public/);
    }
  });

  it('the first $client secret adds a secret to the service, for who may change services', async () => {
    const configuration = { ID: { $client: 'id' }, SECRET: { $client: 'secret' } };
    const publisher = await t.acme('POST', '/v1/roles', {
      name: 'publisher',
      permissions: ['configuration:read', 'configuration:write', 'configuration:publish'],
    });
    assert.equal(publisher.status, 201, publisher.raw.body);
    const weak = await t.member('weak', ['publisher']);
    const body = { service: 'billing', namespace: 'client', configuration };
    const denied = await t.as(weak, 'POST', '/v1/services/namespaces', body);
    assert.equal(denied.status, 403);
    assert.match(denied.body.detail, /services:write/);
    assert.equal((await secretsOf()).length, 1);
    const made = await t.as(t.developer, 'POST', '/v1/services/namespaces', body);
    assert.equal(made.status, 201, made.raw.body);
    assert.equal((await secretsOf()).length, 2);
    const version = await t.latest('client');
    assert.equal(version.configuration.ID, 'acme.billing');
    assert.deepEqual(version.sources.SECRET, { kind: 'client', client_id: 'acme.billing' });
    const { SECRET } = await reveal('client', 1);
    assert.equal(await signsIn(SECRET), true);
    // Now it is there: the weak one may refer to it too, and both namespaces have the same fingerprint.
    const again = await t.as(weak, 'POST', '/v1/services/namespaces', { ...body, namespace: 'client-2' });
    assert.equal(again.status, 201, again.raw.body);
    assert.deepEqual((await t.latest('client-2')).configuration.SECRET, version.configuration.SECRET);
    assert.equal((await t.as(weak, 'POST', `${pathOf('client')}/1/reveal`, {})).status, 403);
    // Read and written back: still the reference.
    await t.publish('client', version.configuration, { message: 'the same' });
    assert.deepEqual((await t.latest('client')).own.SECRET, { $client: 'secret' });
  });

  it('a secret added to the service takes its place everywhere; the one in use cannot be deleted', async () => {
    const [first, managed] = await secretsOf();
    const inUse = await t.acme('DELETE', `/v1/services/billing/secrets/${managed?.id}`);
    assert.equal(inUse.status, 409);
    assert.equal(inUse.body.code, 'configuration.client_secret_in_use');
    assert.match(inUse.body.detail, /client, client-2/);
    assert.equal((await t.acme('DELETE', `/v1/services/billing/secrets/${first?.id}`)).status, 204);
    const ending = await t.acme('POST', '/v1/services/billing/secrets', { expires_at: '2027-01-01T00:00:00Z' });
    assert.equal(ending.status, 201);
    await t.settled();
    assert.equal((await t.latest('client')).version, 2, 'a secret that ends by itself is not taken');
    assert.equal((await t.acme('DELETE', `/v1/services/billing/secrets/${ending.body.id}`)).status, 204);
    const before = await t.latest('client');
    const added = await t.acme('POST', '/v1/services/billing/secrets', {});
    assert.equal(added.status, 201, added.raw.body);
    const after = await t.reaches('client', 3);
    await t.reaches('client-2', 2);
    assert.equal(after.kind, 'refresh');
    assert.notDeepEqual(after.configuration.SECRET, before.configuration.SECRET);
    assert.deepEqual(await reveal('client', 3), { SECRET: added.body.client_secret });
    assert.equal((await t.acme('DELETE', `/v1/services/billing/secrets/${managed?.id}`)).status, 204);
    // A rollback names the present secret: the old one is gone.
    const back = await t.acme('POST', `${pathOf('client')}/rollback`, { version: 1 });
    assert.equal(back.status, 201, back.raw.body);
    assert.deepEqual(back.body.configuration.SECRET, after.configuration.SECRET);
  });

  it('two secrets already: one clear 409, nothing is published', async () => {
    await t.acme('POST', '/v1/services', { name: 'full' });
    await t.acme('POST', '/v1/services/full/secrets', {});
    const answer = await t.namespace('full/default', { configuration: { S: { $client: 'secret' } } });
    assert.equal(answer.status, 409);
    assert.equal(answer.body.code, 'identity.too_many_secrets');
    assert.match(answer.body.detail, /the service full has two/);
    assert.equal((await t.acme('GET', pathOf('full/default'))).status, 404);
  });

  it('first references at the same moment: one secret', async () => {
    await t.acme('POST', '/v1/services', { name: 'busy' });
    const answers = await Promise.all(
      [1, 2, 3, 4].map((number) => t.namespace(`busy/n-${number}`, { configuration: { S: { $client: 'secret' } } })),
    );
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [201, 201, 201, 201],
    );
    assert.equal((await secretsOf('busy')).length, 2);
    const prints = await Promise.all([1, 2, 3, 4].map(async (n) => (await t.latest(`busy/n-${n}`)).configuration.S));
    assert.equal(new Set(prints.map((print) => JSON.stringify(print))).size, 1);
  });

  it('neither the database nor the log has the secret in the clear', async () => {
    const { SECRET } = await reveal('client', 3);
    const { rows } = await t.db.pool.query<{ text: string }>(
      `select v::text as text from configuration.versions v union all select c::text from configuration.client_secrets c
       union all select s::text from configuration.secret_values s union all select e::text from audit.entries e`,
    );
    assert.equal(
      rows.some((row) => row.text.includes(SECRET)),
      false,
    );
    assert.equal(
      t.logLines.some((line) => line.includes(SECRET)),
      false,
    );
  });
});
