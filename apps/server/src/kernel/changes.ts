import pg from 'pg';
import type { Logger } from 'pino';
import { type Db, named, type Tx } from './db/db.ts';

/**
 * Tells every node that something it keeps in memory has changed.
 * For rare changes only (keys, roles, suspensions): NOTIFY inside a commit takes a cluster-wide lock.
 * A lost notification costs at most one second: each node also polls the versions.
 */
export interface Changes {
  /** In the transaction of the change: every watcher of `topic` on every node runs after the commit. */
  touch(tx: Tx, topic: string): Promise<void>;
  /** Runs `onChange` after each change of `topic` anywhere, this node included. Returns how to stop. */
  watch(topic: string, onChange: () => Promise<void> | void): () => void;
  /**
   * In the transaction of what it tells: everybody who hears `topic`, on every node, gets `message` right after the
   * commit. Fast, and may be lost: whoever hears it also looks by itself. At most 7,000 bytes, nothing secret.
   */
  announce(tx: Tx, topic: string, message: string): Promise<void>;
  /** Runs `onMessage` for each announcement of `topic` that arrives. Returns how to stop. */
  hear(topic: string, onMessage: (message: string) => void): () => void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const touchStatement = {
  name: 'kernel_touch_topic',
  text: `with bumped as (
      insert into kernel.change_topics (topic) values ($1)
      on conflict (topic) do update set version = kernel.change_topics.version + 1 returning topic)
    select pg_notify('gatehouse_changes', topic) from bumped`,
};
const announceStatement = { name: 'kernel_announce', text: `select pg_notify('gatehouse_news', $1 || ' ' || $2)` };
const pollStatement = { name: 'kernel_list_topics', text: 'select topic, version from kernel.change_topics' };

/** Creates the node's listener. `pollIntervalMs` bounds how late a lost notification is noticed. */
export function createChanges({
  db,
  connectionString,
  log,
  pollIntervalMs = 1000,
}: {
  db: Db;
  connectionString: string;
  log: Logger;
  pollIntervalMs?: number;
}): Changes {
  const watchers = new Map<string, Set<() => Promise<void> | void>>();
  const versions = new Map<string, string>();
  const hearers = new Map<string, Set<(message: string) => void>>();
  let listener: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let polling: Promise<void> | undefined;
  let stopped = false;

  const poll = async (announce: boolean) => {
    const rows = await db.read((tx) => named<{ topic: string; version: string }>(tx, pollStatement, []));
    for (const row of rows) {
      if (versions.get(row.topic) === row.version) continue;
      versions.set(row.topic, row.version);
      if (!announce) continue;
      for (const onChange of watchers.get(row.topic) ?? []) {
        try {
          await onChange();
        } catch (error) {
          // The version is forgotten, so the next poll tries again: a watcher that failed must not stay stale.
          versions.delete(row.topic);
          log.error({ err: error, topic: row.topic }, 'reloading after a change failed; trying again');
        }
      }
    }
  };

  /** One poll at a time; a request during a poll runs another after it, so that no change is missed. */
  let again = false;
  const pollSoon = () => {
    if (stopped) return;
    if (polling) {
      again = true;
      return;
    }
    polling = poll(true)
      .catch((error: unknown) => log.warn({ err: error }, 'looking for changes failed; trying again'))
      .finally(() => {
        polling = undefined;
        if (again) {
          again = false;
          pollSoon();
        }
      });
  };

  const hearNews = (payload: string) => {
    const space = payload.indexOf(' ');
    const message = payload.slice(space + 1);
    for (const onMessage of hearers.get(payload.slice(0, space)) ?? []) {
      try {
        onMessage(message);
      } catch (error) {
        log.error({ err: error }, 'an announcement could not be taken in');
      }
    }
  };

  const listen = async () => {
    const client = new pg.Client({ connectionString, application_name: 'gatehouse-listen' });
    client.on('notification', ({ channel, payload }) => {
      if (channel === 'gatehouse_news') hearNews(payload ?? '');
      else pollSoon();
    });
    const lost = () => {
      if (listener === client) listener = undefined; // the timer reconnects
    };
    client.on('error', lost);
    client.on('end', lost);
    await client.connect();
    await client.query('listen gatehouse_changes; listen gatehouse_news');
    listener = client;
  };

  return {
    async touch(tx, topic) {
      await named(tx, touchStatement, [topic]);
    },
    watch(topic, onChange) {
      const set = watchers.get(topic) ?? new Set();
      set.add(onChange);
      watchers.set(topic, set);
      return () => set.delete(onChange);
    },
    async announce(tx, topic, message) {
      await named(tx, announceStatement, [topic, message]);
    },
    hear(topic, onMessage) {
      const set = hearers.get(topic) ?? new Set();
      set.add(onMessage);
      hearers.set(topic, set);
      return () => set.delete(onMessage);
    },
    async start() {
      await poll(false);
      await listen();
      timer = setInterval(() => {
        pollSoon();
        if (!listener) listen().catch((error: unknown) => log.warn({ err: error }, 'listening for changes failed'));
      }, pollIntervalMs);
      timer.unref();
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await polling;
      const client = listener;
      listener = undefined;
      await client?.end();
    },
  };
}
