import type { JsonObject } from '@gatehouse/contracts';
import { sql } from 'kysely';
import { type NamedStatement, named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { VersionKind } from '../versions/version.ts';
import type { Rollout, RolloutCounts, RolloutPhase, RolloutState } from './rollout.ts';
import type { Target } from './rollout-rules.ts';

interface RolloutRow {
  namespace_id: string;
  version: number;
  state: string;
  phase: string;
  bake_until: Date | null;
  reason: string | null;
  cause: JsonObject | null;
  counts: RolloutCounts | null;
  started_at: Date;
  ended_at: Date | null;
}

const toRollout = (row: RolloutRow): Rollout => ({
  namespaceId: row.namespace_id,
  version: row.version,
  state: row.state as RolloutState,
  phase: row.phase as RolloutPhase,
  bakeUntil: row.bake_until ?? undefined,
  reason: row.reason ?? undefined,
  cause: row.cause ?? undefined,
  counts: row.counts ?? undefined,
  startedAt: row.started_at,
  endedAt: row.ended_at ?? undefined,
});

const columns =
  'r.namespace_id, r.version, r.state, r.phase, r.bake_until, r.reason, r.cause, r.counts, r.started_at, r.ended_at';

const find: NamedStatement = {
  name: 'configuration_find_rollout',
  text: `select ${columns} from configuration.rollouts r where r.namespace_id = $1 and r.version = $2`,
};

/** The rollout of a version. */
export async function findRollout(tx: Reader, namespaceId: string, version: number): Promise<Rollout | undefined> {
  const [row] = await named<RolloutRow>(tx, find, [namespaceId, version]);
  return row && toRollout(row);
}

const list: NamedStatement = {
  name: 'configuration_list_rollouts',
  text: `select ${columns} from configuration.rollouts r where r.namespace_id = $1 and r.version < $2
    order by r.version desc limit $3`,
};

/** Rollouts of a namespace, newest first, of versions before `before`. */
export async function listRollouts(
  tx: Reader,
  namespaceId: string,
  { before, limit }: { before: number; limit: number },
): Promise<Rollout[]> {
  return (await named<RolloutRow>(tx, list, [namespaceId, before, limit])).map(toRollout);
}

const save: NamedStatement = {
  name: 'configuration_save_rollout',
  text: `insert into configuration.rollouts (namespace_id, version, state, phase, bake_until, reason, cause, counts,
      started_at, ended_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (namespace_id, version) do update set state = excluded.state, phase = excluded.phase,
      bake_until = excluded.bake_until, reason = excluded.reason, cause = excluded.cause, counts = excluded.counts,
      ended_at = excluded.ended_at`,
};

/** Writes a rollout, a new one or what became of it. The caller holds the namespace's lock. */
export async function saveRollout(tx: Tx, rollout: Rollout): Promise<void> {
  await named(tx, save, [
    rollout.namespaceId,
    rollout.version,
    rollout.state,
    rollout.phase,
    rollout.bakeUntil ?? null,
    rollout.reason ?? null,
    rollout.cause === undefined ? null : JSON.stringify(rollout.cause),
    rollout.counts === undefined ? null : JSON.stringify(rollout.counts),
    rollout.startedAt,
    rollout.endedAt ?? null,
  ]);
}

const running: NamedStatement = {
  name: 'configuration_find_running_rollout',
  text: `select ${columns} from configuration.rollouts r where r.namespace_id = $1 and r.state = 'running'`,
};

/** The rollout under way in a namespace. The lock of the namespace keeps it to one. */
export async function findRunningRollout(tx: Reader, namespaceId: string): Promise<Rollout | undefined> {
  const [row] = await named<RolloutRow>(tx, running, [namespaceId]);
  return row && toRollout(row);
}

const stable: NamedStatement = {
  name: 'configuration_find_stable_version',
  text: `select r.version, v.content_hash as "contentHash" from configuration.rollouts r
    join configuration.versions v on v.namespace_id = r.namespace_id and v.version = r.version
    where r.namespace_id = $1 and r.state = 'completed' order by r.version desc limit 1`,
};

/** The newest version of a namespace that has reached all its instances. */
export async function findStableVersion(tx: Reader, namespaceId: string): Promise<Target | undefined> {
  const [row] = await named<Target>(tx, stable, [namespaceId]);
  return row;
}

const targets: NamedStatement = {
  name: 'configuration_find_targets',
  text: `select version, content_hash as "contentHash", kind from configuration.versions
    where namespace_id = $1 and version = any($2)`,
};

/** A version with how it came to be, without its content. */
export type Published = Target & { readonly kind: VersionKind };

/** These versions of a namespace, by number. */
export async function findTargets(
  tx: Reader,
  namespaceId: string,
  versions: readonly number[],
): Promise<Map<number, Published>> {
  const rows = await named<Published>(tx, targets, [namespaceId, versions]);
  return new Map(rows.map((row) => [row.version, row]));
}

/** What an automatic rollback writes from here on can be taken back without what came before. */
export async function setRollbackSavepoint(tx: Tx): Promise<void> {
  await sql`savepoint automatic_rollback`.execute(tx);
}

/** Takes back what was written since {@link setRollbackSavepoint}, also after a statement that failed. */
export async function returnToRollbackSavepoint(tx: Tx): Promise<void> {
  await sql`rollback to savepoint automatic_rollback`.execute(tx);
}
