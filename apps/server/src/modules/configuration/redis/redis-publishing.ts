import { createHash } from 'node:crypto';
import type { Db, Jobs, Logger, Metrics, Tx } from '../../../kernel/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import type { Version } from '../versions/version.ts';
import { findPublication, listBehind, setPublication } from './publication-store.ts';
import { createRedisConnection } from './redis-connection.ts';

const task = 'configuration-redis';
/** Jobs of one namespace stand in one of these. */
const queues = 16;
/** More versions than these that were not told are not told one by one. */
const maxInOrder = 20;

/**
 * Tells Reuni's agents of new versions: `PUBLISH <organization>_<service>_<namespace> <version>` after the commit, at
 * least once, in order for each namespace. A publication never waits for Redis and never fails because of it. While Redis
 * is away jobs are tried again with growing waits, and when it is back only the newest version of each namespace is told,
 * since those agents restart their process at every message. The first version is not told, as in the original.
 */
export function createRedisPublishing(deps: {
  url: string;
  db: Db;
  jobs: Pick<Jobs, 'register' | 'add'>;
  log: Logger;
  metrics: Pick<Metrics, 'registry'>;
}) {
  const { url, db, jobs, log, metrics } = deps;
  let catchingUp: Promise<void> | undefined;

  const queue = (tx: Tx, namespaceId: string, version: number, options: { key?: string } = {}) =>
    jobs.add(tx, task, { namespace: namespaceId, version }, { ...options, queue: queueOf(namespaceId) });

  /** Once Redis is there: a job for each namespace that it was not told about. Nodes do it together harmlessly. */
  const catchUp = async () => {
    const limit = 500;
    for (let after = '', count = limit; count === limit; ) {
      count = await db.transaction(async (tx) => {
        const page = await listBehind(tx, after, limit);
        for (const { id, latest_version } of page) await queue(tx, id, latest_version, { key: `${task}:${id}` });
        after = page.at(-1)?.id ?? after;
        return page.length;
      });
    }
  };

  const connection = createRedisConnection({
    url,
    log,
    metrics,
    onReady() {
      catchingUp = (catchingUp ?? Promise.resolve())
        .then(catchUp)
        .catch((error: unknown) => log.warn({ err: error }, 'could not see what Redis missed; its jobs go on trying'));
    },
  });

  jobs.register<{ namespace: string; version: number }>(
    task,
    async ({ namespace: namespaceId, version }, { attempt }) => {
      const state = await db.read((tx) => findPublication(tx, namespaceId));
      if (!state) return;
      let told = state.version ?? version - 1;
      if (version <= told) return;
      const oneByOne = attempt === 1 && state.behind !== true && version - told <= maxInOrder;
      const channel = `${state.organization}_${state.service}_${state.name}`;
      const note = (behind: boolean) =>
        db.transaction((tx) => setPublication(tx, { namespaceId, version: told, behind }));
      const due = oneByOne
        ? Array.from({ length: version - told }, (_, index) => told + 1 + index)
        : [state.latest_version];
      for (const number of due) {
        try {
          await connection.publish(channel, String(number));
        } catch (error) {
          await note(true);
          throw error;
        }
        told = number;
        await note(false);
      }
    },
  );

  return {
    /** In the publishing transaction: queues the message. */
    async published(tx: Tx, { namespace, version }: { namespace: Namespace; version: Version }): Promise<void> {
      if (version.version > 1) await queue(tx, namespace.id, version.version);
    },
    start: () => connection.start(),
    async stop(): Promise<void> {
      await connection.stop();
      await catchingUp;
    },
  };
}

function queueOf(namespaceId: string): string {
  return `${task}-${(createHash('sha256').update(namespaceId).digest()[0] ?? 0) % queues}`;
}
