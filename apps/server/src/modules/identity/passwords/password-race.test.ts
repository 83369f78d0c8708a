import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import {
  authorizePath,
  createBrowser,
  createOauthFixture,
  pkce,
  redirectUri,
  userPassword,
} from '../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();
const rival = new pg.Client({ connectionString: t.connectionString });
rival.on('error', () => {}); // the database is dropped under it in the end
await rival.connect();
after(() => rival.end());

/** Runs `work` while an administrator's new password for the user is about to be committed, and commits it then. */
async function whilePasswordIsChanged<T>(uid: string, work: () => Promise<T>): Promise<T> {
  const hash = await t.modules.identity.passwords.hash('another passphrase of somebody');
  await rival.query('begin');
  await rival.query('select uid from identity.users where uid = $1 for no key update', [uid]);
  // Sign-ins in a browser are known to the second, so the change is put well after the one before it.
  const at = new Date(t.clock.now().getTime() + 3_600_000);
  await rival.query('update identity.password_credentials set hash = $2, changed_at = $3 where uid = $1', [
    uid,
    hash,
    at,
  ]);
  await rival.query('update identity.sessions set revoked_at = $2, revoked_reason = $3 where user_id = $1', [
    uid,
    at,
    'test',
  ]);
  await rival.query('delete from identity.oauth_artifacts where user_id = $1', [uid]);
  const running = work();
  for (let waiting = 0; waiting === 0; ) {
    const { rows } = await t.db.pool.query<{ waiting: number }>(
      `select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    waiting = rows[0]?.waiting ?? 0;
  }
  await rival.query('commit');
  return running;
}

async function livingSessions(uid: string): Promise<number> {
  const { rows } = await t.db.pool.query<{ count: number }>(
    `select (select count(*) from identity.sessions where user_id = $1 and revoked_at is null)::int
      + (select count(*) from identity.oauth_artifacts where user_id = $1)::int as count`,
    [uid],
  );
  return rows[0]?.count ?? -1;
}

test('a sign-in that began with the old password does not end in a session when the new one is committed', async () => {
  const { uid } = await t.createUser('alice');
  const answer = await whilePasswordIsChanged(uid, async () =>
    t.app.inject({ method: 'POST', url: '/v1/sessions', payload: { username: 'alice', password: userPassword } }),
  );
  assert.equal(answer.statusCode, 401, answer.body);
  assert.equal(await livingSessions(uid), 0);
  const refused = await t.audit('session.refused');
  assert.equal(refused.at(-1)?.reason, 'password_changed');
});

test('nor does one at the sign-in page', async () => {
  const { uid } = await t.createUser('bob');
  const web = await t.createService('web', { grants: ['authorization_code'], redirect_uris: [redirectUri] });
  const browser = createBrowser(t.app);
  const { page } = await browser.open(authorizePath({ client_id: web.clientId, code_challenge: pkce().challenge }));
  const { page: after } = await whilePasswordIsChanged(uid, () =>
    browser.submit(page, { username: 'bob', password: userPassword }),
  );
  assert.equal(after.statusCode, 401, after.body);
  assert.equal(await livingSessions(uid), 0);
});

test('nor does a browser that was signed in get a new session while its sign-in is ended', async () => {
  const { uid } = await t.createUser('erin');
  const settings = { grants: ['authorization_code'], redirect_uris: [redirectUri], first_party: true };
  const [first, second] = [await t.createService('first', settings), await t.createService('second', settings)];
  const browser = createBrowser(t.app);
  const request = ({ clientId }: { clientId: string }) =>
    authorizePath({ client_id: clientId, code_challenge: pkce().challenge });
  await browser.authorize(request(first), { username: 'erin', password: userPassword });
  const target = await whilePasswordIsChanged(uid, () => browser.open(request(second)));
  assert.equal(target.location?.includes('code='), false, target.location);
  assert.equal(await livingSessions(uid), 0);
});

test('a password change that was confirmed with the old password does not undo an administrator’s', async () => {
  const { uid } = await t.createUser('carol');
  const signedIn = await t.app.inject({
    method: 'POST',
    url: '/v1/sessions',
    payload: { username: 'carol', password: userPassword },
  });
  const { access_token: token } = signedIn.json<{ access_token: string }>();
  const answer = await whilePasswordIsChanged(uid, async () =>
    t.app.inject({
      method: 'PUT',
      url: '/v1/me/password',
      headers: { authorization: `Bearer ${token}` },
      payload: { current_password: userPassword, new_password: 'what the intruder wants it to be' },
    }),
  );
  assert.equal(answer.statusCode, 401, answer.body);
  const { rows } = await t.db.pool.query<{ hash: string }>(
    'select hash from identity.password_credentials where uid = $1',
    [uid],
  );
  const { ok } = await t.modules.identity.passwords.verify(rows[0]?.hash, 'another passphrase of somebody');
  assert.equal(ok, true, 'the administrator’s password stands');
});

test('a password sign-in at the page is on record although it came to no session; so is one for a wrong audience', async () => {
  const { uid } = await t.createUser('dora');
  const asking = await t.createService('asking', { grants: ['authorization_code'], redirect_uris: [redirectUri] });
  const browser = createBrowser(t.app);
  const { page } = await browser.open(authorizePath({ client_id: asking.clientId, code_challenge: pkce().challenge }));
  const { page: consent } = await browser.submit(page, { username: 'dora', password: userPassword });
  assert.match(consent.body, /value="deny"/);
  const payload = { username: 'dora', password: userPassword, audience: ['no-such-service'] };
  const wrong = await t.app.inject({ method: 'POST', url: '/v1/sessions', payload });
  assert.equal(wrong.statusCode, 400, wrong.body);
  const { rows } = await t.db.pool.query<{ action: string; outcome: string; reason: string | null }>(
    'select action, outcome, reason from audit.entries where target_id = $1 and actor_type <> $2 order by position',
    [uid, 'system'],
  );
  assert.deepEqual(rows.slice(1), [
    { action: 'user.signed_in', outcome: 'success', reason: null },
    { action: 'session.refused', outcome: 'failure', reason: 'unknown_audience' },
  ]);
});
