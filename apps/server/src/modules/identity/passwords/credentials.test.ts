import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as bcrypt from '@node-rs/bcrypt';
import type { Origin } from '../../../kernel/index.ts';
import { createTestApp, type TestApp } from '../../../testing/test-app.ts';
import { throttleLimits } from './throttle.ts';

const password = 'seven quiet herons at dusk';
let node: TestApp;
const system: Origin = { actor: { type: 'system', id: 'system' } };

before(async () => {
  node = await createTestApp();
  await node.db.transaction((tx) =>
    node.modules.identity.organizations.createOrganization(tx, { name: 'acme', origin: system }),
  );
});

async function createUser(username: string, options: { passwordHash?: string; organization?: string } = {}) {
  const passwordHash = options.passwordHash ?? (await node.modules.identity.passwords.hash(password));
  return node.db.transaction((tx) =>
    node.modules.identity.users.createUser(tx, {
      organization: options.organization ?? 'acme',
      username,
      passwordHash,
      roles: ['developer'],
      granter: 'system',
      origin: system,
    }),
  );
}

const from = (address: string): Origin => ({ actor: { type: 'anonymous', id: 'anonymous' }, address });
const attempt = (username: string, given: string, address = '192.0.2.1', organization?: string) =>
  node.modules.identity.verifyCredentials({ username, password: given, organization, origin: from(address) });

async function audit(uid: string | undefined) {
  const { rows } = await node.db.pool.query<{ action: string; reason: string | null; organization: string }>(
    `select action, reason, organization from audit.entries where ($1::text is null or target_id = $1)
     and action like 'session.refused' order by id`,
    [uid ?? null],
  );
  return rows;
}

test('the right password signs in under any spelling of the name, and both times are kept', async () => {
  const user = await createUser('Ann.Straße');
  assert.equal(user.last_login, null);
  for (const name of ['Ann.Straße', 'ann.strasse', 'ＡＮＮ．STRASSE']) {
    const verdict = await attempt(name, password);
    assert.equal(verdict.ok, true, name);
    assert.deepEqual(verdict.ok && verdict.roles.names, ['developer']);
  }
  node.clock.advance(60);
  await attempt('ann.strasse', 'wrong');
  const read = await node.db.read((tx) => node.modules.identity.users.findUser(tx, user.uid));
  assert.equal(read?.last_login?.toISOString(), '2026-01-01T00:00:00.000Z');
  assert.equal(read?.last_login_attempt?.toISOString(), '2026-01-01T00:01:00.000Z');
  assert.deepEqual(
    (await audit(user.uid)).map((entry) => [entry.reason, entry.organization]),
    [['wrong_password', 'acme']],
  );
});

test('unknown, wrong, suspended, archived, foreign organization, no password: one answer', async () => {
  await createUser('present');
  const suspended = await createUser('suspended');
  const change = { organization: 'acme', granter: 'system', origin: system } as const;
  await node.db.transaction((tx) => node.modules.identity.users.suspendUser(tx, { ...change, uid: suspended.uid }));
  await node.db.transaction((tx) =>
    node.modules.identity.users.createUser(tx, { ...change, username: 'nopassword', roles: [] }),
  );
  const answers = [];
  for (const [name, given, organization] of [
    ['absent', password, undefined],
    ['present', 'wrong', undefined],
    ['suspended', password, undefined],
    ['present', password, 'gatehouse'],
    ['nopassword', '', undefined],
    ['bad\u0000name', password, undefined],
    ['x'.repeat(500), password, undefined],
  ] as const) {
    const verdict = await attempt(name, given, '192.0.2.2', organization);
    assert.ok(!verdict.ok, name);
    const { code, status, detail, headers, extensions, errors } = verdict.error;
    answers.push(JSON.stringify({ code, status, detail, headers, extensions, errors }));
  }
  assert.equal(new Set(answers).size, 1, answers.join('\n'));
  assert.match(answers[0] ?? '', /identity\.invalid_credentials/);
  const { rows } = await node.db.pool.query(`select * from audit.entries where action = 'session.refused'`);
  assert.ok(!JSON.stringify(rows).includes('absent'), 'an unknown name may be a password: it is not kept');
});

test('a member of several organizations names one, or acts in the one that has the account', async () => {
  const user = await createUser('both');
  const { organizations, users } = node.modules.identity;
  await node.db.transaction(async (tx) => {
    await organizations.createOrganization(tx, { name: 'initech', origin: system });
    for (const organization of ['gatehouse', 'initech']) {
      await users.addMember(tx, { organization, uid: user.uid, roles: ['auditor'], granter: 'system', origin: system });
    }
  });
  const home = await attempt('both', password);
  assert.equal(home.ok && home.membership.organization, 'acme', 'being made a member elsewhere holds up no sign-in');
  await node.db.transaction((tx) => organizations.suspendOrganization(tx, { name: 'acme', origin: system }));
  const open = await attempt('both', password);
  assert.equal(!open.ok && open.error.code, 'identity.organization_required');
  assert.deepEqual(!open.ok && open.error.extensions, { organizations: ['gatehouse', 'initech'] });
  await node.db.transaction((tx) => organizations.restoreOrganization(tx, { name: 'acme', origin: system }));
  const closed = await attempt('both', 'wrong');
  assert.equal(!closed.ok && closed.error.code, 'identity.invalid_credentials');
  const chosen = await attempt('both', password, '192.0.2.1', 'gatehouse');
  assert.deepEqual(chosen.ok && [chosen.membership.organization, chosen.roles.names], ['gatehouse', ['auditor']]);
});

test('an imported hash becomes ours at the sign-in', async () => {
  const user = await createUser('imported', { passwordHash: await bcrypt.hash(password, { cost: 4 }) });
  const hash = async () =>
    (await node.db.pool.query('select hash from identity.password_credentials where uid = $1', [user.uid])).rows[0]
      .hash;
  assert.match(await hash(), /^\$2b\$/);
  assert.equal((await attempt('imported', 'wrong')).ok, false);
  assert.match(await hash(), /^\$2b\$/);
  assert.equal((await attempt('imported', password)).ok, true);
  assert.match(await hash(), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.equal((await attempt('imported', password)).ok, true);
});

test('guesses wait longer and longer, alike for names that exist and that do not, and the wait ends', async () => {
  await createUser('guessed');
  const guess = async (name: string) => {
    const seen: string[] = [];
    for (let round = 0; round < throttleLimits.pair.free + 4; round += 1) {
      const verdict = await attempt(name, 'wrong', '198.51.100.2');
      assert.ok(!verdict.ok);
      seen.push(`${verdict.error.status} ${verdict.error.headers['retry-after'] ?? ''}`);
      if (verdict.error.status === 429) node.clock.advance(Number(verdict.error.headers['retry-after']));
    }
    return seen;
  };
  const known = await guess('guessed');
  assert.deepEqual(known, await guess('nobody-at-all'));
  assert.deepEqual(known, ['401 ', '401 ', '401 ', '401 ', '401 ', '429 1', '401 ', '429 2', '401 ']);
  const { error } = (await attempt('guessed', password, '198.51.100.2')) as { error: { headers: object } };
  assert.deepEqual(error.headers, { 'retry-after': '1' }, 'four seconds, of which three have passed');
  node.clock.advance(1);
  assert.equal((await attempt('guessed', password, '198.51.100.2')).ok, true, 'nobody is locked out for good');
});

test('parallel guesses are all counted: no more are judged than are free', async () => {
  await createUser('stormed');
  const verdicts = await Promise.all(Array.from({ length: 20 }, () => attempt('stormed', 'wrong', '198.51.100.3')));
  const judged = verdicts.filter((verdict) => !verdict.ok && verdict.error.status === 401);
  assert.equal(judged.length, throttleLimits.pair.free);
});

test('guesses from many addresses do not hold up the owner where the owner signs in', async () => {
  const user = await createUser('owner');
  assert.equal((await attempt('owner', password, '203.0.113.1')).ok, true);
  const answers: number[] = [];
  for (let index = 0; index <= throttleLimits.account.free; index += 1) {
    const verdict = await attempt('owner', 'wrong', `2001:db8:${index.toString(16)}::1`);
    answers.push(verdict.ok ? 200 : verdict.error.status);
  }
  assert.equal(answers.at(-1), 429, 'the account is held up for addresses it has never signed in from');
  const refused = await attempt('owner', password, '203.0.113.99');
  assert.equal(!refused.ok && refused.error.status, 429);
  assert.equal((await attempt('owner', password, '203.0.113.1')).ok, true);
  const reasons = (await audit(user.uid)).map((entry) => entry.reason);
  assert.equal(reasons.filter((reason) => reason === 'too_many_attempts').length, 1, 'one entry for each wait');
});

test('one address that tries many names is slowed down, and a good sign-in from it hides nothing', async () => {
  await createUser('office');
  const address = '203.0.113.50';
  let status = 0;
  let tries = 0;
  for (; tries < throttleLimits.address.free + 2 && status !== 429; tries += 1) {
    const verdict = await attempt(`name-${tries}`, 'wrong', address);
    status = verdict.ok ? 200 : verdict.error.status;
    if (status !== 429 && tries % 20 === 0) assert.equal((await attempt('office', password, address)).ok, true);
  }
  assert.equal(status, 429);
  assert.equal(tries, throttleLimits.address.free + 1);
});

test('the counters are the same on every node', async () => {
  await createUser('shared');
  const other = await node.another();
  for (let round = 0; round < throttleLimits.pair.free; round += 1) await attempt('shared', 'wrong', '203.0.113.60');
  const verdict = await other.modules.identity.verifyCredentials({
    username: 'shared',
    password,
    origin: from('203.0.113.60'),
  });
  assert.equal(!verdict.ok && verdict.error.status, 429);
});

test('no password or address is in the database, the audit or the log', async () => {
  const canary = 'canary otter lantern 9317';
  const user = await createUser('canary-user', { passwordHash: await node.modules.identity.passwords.hash(canary) });
  await attempt('canary-user', canary, '203.0.113.77');
  await attempt('canary-user', `${canary} wrong`, '203.0.113.77');
  const dump: string[] = [];
  for (const table of [
    'identity.users',
    'identity.password_credentials',
    'identity.sign_in_throttles',
    'audit.entries',
  ]) {
    dump.push(JSON.stringify((await node.db.pool.query(`select * from ${table}`)).rows));
  }
  assert.ok(dump.join('').includes(user.uid));
  assert.ok(!dump.join('').includes('canary otter'));
  assert.ok(!dump.slice(0, 3).join('').includes('203.0.113.77'), 'the throttle keeps hashes of addresses');
  assert.ok(!node.logLines.join('').includes('canary otter'));
});
