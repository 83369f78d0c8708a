import { AsyncLocalStorage } from 'node:async_hooks';
import type { JsonObject } from '@gatehouse/contracts';
import {
  type ParsedCronItem,
  parseCronItems,
  type Runner,
  run,
  type TaskList,
  Logger as WorkerLogger,
} from 'graphile-worker';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Db, Tx } from './db/db.ts';

/** Work to be done after a commit, at least once: graphile-worker. A handler must bear being run twice. */
export interface Jobs {
  /** Names the handler of a task. Before `start`. */
  register<P extends JsonObject>(
    task: string,
    handler: (payload: P, context: { attempt: number }) => Promise<void>,
  ): void;
  /** Runs `handler` at the times of a crontab pattern (UTC), once per cluster. Before `start`. */
  cron(task: string, pattern: string, handler: () => Promise<void>): void;
  /** Queues a task in the caller's transaction: it runs if and only if the transaction commits. */
  add(tx: Tx, task: string, payload: JsonObject, options?: JobOptions): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * When and how often a job is tried. A later job with the same `key` replaces the earlier one. Jobs of one `queue` run
 * one after another, on whichever nodes, in the order of their times; name few queues, each is a row for good.
 */
export interface JobOptions {
  runAt?: Date;
  key?: string;
  queue?: string;
  maxAttempts?: number;
}

/** Creates the runner; `concurrency` jobs at once on this node. */
export function createJobs({ db, log, concurrency = 2 }: { db: Db; log: Logger; concurrency?: number }): Jobs {
  const tasks: TaskList = {};
  const crons: { task: string; match: string }[] = [];
  let runner: Runner | undefined;
  // A runner is woken by whichever pooled connection heard the notification, in the asynchronous context that opened it:
  // often a transaction. A job has nothing to do with that one, so it runs in the context of this line.
  const inOwnContext = AsyncLocalStorage.snapshot();
  const jobs: Jobs = {
    register(task, handler) {
      if (tasks[task]) throw new Error(`jobs: the task ${task} has a handler already`);
      tasks[task] = async (payload, helpers) => {
        await inOwnContext(() => handler(payload as never, { attempt: helpers.job.attempts }));
      };
    },
    cron(task, pattern, handler) {
      jobs.register(task, handler);
      crons.push({ task, match: pattern });
    },
    async add(tx, task, payload, options = {}) {
      await sql`select graphile_worker.add_job(${task}, payload => ${JSON.stringify(payload)}::json,
        run_at => ${options.runAt ?? null}::timestamptz, max_attempts => ${options.maxAttempts ?? 12}::int,
        job_key => ${options.key ?? null}::text, queue_name => ${options.queue ?? null}::text)`.execute(tx);
    },
    async start() {
      const parsedCronItems: ParsedCronItem[] = parseCronItems(crons);
      runner = await run({
        pgPool: db.pool,
        taskList: tasks,
        parsedCronItems,
        concurrency,
        noHandleSignals: true,
        pollInterval: 2000,
        logger: workerLogger(log),
      });
      runner.promise.catch((error: unknown) => log.error({ err: error }, 'the job runner stopped'));
    },
    async stop() {
      await runner?.stop();
      runner = undefined;
    },
  };
  return jobs;
}

function workerLogger(log: Logger): WorkerLogger {
  return new WorkerLogger(() => (level, message) => {
    if (level === 'error') log.error({ component: 'jobs' }, message);
    else if (level === 'warning') log.warn({ component: 'jobs' }, message);
    else log.debug({ component: 'jobs' }, message);
  });
}
