import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture } from '../../../testing/accounts-fixture.ts';

test('a version is published, read, compared and restored', async () => {
  const t = await createAccountsFixture();
  await t.acme('POST', '/v1/services', { name: 'billing' });
  const made = await t.acme('POST', '/v1/services/namespaces', {
    service: 'billing',
    namespace: 'default',
    configuration: { HOST: 'a', PASS: { $secret: 'canary-1' } },
  });
  assert.equal(made.status, 201, made.raw.body);
  assert.equal(made.body.version, 1);
  const base = '/v1/services/billing/default';
  const first = await t.acme('GET', `${base}/1`);
  assert.equal(first.status, 200, first.raw.body);
  const second = await t.acme('POST', base, {
    parent_version: 1,
    configuration: { ...first.body.configuration, HOST: 'b' },
  });
  assert.equal(second.status, 201, second.raw.body);
  assert.deepEqual(second.body.configuration.PASS, first.body.configuration.PASS);
  const compare = await t.acme('GET', `${base}/2/compare`);
  assert.deepEqual(compare.body.changed, { HOST: { from: 'a', to: 'b' } });
  const lost = await t.acme('POST', base, { parent_version: 1, configuration: {} });
  assert.equal(lost.status, 409);
  assert.equal(lost.body.latest_version, 2);
  const back = await t.acme('POST', `${base}/rollback`, { version: 1 });
  assert.equal(back.status, 201, back.raw.body);
  assert.equal(back.body.version, 3);
  assert.equal(back.body.restores, 1);
  const seen = await t.acme('POST', `${base}/3/reveal`, { reason: 'test' });
  assert.deepEqual(seen.body, { version: 3, values: { PASS: 'canary-1' } });
});
