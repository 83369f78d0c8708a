import { createSharedRead, type Db, type NamedStatement, named, type Reader } from '../../../kernel/index.ts';
import type { Instance, RolloutState } from './rollout.ts';
import { startVersion } from './rollout-rules.ts';

interface Key {
  readonly namespaceId: string;
  readonly agentId: string;
}

interface Row {
  namespace_id: string;
  agent_id: string;
  version: number;
  content_hash: string;
  state: string;
  stable_version: number | null;
  stable_hash: string | null;
  running_version: number | null;
  slot_version: number | null;
  available: boolean | null;
}

const find: NamedStatement = {
  name: 'configuration_find_start_versions',
  text: `select one.namespace_id, one.agent_id, r.version, v.content_hash, r.state,
      stable.version as stable_version, stable.content_hash as stable_hash,
      i.running_version, i.slot_version, i.available
    from unnest($1::text[], $2::text[]) as one (namespace_id, agent_id)
    join configuration.namespaces n on n.id = one.namespace_id
    join configuration.rollouts r on r.namespace_id = n.id and r.version = n.latest_version
    join configuration.versions v on v.namespace_id = r.namespace_id and v.version = r.version
    left join configuration.instances i on r.state <> 'completed' and i.namespace_id = n.id and i.agent_id = one.agent_id
    left join lateral (
      select c.version, w.content_hash from configuration.rollouts c
      join configuration.versions w on w.namespace_id = c.namespace_id and w.version = c.version
      where r.state <> 'completed' and c.namespace_id = n.id and c.state = 'completed'
      order by c.version desc limit 1) as stable on true`,
};

/** The version an agent starts with, and the newest one. */
export interface StartVersion {
  readonly version: number;
  readonly startVersion: number;
}

/**
 * Which version an instance starts with when its process starts afresh: while a rollout is open, that is the last version
 * that reached all instances, so that nobody jumps the queue. Parallel questions share a statement.
 */
export function createStartVersions({ db }: { db: Pick<Db, 'read'> }) {
  const read = createSharedRead(db, nameOf, findStartVersions);
  /** Undefined when the namespace is gone or has no version yet. */
  return (namespaceId: string, agentId: string): Promise<StartVersion | undefined> => read({ namespaceId, agentId });
}

const nameOf = ({ namespaceId, agentId }: Key) => `${namespaceId} ${agentId}`;

async function findStartVersions(tx: Reader, keys: readonly Key[]): Promise<Map<string, StartVersion>> {
  const rows = await named<Row>(tx, find, [keys.map((one) => one.namespaceId), keys.map((one) => one.agentId)]);
  return new Map(
    rows.map((row) => [
      nameOf({ namespaceId: row.namespace_id, agentId: row.agent_id }),
      { version: row.version, startVersion: startVersion(inputOf(row)) },
    ]),
  );
}

function inputOf(row: Row): Parameters<typeof startVersion>[0] {
  const { stable_version: stableVersion, stable_hash: stableHash } = row;
  const instance: Pick<Instance, 'runningVersion' | 'slotVersion' | 'available'> = {
    runningVersion: row.running_version ?? undefined,
    slotVersion: row.slot_version ?? undefined,
    available: row.available ?? false,
  };
  return {
    rollout: { state: row.state as RolloutState },
    latest: { version: row.version, contentHash: row.content_hash },
    stable:
      stableVersion === null || stableHash === null ? undefined : { version: stableVersion, contentHash: stableHash },
    instance,
  };
}
