/** What a new version does to a program: real programs, and a server that is a list of what it was told. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigurationVersion } from '@gatehouse/sdk';
import { defaultHealth } from './health.ts';
import type { Reports } from './reports.ts';
import { createProgramRunner, type RunOptions } from './run-program.ts';

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'gatehouse-run-'))));
after(() => rm(folder, { recursive: true }));

const versionOf = (
  namespace: string,
  version: number,
  values: ConfigurationVersion['values'],
): ConfigurationVersion => ({
  namespace,
  version,
  hash: `${version}`,
  publishedAt: '2026-01-01T00:00:00Z',
  kind: 'author',
  values,
  secretKeys: [],
  changedKeys: Object.keys(values),
  source: 'server',
});

/** A program that writes a line at each start, and what `react` does; `log` is what it wrote. */
function setUp(react: string, options: Partial<RunOptions> = {}) {
  const file = join(folder, randomUUID());
  const script = `const fs = require('fs'); const log = (text) => fs.appendFileSync(${JSON.stringify(file)}, text + ' ');
    const { A, B } = process.env; log('start:' + A + (B === undefined ? '' : ',' + B)); ${react}`;
  const told: string[] = [];
  let slot = Promise.resolve();
  const reports: Reports = {
    async report(namespace, version, state, reason) {
      told.push(`${namespace} ${version} ${state}${reason === undefined ? '' : ` ${reason.replace(/after .*/, '')}`}`);
    },
    async awaitSlot(_namespace, _version, signal) {
      await Promise.race([
        slot,
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
      ]);
    },
    flush: async () => undefined,
    close: async () => undefined,
  };
  const runner = createProgramRunner(
    {
      program: { file: process.execPath, args: ['-e', script] },
      namespaces: ['default'],
      watch: { kind: 'restart' },
      stop: { signal: 'SIGTERM', graceMs: 5000 },
      restartOnExit: false,
      health: { ...defaultHealth, settleMs: 50 },
      holdMs: 0,
      foreground: false,
      ...options,
    },
    {
      own: { PATH: process.env['PATH'] ?? '' },
      marker: randomUUID(),
      say: { warning: () => undefined, info: () => undefined },
      now: () => performance.now(),
    },
  );
  runner.useReports(reports);
  const log = async () => (await readFile(file, 'utf8').catch(() => '')).trim();
  const until = async (holds: () => boolean | Promise<boolean>) => {
    while (!(await holds())) await sleep(10);
  };
  return {
    runner,
    told,
    log,
    until,
    logs: (text: string) => until(async () => (await log()).includes(text)),
    apply: (version: ConfigurationVersion, signal = new AbortController().signal) =>
      Promise.resolve(runner.apply(version, { signal })),
    holdSlots: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      slot = promise;
      return resolve;
    },
    async end() {
      runner.supervisor.signal('SIGTERM');
      return runner.supervisor.ended;
    },
  };
}

const forever = 'setInterval(() => {}, 1e9);';

test('it starts when each namespace is there; of a key in several the last one counts', async () => {
  const { apply, logs, log, end } = setUp(forever, { namespaces: ['base', 'web'] });
  const first = apply(versionOf('web', 7, { A: 'web' }));
  await sleep(50);
  assert.equal(await log(), '');
  await Promise.all([first, apply(versionOf('base', 1, { A: 'base', B: 'base' }))]);
  await logs('start:web,base');
  await apply(versionOf('web', 8, {}));
  await logs('start:base,base');
  assert.deepEqual(await end(), { signal: 'SIGTERM' });
});

test('a version that changes nothing for it needs no restart', async () => {
  const { apply, log, logs, until, told, end } = setUp(forever);
  await apply(versionOf('default', 1, { A: 'x' }));
  await logs('start:x');
  await until(() => told.includes('default 1 healthy'));
  await apply(versionOf('default', 2, { A: 'x' }));
  assert.deepEqual(told, [
    'default 1 received',
    'default 1 applied',
    'default 1 healthy',
    'default 2 received',
    'default 2 applied',
    'default 2 healthy',
  ]);
  assert.equal(await log(), 'start:x');
  await end();
});

test('it is not restarted before the server gives leave, nor for a version that a newer one has overtaken', async () => {
  const { apply, log, logs, told, holdSlots, end } = setUp(forever);
  await apply(versionOf('default', 1, { A: '1' }));
  await logs('start:1');
  const release = holdSlots();
  const overtaken = new AbortController();
  const second = apply(versionOf('default', 2, { A: '2' }), overtaken.signal);
  await sleep(50);
  assert.equal(await log(), 'start:1');
  const reason = new Error('a newer version waits');
  overtaken.abort(reason);
  await assert.rejects(second, reason);
  const third = apply(versionOf('default', 3, { A: '3' }));
  release();
  await third;
  await logs('start:3');
  assert.equal(await log(), 'start:1 start:3');
  assert.ok(!told.some((line) => line.startsWith('default 2 applied') || line.startsWith('default 2 rejected')));
  await end();
});

test('watch by a signal: told, not restarted; its next start has the new values', async () => {
  const { runner, apply, logs, log, end } = setUp(
    `process.on('SIGHUP', () => log('hup')); process.on('SIGUSR1', () => process.exit(1)); log('ready'); ${forever}`,
    {
      watch: { kind: 'signal', signal: 'SIGHUP' },
      restartOnExit: true,
    },
  );
  await apply(versionOf('default', 1, { A: '1' }));
  await logs('start:1 ready');
  await apply(versionOf('default', 2, { A: '2' }));
  await logs('hup');
  assert.equal(await log(), 'start:1 ready hup');
  runner.supervisor.running()?.signal('SIGUSR1');
  await logs('start:2');
  await end();
});

test('ended by a change, it waits for the next version; nobody publishes one: its exit code is the answer', async () => {
  const react = `if (A === 'bad') process.exit(7); ${forever}`;
  // Longer than any start takes: a program that has not come to its end yet must not count as well.
  const health = { ...defaultHealth, settleMs: 60_000 };
  const first = setUp(react, { holdMs: 60_000, health });
  await first.apply(versionOf('default', 1, { A: 'good' }));
  await first.logs('start:good');
  await first.apply(versionOf('default', 2, { A: 'bad' }));
  await first.until(() =>
    first.told.some((line) => line.startsWith('default 2 unhealthy the program ended with exit code 7')),
  );
  await first.apply(versionOf('default', 3, { A: 'good' }));
  await first.until(async () => (await first.log()) === 'start:good start:bad start:good');
  await first.end();

  const second = setUp(react, { holdMs: 50, health });
  await second.apply(versionOf('default', 1, { A: 'good' }));
  await second.logs('start:good');
  await second.apply(versionOf('default', 2, { A: 'bad' }));
  assert.deepEqual(await second.runner.supervisor.ended, { code: 7 });
});

test('a job that is done is not unhealthy; one that fails at once is, and nobody waits', async () => {
  const done = setUp('');
  await done.apply(versionOf('default', 1, { A: '1' }));
  assert.deepEqual(await done.runner.supervisor.ended, { code: 0 });
  assert.ok(!done.told.some((line) => line.includes('unhealthy')), done.told.join());
  const failed = setUp('process.exit(5)', { holdMs: 60_000 });
  await failed.apply(versionOf('default', 1, { A: '1' }));
  assert.deepEqual(await failed.runner.supervisor.ended, { code: 5 });
  assert.ok(failed.told.includes('default 1 unhealthy the program ended with exit code 5 '), failed.told.join());
});

test('a probe decides: not yet, well, not well with its answer, well again', async () => {
  const flag = join(folder, 'flag');
  const { apply, told, until, end } = setUp(forever, {
    health: {
      probe: { kind: 'command', argv: ['test', '-e', flag] },
      settleMs: 0,
      intervalMs: 20,
      timeoutMs: 5000,
      retries: 2,
      startPeriodMs: 100,
    },
  });
  await apply(versionOf('default', 1, { A: '1' }));
  await until(() => told.includes('default 1 unhealthy command probe test: exit code 1'));
  await writeFile(flag, '');
  await until(() => told.includes('default 1 healthy'));
  await rm(flag);
  await until(() => told.filter((line) => line.includes('unhealthy')).length === 2);
  await end();
});

test('what cannot be an environment is refused, and nothing is stopped for it', async () => {
  const { apply, told, log, logs, end } = setUp(forever);
  await apply(versionOf('default', 1, { A: '1' }));
  await logs('start:1');
  await assert.rejects(apply(versionOf('default', 2, { 'a.b': 'canary' })), /"a\.b" cannot be an environment variable/);
  assert.match(told.at(-1) ?? '', /^default 2 rejected "a\.b" cannot/);
  assert.equal(await log(), 'start:1');
  await end();
});
