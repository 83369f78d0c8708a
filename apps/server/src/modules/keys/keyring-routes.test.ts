import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeysApp, createKeysFixture } from './keys-fixture.ts';

interface Ring {
  name: string;
  organization: string;
  keys: { kid: string; state: string; in_use: boolean }[];
}

const fixture = await createKeysFixture();
const node = await fixture.node();
const { keys } = node;
const appOf = (organization: string, permissions: Parameters<typeof createKeysApp>[2]['permissions']) =>
  createKeysApp(node, fixture.log, { organization, permissions });
const operator = await appOf('gatehouse', ['keys:read', 'keys:rotate']);
const post = (url: string, payload?: object) =>
  payload ? operator.inject({ method: 'POST', url, payload }) : operator.inject({ method: 'POST', url });

test('keyrings are listed and read with states and times, and without private members', async () => {
  const answer = await operator.inject({ method: 'GET', url: '/v1/keyrings' });
  assert.equal(answer.statusCode, 200);
  const { items } = answer.json<{ items: Ring[] }>();
  assert.deepEqual(
    items.map((ring) => ring.name),
    ['audit', 'configuration', 'pop-ec', 'tokens-es256'],
  );
  const page = (await operator.inject({ method: 'GET', url: '/v1/keyrings?limit=2' })).json<{ next_cursor: string }>();
  const rest = await operator.inject({ method: 'GET', url: `/v1/keyrings?limit=2&cursor=${page.next_cursor}` });
  assert.deepEqual(
    rest.json<{ items: Ring[] }>().items.map((ring) => ring.name),
    ['pop-ec', 'tokens-es256'],
  );
  const one = await operator.inject({ method: 'GET', url: '/v1/keyrings/tokens-es256' });
  assert.deepEqual(one.json(), items[3]);
  assert.deepEqual(
    items[2]?.keys.map((key) => [key.state, key.in_use]),
    [
      ['valid', true],
      ['created', false],
    ],
  );
  assert.doesNotMatch(answer.body, /"d"|private|sealed/);
});

test('rotate answers with the new state; too soon it is 409 with the time; force overrides', async () => {
  const first = await post('/v1/keyrings/tokens-es256/rotate');
  assert.equal(first.statusCode, 200, first.body);
  const body = first.json<{ rotated: boolean; keyring: Ring }>();
  assert.equal(body.rotated, true);
  assert.deepEqual(body.keyring.keys.map((key) => key.state).sort(), ['created', 'legacy', 'valid']);
  const soon = await post('/v1/keyrings/tokens-es256/rotate', {});
  assert.equal(soon.statusCode, 409);
  assert.equal(soon.headers['retry-after'], '600');
  assert.equal(soon.json<{ code: string; ready_at: string }>().ready_at, '2026-01-01T00:10:00.000Z');
  assert.equal((await post('/v1/keyrings/tokens-es256/rotate', { force: true })).statusCode, 200);
  const wrong = await post('/v1/keyrings/tokens-es256/rotate', { forced: true });
  assert.equal(wrong.statusCode, 400);
});

test('compromise withdraws the key and says so; an unknown kid is 404', async () => {
  const kid = keys.verificationKeys()[0]?.kid ?? '';
  const answer = await post(`/v1/keyrings/tokens-es256/keys/${kid}/compromise`);
  assert.equal(answer.statusCode, 200, answer.body);
  const { compromised, keyring } = answer.json<{ compromised: boolean; keyring: Ring }>();
  assert.equal(compromised, true);
  assert.equal(keyring.keys.find((key) => key.kid === kid)?.state, 'compromised');
  assert.equal((await post(`/v1/keyrings/tokens-es256/keys/${'A'.repeat(43)}/compromise`)).statusCode, 404);
  assert.equal((await post('/v1/keyrings/tokens-es256/keys/short/compromise')).statusCode, 400);
});

test('the policy can be changed; one under which tokens outlive their key is refused with the numbers', async () => {
  const patch = (policy: object) =>
    operator.inject({ method: 'PATCH', url: '/v1/keyrings/tokens-es256', payload: { policy } });
  const refused = await patch({ validity_seconds: 86_400, legacy_seconds: 86_400 + 3600 });
  assert.equal(refused.statusCode, 400);
  assert.equal(refused.json<{ code: string }>().code, 'keys.invalid_policy');
  assert.match(refused.json<{ detail: string }>().detail, /leaves 3600 s.*lives 3600 s, plus 60 s.*at least 90060/);
  const answer = await patch({ validity_seconds: 86_400, legacy_seconds: 2 * 86_400 });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal(answer.json<{ next_transition_at: string }>().next_transition_at, '2026-01-02T00:00:00.000Z');
  assert.equal((await patch({})).statusCode, 400);
  assert.equal((await patch({ validity: 1 })).statusCode, 400);
  const entries = await node.db.read((tx) =>
    tx.selectFrom('audit.entries').select('details').where('action', '=', 'keyring.policy_changed').execute(),
  );
  assert.equal(entries.length, 1);
  fixture.clock.advance(86_401);
  await keys.rotateDue();
  const ring = (await operator.inject({ method: 'GET', url: '/v1/keyrings/tokens-es256' })).json<Ring>();
  assert.equal(ring.keys.filter((key) => key.state === 'valid').length, 1);
  assert.equal(keys.problem(), undefined);
});

test('another organization sees no platform keyring; without the permission it is 403', async () => {
  const tenant = await appOf('acme', ['keys:read', 'keys:rotate']);
  assert.deepEqual((await tenant.inject({ method: 'GET', url: '/v1/keyrings' })).json(), { items: [] });
  assert.equal((await tenant.inject({ method: 'GET', url: '/v1/keyrings/tokens-es256' })).statusCode, 404);
  const kid = keys.verificationKeys()[0]?.kid;
  for (const url of ['/v1/keyrings/tokens-es256/rotate', `/v1/keyrings/tokens-es256/keys/${kid}/compromise`]) {
    assert.equal((await tenant.inject({ method: 'POST', url })).statusCode, 404);
  }
  const reader = await appOf('gatehouse', ['keys:read']);
  assert.equal((await reader.inject({ method: 'POST', url: '/v1/keyrings/tokens-es256/rotate' })).statusCode, 403);
  const nobody = await appOf('gatehouse', []);
  assert.equal((await nobody.inject({ method: 'GET', url: '/v1/keyrings' })).statusCode, 403);
});
