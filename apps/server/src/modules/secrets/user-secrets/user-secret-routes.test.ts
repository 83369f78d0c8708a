import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claimsOf } from '../../../testing/oauth-fixture.ts';
import { createSecretsFixture, type SecretsFixture, userSecretType } from '../secrets-fixture.ts';

let node: SecretsFixture;
before(async () => {
  node = await createSecretsFixture();
});
after(() => node.closeAddresses());

interface Listed {
  id: string;
  subject: string;
  status: string;
  destroy_at?: string;
}

async function release(username: string) {
  return node.exchange(node.records, {
    subject_token: await node.signIn(username),
    requested_token_type: userSecretType,
  });
}

async function secretOf(username: string): Promise<Listed> {
  const { sub } = claimsOf(await node.signIn(username)) as { sub: string };
  const answer = await node.admin('GET', `/v1/secrets?subject=${sub}`);
  const item = answer.json<{ items: Listed[] }>().items[0];
  assert.ok(item, answer.body);
  return item;
}

test('the list shows what there is and never a value', async () => {
  const value = await node.open((await release('alice')).json().access_token as string);
  const answer = await node.admin('GET', '/v1/secrets');
  assert.equal(answer.statusCode, 200);
  assert.ok(answer.json<{ items: Listed[] }>().items.length >= 1);
  assert.doesNotMatch(answer.body, /sealed/);
  assert.ok(!answer.body.includes(value));
});

test('a destruction with a delay stops releases at once, can be taken back, and then the secret is the same', async () => {
  const value = await node.open((await release('alice')).json().access_token as string);
  const { id } = await secretOf('alice');
  const scheduled = await node.admin('POST', `/v1/secrets/${id}/destroy`, { delay_seconds: 60, reason: 'left' });
  assert.equal(scheduled.json<Listed>().status, 'scheduled');
  assert.equal((await release('alice')).json().error, 'invalid_grant');
  assert.equal((await node.admin('POST', `/v1/secrets/${id}/restore`)).json<Listed>().status, 'active');
  assert.equal(await node.open((await release('alice')).json().access_token as string), value);
});

test('a destruction that is due becomes final, once on however many nodes, and no fresh secret takes its place', async () => {
  await release('bob');
  const { id } = await secretOf('bob');
  await node.admin('POST', `/v1/secrets/${id}/destroy`, { delay_seconds: 60 });
  const second = await node.another();
  assert.equal(await node.modules.secrets.userSecrets.destroyDueSecrets(), 0, 'not yet due');
  node.clock.advance(61);
  const counts = await Promise.all([node, second].map((one) => one.modules.secrets.userSecrets.destroyDueSecrets()));
  assert.equal(counts[0]! + counts[1]!, 1);
  const { rows } = await node.db.pool.query('select sealed, status from secrets.user_secrets where id = $1', [id]);
  assert.deepEqual(rows, [{ sealed: null, status: 'destroyed' }]);
  assert.equal((await release('bob')).json().error, 'invalid_grant');
  assert.equal((await node.admin('POST', `/v1/secrets/${id}/restore`)).statusCode, 410);
  assert.equal((await node.audit('secret.destroyed')).length, 1);
});

test('a row moved to another subject, or changed, does not open and is not replaced', async () => {
  await release('alice');
  const { id } = await secretOf('alice');
  const before = await node.db.pool.query<{ sealed: Buffer; subject: string }>(
    'select sealed, subject from secrets.user_secrets where id = $1',
    [id],
  );
  const { sealed, subject } = before.rows[0]!;
  await node.db.pool.query('update secrets.user_secrets set subject = $2 where id = $1', [id, 'somebody else']);
  await node.db.pool.query('update secrets.user_secrets set subject = $2 where id = $1', [id, subject]);
  const tampered = Buffer.from(sealed);
  tampered[tampered.length - 1]! ^= 1;
  await node.db.pool.query('update secrets.user_secrets set sealed = $2 where id = $1', [id, tampered]);
  const answer = await release('alice');
  assert.equal(answer.statusCode, 500);
  const after = await node.db.pool.query<{ sealed: Buffer }>('select sealed from secrets.user_secrets where id = $1', [
    id,
  ]);
  assert.ok(after.rows[0]?.sealed.equals(tampered), 'the row was not replaced');
  await node.db.pool.query('update secrets.user_secrets set sealed = $2, issuer = $3 where id = $1', [
    id,
    sealed,
    node.partner.issuer,
  ]);
  const moved = await node.exchange(node.records, {
    subject_token: await node.partner.sign({ sub: subject }),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    requested_token_type: userSecretType,
  });
  assert.equal(moved.statusCode, 500, 'sealed for our issuer, not for theirs');
  await node.db.pool.query('update secrets.user_secrets set issuer = $2 where id = $1', [id, node.issuer]);
  assert.equal((await release('alice')).statusCode, 200);
});

test('another tenant sees nothing, and a developer may not destroy', async () => {
  await release('alice');
  const { id } = await secretOf('alice');
  const operator = await node.operatorToken();
  const elsewhere = await node.app.inject({
    url: `/v1/secrets/${id}`,
    headers: { authorization: `Bearer ${operator}` },
  });
  const absent = await node.admin('GET', `/v1/secrets/sec_${'0'.repeat(26)}`);
  assert.equal(elsewhere.statusCode, 404);
  assert.equal(absent.statusCode, 404);
  assert.equal(elsewhere.json<{ detail: string }>().detail, absent.json<{ detail: string }>().detail);
  const token = await node.signIn('alice');
  for (const action of ['destroy', 'restore']) {
    const answer = await node.app.inject({
      method: 'POST',
      url: `/v1/secrets/${id}/${action}`,
      headers: { authorization: `Bearer ${token}` },
      ...(action === 'destroy' ? { payload: {} } : {}),
    });
    assert.equal(answer.statusCode, 403, action);
  }
});
