import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { generateKeyPair } from '@gatehouse/crypto';
import { type AgentsFixture, createAgentsFixture, jwksOf, makeAgentKeys } from '../../../testing/agents-fixture.ts';

let fixture: AgentsFixture;
before(async () => {
  fixture = await createAgentsFixture();
});

const codeOf = (answer: { json(): { code?: string } }) => answer.json().code;
const post = (url: string, payload: object, token?: string, on = fixture.app) =>
  on.inject({
    method: 'POST',
    url,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    payload,
  });

test('an agent enrols, proves itself and gets a token', async () => {
  const token = await fixture.enrolmentToken('billing', { name: 'for host-1', expires_in: 120 });
  assert.match(token, /^ghe_/);
  const keys = await makeAgentKeys();
  const answer = await fixture.enrol(token, keys);
  assert.equal(answer.statusCode, 201, answer.body);
  const { agent_id, ...rest } = answer.json();
  assert.match(agent_id, /^agt_/);
  assert.deepEqual(rest, { organization: 'acme', service: 'billing' });
  const list = await fixture.acme('GET', '/v1/services/billing/agents');
  const listed = list.body.items.find((one: { id: string }) => one.id === agent_id);
  assert.equal(listed.name, 'host-1');
  assert.equal(listed.status, 'active');
  assert.deepEqual(await fixture.actionsOn(agent_id), ['agent.enrolled']);
  // The answer was lost: the same agent asks again.
  const again = await fixture.enrol(token, keys);
  assert.equal(again.statusCode, 201);
  assert.equal(again.json().agent_id, agent_id);
});

test('of 20 that enrol with one token, one gets in', async () => {
  const token = await fixture.enrolmentToken();
  const other = await fixture.another();
  const keys = await Promise.all(Array.from({ length: 20 }, makeAgentKeys));
  const answers = await Promise.all(
    keys.map((pair, index) =>
      post('/v1/agents', { name: `racer-${index}`, jwks: jwksOf(pair) }, token, index % 2 ? other.app : fixture.app),
    ),
  );
  assert.equal(answers.filter((answer) => answer.statusCode === 201).length, 1);
  for (const answer of answers.filter((one) => one.statusCode !== 201)) {
    assert.equal(answer.statusCode, 401);
    assert.equal(codeOf(answer), 'configuration.enrolment_refused');
  }
});

test('a token that is expired, taken back or unknown lets nobody in', async () => {
  const refused = async (token: string) => {
    const answer = await fixture.enrol(token, await makeAgentKeys());
    assert.equal(answer.statusCode, 401);
    assert.equal(codeOf(answer), 'configuration.enrolment_refused');
  };
  await refused(`ghe_${'A'.repeat(43)}`);
  const taken = await fixture.acme('POST', '/v1/services/billing/enrolment-tokens', {});
  const removed = await fixture.acme('DELETE', `/v1/services/billing/enrolment-tokens/${taken.body.id}`);
  assert.equal(removed.status, 204);
  await refused(taken.body.enrolment_token);
  const late = await fixture.enrolmentToken('billing', { expires_in: 60 });
  fixture.clock.advance(61);
  await refused(late);
  const answer = await post('/v1/agents', {});
  assert.equal(answer.statusCode, 401);
});

test('only two sound and distinct public keys are taken', async () => {
  const good = await makeAgentKeys();
  const rsa = await generateKeyPair('RSA-OAEP-256');
  const okp = await generateKeyPair('EdDSA');
  const { sig, enc } = good;
  const both = { ...sig.publicJwk, use: 'enc', alg: 'ECDH-ES+A256KW', kid: undefined };
  const offCurve = { ...enc.publicJwk, kid: undefined, x: sig.publicJwk.kty === 'EC' ? sig.publicJwk.x : '' };
  const cases: Record<string, object[]> = {
    'a private member': [sig.privateJwk, enc.publicJwk],
    'one key': [sig.publicJwk],
    'three keys': [sig.publicJwk, enc.publicJwk, okp.publicJwk],
    'no encryption key': [sig.publicJwk, okp.publicJwk],
    'RSA to receive': [sig.publicJwk, rsa.publicJwk],
    'EdDSA to sign': [okp.publicJwk, enc.publicJwk],
    'one key for both uses': [sig.publicJwk, both],
    'a point off the curve': [sig.publicJwk, offCurve],
    'another kid': [{ ...sig.publicJwk, kid: 'mine' }, enc.publicJwk],
    'no alg': [{ ...sig.publicJwk, alg: undefined }, enc.publicJwk],
    'no use': [sig.publicJwk, { ...enc.publicJwk, use: undefined }],
  };
  const token = await fixture.enrolmentToken();
  for (const [name, keys] of Object.entries(cases)) {
    const answer = await post('/v1/agents', { name: 'host', jwks: { keys } }, token);
    assert.equal(answer.statusCode, 400, `${name}: ${answer.body}`);
    assert.ok(!answer.body.includes(String((sig.privateJwk as { d?: string }).d)), name);
  }
  // None of it used the token up.
  assert.equal((await fixture.enrol(token, good)).statusCode, 201);
  // Keys belong to one agent, once.
  const known = await fixture.enrol(await fixture.enrolmentToken('other'), good);
  assert.equal(known.statusCode, 409);
  assert.equal(codeOf(known), 'configuration.agent_keys_known');
});

test('an assertion is good once, on whichever node, for a moment, and only as the agent signs it', async () => {
  const agent = await fixture.agent();
  const stranger = await makeAgentKeys();
  const other = await fixture.another();
  const assertion = await agent.assertion();
  assert.equal((await post('/v1/agents/token', { assertion })).statusCode, 200);
  const now = Math.floor(fixture.clock.now().getTime() / 1000);
  const signInstead = stranger.sig.privateJwk;
  const refused: Record<string, string> = {
    'used before': assertion,
    'another key': await agent.assertion({ key: signInstead }),
    expired: await agent.assertion({ claims: { iat: now - 200, exp: now - 100 } }),
    'from the future': await agent.assertion({ claims: { iat: now + 100, exp: now + 200 } }),
    'alive too long': await agent.assertion({ claims: { exp: now + 301 } }),
    'no jti': await agent.assertion({ claims: { jti: undefined } }),
    'no iat': await agent.assertion({ claims: { iat: undefined } }),
    'another audience': await agent.assertion({ claims: { aud: 'https://elsewhere.example' } }),
    'one audience too many': await agent.assertion({ claims: { aud: ['http://127.0.0.1:8400', 'x'] } }),
    'another agent': await agent.assertion({ claims: { sub: 'agt_00000000000000000000000000' } }),
    'another type': await agent.assertion({ typ: 'JWT' }),
    'an access token of the agent': await agent.token(),
    'an access token of a user': fixture.operator,
    'no signature': `${Buffer.from('{"alg":"none","typ":"gatehouse-agent-assertion+jwt"}').toString('base64url')}.${assertion.split('.')[1]}.`,
    rubbish: 'x',
  };
  for (const [name, value] of Object.entries(refused)) {
    for (const node of [fixture, other]) {
      const answer = await post('/v1/agents/token', { assertion: value }, undefined, node.app);
      assert.equal(answer.statusCode, 401, `${name}: ${answer.body}`);
      assert.equal(codeOf(answer), 'configuration.agent_refused', name);
    }
  }
  const raced = await agent.assertion();
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      post('/v1/agents/token', { assertion: raced }, undefined, index % 2 ? other.app : fixture.app),
    ),
  );
  assert.equal(answers.filter((answer) => answer.statusCode === 200).length, 1);
});

test('no token is taken at a door for another kind', async () => {
  await fixture.publish('doors', { A: '1' });
  const agent = await fixture.agent();
  const agentToken = await agent.token();
  const service = await fixture.serviceToken();
  const enrolment = await fixture.enrolmentToken();
  const agentPath = '/v1/services/billing/doors/agent';
  for (const token of [agentToken, service.token, enrolment]) {
    for (const path of ['/v1/me', '/v1/services', '/v1/services/billing/doors', '/v1/users']) {
      assert.equal((await fixture.get(path, token)).statusCode, 401, path);
    }
  }
  for (const token of [
    fixture.operator,
    enrolment,
    'A'.repeat(64),
    `${agentToken.slice(0, -2)}AA`,
    await agent.assertion(),
  ]) {
    assert.equal((await fixture.get(agentPath, token)).statusCode, 401);
  }
  assert.equal((await fixture.app.inject({ url: agentPath })).statusCode, 401);
  assert.equal((await fixture.get(agentPath, agentToken)).statusCode, 200);
  // As the original's agents send it: the token alone.
  const raw = await fixture.app.inject({ url: agentPath, headers: { authorization: service.token } });
  assert.deepEqual(raw.json(), { version: 1 });
  for (const token of [service.token, fixture.operator, enrolment]) {
    const answer = await post('/v1/agents/keys', {}, token);
    assert.equal(answer.statusCode, 401);
  }
  assert.equal((await post('/v1/agents', {}, agentToken)).statusCode, 401);
});

test('another service, another organization and nothing at all are the same 404', async () => {
  await fixture.publish('seen', { A: '1' });
  await fixture.publish('seen', { A: '1' }, 'other');
  const foreign = await fixture.call('POST', '/v1/services', {
    token: fixture.operator,
    organization: 'globex',
    payload: { name: 'billing' },
  });
  assert.equal(foreign.status, 201);
  const globex = await fixture.call('POST', '/v1/services/billing/tokens', {
    token: fixture.operator,
    organization: 'globex',
    payload: {},
  });
  const agent = await fixture.agent('other');
  const tokens = [await agent.token(), globex.body.authorization_token];
  const unknown = await fixture.get('/v1/services/billing/nothing/agent', tokens[0] ?? '');
  for (const token of tokens) {
    for (const path of ['agent', '1/agent', 'events']) {
      const answer = await fixture.get(`/v1/services/billing/seen/${path}`, token);
      assert.equal(answer.statusCode, 404, answer.body);
      const problemOf = (one: typeof answer) => ({ ...one.json<Record<string, unknown>>(), request_id: '' });
      assert.deepEqual(problemOf(answer), problemOf(unknown));
    }
  }
  const revoked = await fixture.call('DELETE', `/v1/services/billing/agents/${agent.id}`, {
    token: fixture.operator,
    organization: 'globex',
  });
  assert.equal(revoked.status, 404);
});

test('a revoked agent is refused at once, on every node, and for good', async () => {
  await fixture.publish('revoking', { A: '1' });
  const agent = await fixture.agent();
  const other = await fixture.another();
  const token = await agent.token();
  const path = '/v1/services/billing/revoking/1/agent';
  assert.equal((await fixture.get(path, token, { app: other.app })).statusCode, 200);
  assert.equal((await fixture.acme('DELETE', `/v1/services/billing/agents/${agent.id}`)).status, 204);
  for (const app of [fixture.app, other.app]) {
    assert.equal((await fixture.get(path, token, { app })).statusCode, 401);
    const answer = await post('/v1/agents/token', { assertion: await agent.assertion() }, undefined, app);
    assert.equal(answer.statusCode, 401);
    assert.equal(codeOf(answer), 'configuration.agent_revoked');
  }
  assert.equal((await fixture.enrol(await fixture.enrolmentToken(), agent.keys)).statusCode, 409);
  assert.deepEqual(await fixture.actionsOn(agent.id), ['agent.enrolled', 'agent.revoked']);
  const list = await fixture.acme('GET', '/v1/services/billing/agents?revoked=true&limit=200');
  const shown = list.body.items.find((one: { id: string }) => one.id === agent.id);
  assert.equal(shown.status, 'revoked');
});

test('a suspended service or organization gets nothing, and everything back', async () => {
  await fixture.publish('suspended', { A: '1' }, 'other');
  const agent = await fixture.agent('other');
  const token = await agent.token();
  const service = await fixture.serviceToken('other');
  const path = '/v1/services/other/suspended/agent';
  const states = [
    ['/v1/services/other/suspend', '/v1/services/other/restore', 'acme'],
    ['/v1/organizations/acme/suspend', '/v1/organizations/acme/restore', undefined],
  ] as const;
  for (const [suspend, restore, organization] of states) {
    const act = (url: string) => fixture.call('POST', url, { token: fixture.operator, organization });
    assert.equal((await act(suspend)).status, 200);
    for (const one of [token, service.token]) {
      const answer = await fixture.get(path, one);
      assert.equal(answer.statusCode, 403);
      assert.equal(codeOf(answer), 'configuration.service_suspended');
    }
    const proof = await post('/v1/agents/token', { assertion: await agent.assertion() });
    assert.equal(codeOf(proof), 'configuration.service_suspended');
    const valid = await fixture.get('/v1/services/other/validatetoken', service.token);
    assert.deepEqual(valid.json(), { valid: false });
    assert.equal((await act(restore)).status, 200);
    assert.equal((await fixture.get(path, token)).statusCode, 200);
  }
});

test('new keys take a statement of the old key and one of the new', async () => {
  await fixture.publish('rotating', { A: '1' });
  const agent = await fixture.agent();
  const thief = await makeAgentKeys();
  const next = await makeAgentKeys();
  const token = await agent.token();
  const named = (keys: typeof next) => [keys.sig.publicJwk.kid, keys.enc.publicJwk.kid];
  const present_assertion = await agent.assertion({ claims: { keys: named(next) } });
  const byNew = await agent.assertion({ key: next.sig.privateJwk });
  const good = { jwks: jwksOf(next), assertion: byNew, present_assertion };
  const cases: Record<string, object> = {
    'a stolen access token alone': {
      jwks: jwksOf(thief),
      assertion: await agent.assertion({ key: thief.sig.privateJwk }),
      present_assertion: await agent.assertion({ key: thief.sig.privateJwk, claims: { keys: named(thief) } }),
    },
    'a statement about other keys': {
      jwks: jwksOf(thief),
      assertion: await agent.assertion({ key: thief.sig.privateJwk }),
      present_assertion,
    },
    'a plain assertion': { ...good, present_assertion: await agent.assertion() },
    'no proof of the new key': { ...good, assertion: await agent.assertion() },
  };
  for (const [name, payload] of Object.entries(cases)) {
    const answer = await post('/v1/agents/keys', payload, token);
    assert.equal(answer.statusCode, 401, `${name}: ${answer.body}`);
  }
  const done = await post('/v1/agents/keys', good, token);
  assert.equal(done.statusCode, 204, done.body);
  // What the old key got has ended with it.
  assert.equal((await fixture.get('/v1/services/billing/rotating/agent', token)).statusCode, 401);
  assert.equal((await post('/v1/agents/token', { assertion: await agent.assertion() })).statusCode, 401);
  const renewed = await post('/v1/agents/token', { assertion: await agent.assertion({ key: next.sig.privateJwk }) });
  assert.equal(renewed.statusCode, 200, renewed.body);
  assert.equal((await post('/v1/agents/keys', good, renewed.json().access_token)).statusCode, 401);
  assert.deepEqual(await fixture.actionsOn(agent.id), ['agent.enrolled', 'agent.keys_rotated']);
});

test('service tokens are made, shown to those who may, used and deleted', async () => {
  const made = await fixture.acme('POST', '/v1/services/other/tokens', { name: 'fleet', may_enrol: false });
  assert.equal(made.status, 201);
  assert.match(made.body.authorization_token, /^[A-Za-z0-9+/]{64}$/);
  const list = await fixture.acme('GET', '/v1/services/other/tokens');
  assert.ok(!JSON.stringify(list.body).includes(made.body.authorization_token));
  const one = await fixture.acme('GET', `/v1/services/other/tokens/${made.body.id}`);
  assert.equal(one.body.authorization_token, made.body.authorization_token);
  const may = await fixture.serviceToken('other');
  const first = await fixture.acme('GET', '/v1/services/other/token');
  assert.notEqual(first.body.authorization_token, made.body.authorization_token); // one that may enrol comes first
  const developer = await fixture.member('dora', ['developer']);
  for (const [method, path] of [
    ['GET', 'token'],
    ['GET', `tokens/${made.body.id}`],
    ['POST', 'tokens'],
    ['POST', 'enrolment-tokens'],
  ] as const) {
    const answer = await fixture.call(method, `/v1/services/other/${path}`, { token: developer.token });
    assert.equal(answer.status, 403, path);
  }
  assert.equal((await fixture.enrol(made.body.authorization_token, await makeAgentKeys())).statusCode, 401);
  const keys = await makeAgentKeys();
  const enrolled = await fixture.enrol(may.token, keys);
  assert.equal(enrolled.statusCode, 201, enrolled.body);
  assert.equal((await fixture.enrol(may.token, keys)).json().agent_id, enrolled.json().agent_id);

  const validate = async (token: string, service = 'other') =>
    (await fixture.get(`/v1/services/${service}/validatetoken`, token)).json();
  assert.deepEqual(await validate(may.token), { valid: true });
  assert.deepEqual(await validate(may.token, 'billing'), { valid: false });
  assert.deepEqual(await validate('B'.repeat(64)), { valid: false });
  assert.deepEqual((await fixture.app.inject({ url: '/v1/services/other/validatetoken' })).json(), { valid: false });
  assert.equal((await fixture.acme('DELETE', `/v1/services/other/tokens/${may.id}`)).status, 204);
  assert.deepEqual(await validate(may.token), { valid: false });
  assert.equal((await fixture.acme('DELETE', `/v1/services/other/tokens/${may.id}`)).status, 404);
  const actions = await fixture.actionsOn('acme.other');
  for (const action of ['service.token_created', 'service.token_shown', 'service.token_deleted']) {
    assert.ok(actions.includes(action), action);
  }
});

test('tokens are bounded, and nothing that can be used is stored', async () => {
  const service = 'bounded';
  await fixture.acme('POST', '/v1/services', { name: service });
  const made: string[] = [];
  for (let index = 0; index < 10; index += 1) made.push((await fixture.serviceToken(service)).token);
  const tooMany = await fixture.acme('POST', `/v1/services/${service}/tokens`, {});
  assert.equal(tooMany.status, 409);
  assert.equal(tooMany.body.code, 'configuration.too_many_tokens');
  for (let index = 0; index < 50; index += 1) made.push(await fixture.enrolmentToken(service));
  assert.equal((await fixture.acme('POST', `/v1/services/${service}/enrolment-tokens`, {})).status, 409);
  const tables = ['configuration.service_tokens', 'configuration.enrolment_tokens', 'audit.entries'];
  for (const table of tables) {
    const { rows } = await fixture.db.pool.query<{ row: string }>(`select t::text as row from ${table} t`);
    const text = rows.map(({ row }) => row).join('\n');
    for (const token of made) {
      assert.ok(!text.includes(token) && !text.includes(Buffer.from(token).toString('hex')), table);
    }
  }
  for (const token of made) assert.ok(!fixture.logLines.some((line) => line.includes(token)));
});

test('what is over is forgotten; an agent that was not seen for long is revoked', async () => {
  const agent = await fixture.agent();
  await agent.token();
  fixture.clock.advance(61 * 86_400);
  await fixture.modules.configuration.agents.sweep();
  const { rows } = await fixture.db.pool.query(
    `select (select count(*) from configuration.used_assertions)::int as assertions,
      (select count(*) from configuration.enrolment_tokens)::int as tokens,
      (select revoked_by from configuration.agents where id = $1) as revoked_by`,
    [agent.id],
  );
  assert.deepEqual(rows, [{ assertions: 0, tokens: 0, revoked_by: 'configuration' }]);
  fixture.clock.advance(31 * 86_400);
  await fixture.modules.configuration.agents.sweep();
  const left = await fixture.db.pool.query('select id from configuration.agents where id = $1', [agent.id]);
  assert.equal(left.rowCount, 0);
});
