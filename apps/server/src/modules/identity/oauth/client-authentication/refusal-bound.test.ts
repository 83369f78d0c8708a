import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOauthFixture } from '../../../../testing/oauth-fixture.ts';
import { maxRefusalEntries } from './refusal-bound.ts';

const t = await createOauthFixture();

test('strangers cannot fill the audit with refusals of a client; those left out are counted', async () => {
  const { clientId, secret } = await t.createService('known', { grants: ['client_credentials'] });
  const post = (given: string) =>
    t.post('/oauth/token', { grant_type: 'client_credentials' }, { clientId, secret: given });
  for (let count = 0; count < maxRefusalEntries + 7; count += 1) assert.equal((await post('wrong')).statusCode, 401);
  assert.equal((await t.audit('service.authentication_refused')).length, maxRefusalEntries);
  assert.equal((await post(secret)).statusCode, 200, 'the client itself is not held up');
  t.clock.advance(61);
  assert.equal((await post('wrong')).statusCode, 401);
  const entries = await t.audit('service.authentication_refused');
  assert.equal(entries.length, maxRefusalEntries + 1);
  assert.deepEqual(entries.at(-1)?.details, { refusals_not_recorded: 7 });
});
