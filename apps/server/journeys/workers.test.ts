/** Several workers on one machine: one port, one database, metrics summed by the primary, a killed worker replaced. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from './support/conditions.ts';
import { freePort, processesOf, startProgram } from './support/programs.ts';

test('two workers share the port, a killed one is replaced, and a signal ends them all', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-workers-'));
  const [port, metricsPort] = [await freePort(), await freePort()];
  const program = await startProgram({
    name: 'The server',
    script: 'apps/server/src/main.ts',
    cwd: folder,
    env: {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_METRICS_PORT: String(metricsPort),
      GATEHOUSE_DATA_DIR: folder,
      GATEHOUSE_WORKERS: '2',
      GATEHOUSE_LOG_LEVEL: 'info',
    },
    readyText: /workers started/,
  });
  try {
    const url = `http://127.0.0.1:${port}`;
    const ready = () =>
      fetch(`${url}/readyz`)
        .then((answer) => answer.ok)
        .catch(() => false);
    const workers = () =>
      new Set([...program.output().matchAll(/"pid":(\d+),"msg":"ready"/g)].map((match) => match[1]));
    await until('both workers are ready', () => workers().size === 2, 30);
    for (let index = 0; index < 20; index += 1) assert.equal(await ready(), true);
    const metrics = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
    assert.equal(metrics.status, 200);
    const count = /gatehouse_http_request_duration_seconds_count\{[^}]*route="\/readyz"[^}]*\} (\d+)/.exec(
      await metrics.text(),
    );
    assert.ok(Number(count?.[1]) >= 20, 'the requests of both workers are counted');

    process.kill(Number([...workers()][0]), 'SIGKILL');
    await until('the killed worker is replaced', () => workers().size === 3, 30);
    assert.equal(await ready(), true);
  } finally {
    await program.stop();
    assert.equal((await processesOf(folder)).size, 0, 'nothing is left running');
    await rm(folder, { recursive: true, force: true });
  }
});
