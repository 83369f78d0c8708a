/**
 * One change to many who wait: from the request that publishes until the last of them has it, beside node:http alone
 * (one buffer to every socket) and etcd's watch; and what one who waits costs in memory.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startConfigurationBench } from './configuration-setup.ts';
import { type Figure, freePort, median, startProcess } from './measure.ts';
import type { WatchNews, WatchOrder } from './peers/watchers.ts';

const rounds = 7;
/** Processes that listen: below the bound on descriptors, and on both processors. */
const clientProcesses = 2;
const agents = 100;

/** Figures of one crowd. */
interface Crowd {
  /** Milliseconds from the request to the last, median of the rounds. */
  readonly lastMs: number;
  readonly medianMs: number;
  readonly kilobytesEach: number;
}

export async function measureConfigurationWatch(): Promise<Figure[]> {
  const small = 1000;
  const large = 10_000;
  const etcd = await measureEtcd(small);
  const bareSmall = await measureBare(small);
  const bareLarge = await measureBare(large);
  const smallStream = await measureOurs('sse', small);
  const largeStream = await measureOurs('sse', large);
  const largePoll = await measureOurs('poll', large);
  const figures: Figure[] = [];
  if (etcd) {
    figures.push({
      name: `publication to the last of ${small} streams`,
      beside: `etcd put to the last of ${small} watches`,
      value: smallStream.lastMs,
      other: etcd.lastMs,
      unit: 'ms',
      budget: { atMost: 1 },
    });
  }
  const beside = (count: number) => `bare SSE to ${count}`;
  figures.push(
    {
      name: `publication to the last of ${small} streams`,
      beside: beside(small),
      value: smallStream.lastMs,
      other: bareSmall.lastMs,
      unit: 'ms',
    },
    {
      name: `publication to the last of ${large} streams`,
      beside: beside(large),
      value: largeStream.lastMs,
      other: bareLarge.lastMs,
      unit: 'ms',
      budget: { atMost: 2 },
    },
    {
      name: `publication to the last of ${large} long-polls`,
      beside: beside(large),
      value: largePoll.lastMs,
      other: bareLarge.lastMs,
      unit: 'ms',
    },
    {
      name: 'memory of a waiting stream',
      beside: 'of a bare SSE connection',
      value: largeStream.kilobytesEach,
      other: bareLarge.kilobytesEach,
      unit: 'kB',
    },
    {
      name: 'memory of a waiting long-poll',
      beside: 'of a bare SSE connection',
      value: largePoll.kilobytesEach,
      other: bareLarge.kilobytesEach,
      unit: 'kB',
    },
  );
  return figures;
}

async function measureOurs(kind: 'sse' | 'poll', count: number): Promise<Crowd> {
  const bench = await startConfigurationBench({ agents });
  try {
    await bench.createNamespace('watched', { VALUE: '0' });
    const path = `${bench.path('watched')}${kind === 'sse' ? '/events?since=1' : '/agent?wait=60&since={since}'}`;
    const port = Number(new URL(bench.url).port);
    let version = 1;
    return await crowd({ kind, port, count, path, tokens: bench.agentTokens }, bench.pid, async () => {
      version = await bench.publish('watched', version, { VALUE: `${version}` });
    });
  } finally {
    await bench.stop();
  }
}

async function measureBare(count: number): Promise<Crowd> {
  const port = await freePort();
  const peer = await startProcess('bench/peers/bare-sse.ts', { port, path: '/ready', env: { PORT: String(port) } });
  try {
    return await crowd({ kind: 'sse', port, count, path: '/events', tokens: [] }, peer.pid, async () => {
      await (await fetch(`${peer.url}/publish`, { method: 'POST' })).text();
    });
  } finally {
    await peer.stop();
  }
}

/** Undefined when etcd is not installed: scripts/install-bench-tools.sh. */
async function measureEtcd(count: number): Promise<Crowd | undefined> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-etcd-'));
  const [port, peerPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    'etcd',
    [
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      '--log-level=error',
    ],
    { stdio: 'ignore' },
  );
  try {
    const [problem] = await Promise.race([once(child, 'error'), untilHealthy(url)]);
    if (problem) {
      process.stderr.write('etcd is not installed; run scripts/install-bench-tools.sh to measure beside it\n');
      return undefined;
    }
    const key = Buffer.from('watched').toString('base64');
    return await crowd({ kind: 'etcd', port, count, path: 'watched', tokens: [] }, child.pid ?? 0, async () => {
      const body = JSON.stringify({ key, value: Buffer.from('value').toString('base64') });
      await (await fetch(`${url}/v3/kv/put`, { method: 'POST', body })).text();
    });
  } finally {
    if (child.pid !== undefined && child.exitCode === null) {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    }
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function untilHealthy(url: string): Promise<[undefined]> {
  for (;;) {
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) return [undefined];
    await pause(50);
  }
}

/** Lets `count` listen, changes something a few times, and sees when the last one has it. */
async function crowd(order: WatchOrder, serverPid: number, change: () => Promise<void>): Promise<Crowd> {
  const children = Array.from({ length: clientProcesses }, () =>
    fork(join(import.meta.dirname, 'peers/watchers.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
  );
  try {
    const before = await residentKilobytes(serverPid);
    const count = order.count / clientProcesses;
    await Promise.all(
      children.map(async (child) => {
        const ready = hear(child, 'ready');
        child.send({ ...order, count } satisfies WatchOrder);
        await ready;
      }),
    );
    await pause(2000); // polls are on their way, and the collector has its turn
    const kilobytesEach = ((await residentKilobytes(serverPid)) - before) / order.count;
    await round(children, change); // the first time is for the machine to warm up
    await pause(500);
    const lasts: number[] = [];
    const medians: number[] = [];
    for (let index = 0; index < rounds; index += 1) {
      const { last, middle } = await round(children, change);
      lasts.push(last);
      medians.push(middle);
      await pause(300);
    }
    return { lastMs: median(lasts), medianMs: median(medians), kilobytesEach };
  } finally {
    for (const child of children) {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    }
  }
}

async function round(children: readonly ChildProcess[], change: () => Promise<void>) {
  const heard = Promise.all(children.map((child) => hear(child, 'all-have')));
  const started = Number(process.hrtime.bigint()) / 1e6;
  await change();
  const news = await heard;
  return {
    last: Math.max(...news.map(({ at }) => at)) - started,
    middle: Math.max(...news.map(({ medianAt }) => medianAt)) - started,
  };
}

function hear(child: ChildProcess, what: 'ready'): Promise<WatchNews>;
function hear(child: ChildProcess, what: 'all-have'): Promise<Extract<WatchNews, { what: 'all-have' }>>;
function hear(child: ChildProcess, what: WatchNews['what']): Promise<WatchNews> {
  return new Promise((resolve, reject) => {
    const onMessage = (news: WatchNews) => {
      if (news.what !== what) return;
      child.off('message', onMessage);
      resolve(news);
    };
    child.on('message', onMessage);
    child.once('exit', () => reject(new Error('a process of listeners ended')));
  });
}

async function residentKilobytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
