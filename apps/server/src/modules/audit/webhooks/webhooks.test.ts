import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccountsFixture, testPassword } from '../../../testing/accounts-fixture.ts';
import { startReceiver, verifyStandardWebhook } from './receiver-fixture.ts';

const receiver = await startReceiver();
const t = await createAccountsFixture({ settings: { allowPrivateNetworks: [receiver.origin] } });

test('an endpoint is told of what happens in its organization, signed as Standard Webhooks say', async () => {
  const made = await t.acme('POST', '/v1/webhooks', { url: receiver.url, events: ['user.*'] });
  assert.equal(made.status, 201, made.raw.body);
  assert.match(made.body.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const user = await t.acme('POST', '/v1/users', { username: 'first', password: testPassword, roles: ['developer'] });
  const message = await receiver.event('user.created');
  assert.equal(message.method, 'POST');
  assert.equal(message.headers['content-type'], 'application/json');
  assert.ok(verifyStandardWebhook(message, made.body.secret, t.clock.now()));
  assert.ok(!verifyStandardWebhook({ ...message, body: `${message.body} ` }, made.body.secret, t.clock.now()));
  const { data, ...rest } = message.payload;
  assert.deepEqual(Object.keys(rest), ['type', 'timestamp']);
  assert.deepEqual(
    { ...data, entry: '', sequence: 0, actor: '' },
    {
      entry: '',
      sequence: 0,
      organization: 'acme',
      actor: '',
      target: { type: 'user', id: user.body.uid },
      outcome: 'success',
      roles: ['developer'],
    },
  );
});
