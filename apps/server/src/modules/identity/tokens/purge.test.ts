import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestApp } from '../../../testing/test-app.ts';
import { createThrottle } from '../passwords/throttle.ts';
import { createPurge } from './purge.ts';

const t = await createTestApp({ start: false });

async function count(table: string): Promise<number> {
  const { rows } = await t.db.pool.query<{ count: number }>(`select count(*)::int as count from identity.${table}`);
  return rows[0]?.count ?? -1;
}

test('a run forgets everything that has expired, however much a busy time or an attacker has left', async () => {
  const many = 12_000;
  const old = '2025-01-01T00:00:00Z';
  const hash = "sha256(('x' || n)::bytea)";
  const from = `from generate_series(1, ${many}) as n`;
  await t.db.pool.query(`insert into identity.used_ids select ${hash}, '${old}' ${from}`);
  await t.db.pool.query(`insert into identity.revoked_tokens select 'tok_' || n, '${old}' ${from}`);
  await t.db.pool.query(
    `insert into identity.oauth_artifacts (id_hash, model, sealed, expires_at) select ${hash}, 'Interaction', '', '${old}' ${from}`,
  );
  await t.db.pool.query(
    `insert into identity.sign_in_throttles (key, failures, updated_at) select ${hash}, 1, '${old}' ${from}`,
  );
  await t.db.pool.query(`insert into identity.used_ids values (sha256('alive'), '2030-01-01T00:00:00Z')`);
  await createPurge(t)();
  await createThrottle({ ...t, purpose: 'sign-in' }).sweep();
  assert.equal(await count('used_ids'), 1);
  assert.equal(await count('revoked_tokens'), 0);
  assert.equal(await count('oauth_artifacts'), 0);
  assert.equal(await count('sign_in_throttles'), 0);
});
