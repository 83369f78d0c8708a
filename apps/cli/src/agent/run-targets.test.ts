/** When targets are written: real files and commands, and a server that is a list of what it was told. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ConfigurationVersion } from '@gatehouse/sdk';
import type { Target } from './agent-file.ts';
import type { Reports } from './reports.ts';
import { createTargetsRunner } from './run-targets.ts';
import { parseTemplate } from './template.ts';

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'gatehouse-targets-'))));
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

function setUp(name: string, template: string, options: Partial<Target> = {}, namespaces = ['default']) {
  const path = join(folder, `${name}.conf`);
  const log = join(folder, `${name}.log`);
  const target: Target = {
    name,
    namespaces,
    files: [
      {
        path,
        source: { name: 'x.tmpl', template: parseTemplate(template) },
        mode: 0o600,
        owner: undefined,
        group: undefined,
      },
    ],
    command: { argv: ['/bin/sh', '-c', `cat ${path} >> ${log}`], timeoutMs: 10_000, environment: new Map() },
    health: undefined,
    splayMs: 0,
    quiescence: { waitMs: 0, atMostMs: 0 },
    ...options,
  };
  const told: string[] = [];
  const reports: Reports = {
    report: async (namespace, version, state) => void told.push(`${namespace} ${version} ${state}`),
    awaitSlot: async (namespace, version) => void told.push(`${namespace} ${version} slot`),
    flush: async () => undefined,
    close: async () => undefined,
  };
  const runner = createTargetsRunner(
    { namespaces, targets: [target], once: false },
    {
      own: { PATH: process.env['PATH'] ?? '' },
      say: { warning: () => undefined, info: () => undefined },
      now: () => performance.now(),
      random: () => 0.5,
    },
  );
  runner.useReports(reports);
  return {
    told,
    ran: () => readFile(log, 'utf8').catch(() => ''),
    content: () => readFile(path, 'utf8').catch(() => ''),
    apply: (version: ConfigurationVersion, signal = new AbortController().signal) =>
      Promise.resolve(runner.apply(version, { signal })),
  };
}

test('nothing is written before each namespace is there; then all of it', async () => {
  const { apply, content, ran } = setUp('two', '{{ base/A }} {{ web/B }}\n', {}, ['base', 'web']);
  const first = apply(versionOf('web', 1, { B: 'b' }));
  assert.equal(await content(), '');
  await Promise.all([first, apply(versionOf('base', 1, { A: 'a' }))]);
  assert.equal(await ran(), 'a b\n');
});

test('a version that changes no file asks for no slot, writes nothing and runs nothing', async () => {
  const { apply, told, ran } = setUp('same', '{{ A }}\n');
  await apply(versionOf('default', 1, { A: 'a' }));
  await apply(versionOf('default', 2, { A: 'a', OTHER: 'x' }));
  assert.equal(await ran(), 'a\n');
  assert.deepEqual(told.slice(-3), ['default 2 received', 'default 2 applied', 'default 2 healthy']);
  await apply(versionOf('default', 3, { A: 'b' }));
  assert.equal(await ran(), 'a\nb\n');
  assert.ok(told.includes('default 3 slot'));
});

test('what comes in quick succession is written once, when it is quiet', async () => {
  const { apply, ran, told } = setUp('quiet', '{{ A }}\n', {
    quiescence: { waitMs: 100, atMostMs: 10_000 },
    splayMs: 10,
  });
  await apply(versionOf('default', 1, { A: '1' }));
  for (let version = 2; version < 6; version += 1) {
    const overtaken = new AbortController();
    const applying = apply(versionOf('default', version, { A: `${version}` }), overtaken.signal);
    const reason = new Error('a newer version waits');
    overtaken.abort(reason);
    await assert.rejects(applying, reason);
  }
  await apply(versionOf('default', 6, { A: '6' }));
  assert.equal(await ran(), '1\n6\n');
  assert.ok(!told.some((line) => line.includes('rejected')));
});

test('unrest without end does not keep it from being written: at_most', async () => {
  const { apply, ran } = setUp('unrest', '{{ A }}\n', { quiescence: { waitMs: 60_000, atMostMs: 50 } });
  await apply(versionOf('default', 1, { A: '1' }));
  await apply(versionOf('default', 2, { A: '2' }));
  assert.equal(await ran(), '1\n2\n');
});

test('a command that failed is due again with the next version, changed file or not', async () => {
  const flag = join(folder, 'works');
  const { apply, told } = setUp('due', 'always the same\n', {
    command: {
      argv: ['/bin/sh', '-c', `test -e ${flag} || { echo > ${flag}; exit 4; }`],
      timeoutMs: 10_000,
      environment: new Map(),
    },
  });
  await apply(versionOf('default', 1, { A: '1' }));
  assert.equal(told.at(-1), 'default 1 unhealthy');
  await apply(versionOf('default', 2, { A: '2' }));
  assert.equal(told.at(-1), 'default 2 healthy');
});

test('what cannot be rendered is refused as a whole, and what cannot be written too', async () => {
  const { apply, content, told } = setUp('refused', '{{ A }}\n');
  await apply(versionOf('default', 1, { A: '1' }));
  await assert.rejects(apply(versionOf('default', 2, { B: 'canary' })), /x\.tmpl, line 1: A is missing/);
  await assert.rejects(apply(versionOf('default', 3, { A: 'canary\nroot = yes' })), /A has a line break/);
  assert.equal(await content(), '1\n');
  assert.deepEqual(told.slice(-2), ['default 2 rejected', 'default 3 rejected']);
  const nowhere = setUp('no/such/folder', '{{ A }}\n');
  await assert.rejects(nowhere.apply(versionOf('default', 1, { A: '1' })), /cannot be written \(ENOENT\)/);
  assert.deepEqual(nowhere.told, ['default 1 received', 'default 1 rejected']);
});
