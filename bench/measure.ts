import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';

/** One figure beside its floor or peer, of the same run. */
export interface Figure {
  name: string;
  /** What it is compared with. */
  beside: string;
  value: number;
  other: number;
  unit: string;
  /** The ratio value/other that the budget asks for: `at least` or `at most`. */
  budget?: { atLeast?: number; atMost?: number };
}

/** Prints figures as they come; returns how many missed their budget. */
export function report(figures: readonly Figure[]): number {
  let missed = 0;
  for (const figure of figures) {
    const ratio = figure.value / figure.other;
    const { atLeast, atMost } = figure.budget ?? {};
    const met = (atLeast === undefined || ratio >= atLeast) && (atMost === undefined || ratio <= atMost);
    if (!met) missed += 1;
    const budget =
      atLeast !== undefined ? `budget ≥ ${atLeast}` : atMost !== undefined ? `budget ≤ ${atMost}` : 'no budget';
    process.stdout.write(
      `${figure.name}: ${round(figure.value)} ${figure.unit}; ${figure.beside}: ${round(figure.other)} ${figure.unit}; ratio ${ratio.toFixed(2)}; ${budget}${met ? '' : ' — MISSED'}\n`,
    );
  }
  return missed;
}

function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

/** The median of a few runs: these machines are noisy. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** A free port on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A process under measurement. */
export interface Running {
  readonly url: string;
  readonly pid: number;
  /** Milliseconds from the start of the process to its first answer. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** Starts a script and waits until `path` answers. */
export async function startProcess(
  script: string,
  options: { env: Record<string, string>; port: number; path: string; flags?: readonly string[] },
): Promise<Running> {
  const started = performance.now();
  const child = spawn(process.execPath, [...(options.flags ?? []), script], {
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${options.port}`;
  await untilAnswers(`${url}${options.path}`, child);
  const readyMs = performance.now() - started;
  return {
    url,
    pid: child.pid ?? 0,
    readyMs,
    async stop() {
      if (child.exitCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    },
  };
}

async function untilAnswers(url: string, child: ChildProcess): Promise<void> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; ) {
    if (child.exitCode !== null)
      throw new Error(`the process ended with ${child.exitCode} before it answered at ${url}`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  throw new Error(`no answer from ${url} within 60 s`);
}

/** The operator of a server under measurement. */
export const operator = { username: 'bench-operator', password: 'bench operator with a long password' };

/** Starts Gatehouse on an embedded PostgreSQL in a directory of its own (or the given one, to start it again). */
export async function startGatehouse(
  options: { env?: Record<string, string>; dataDir?: string } = {},
): Promise<Running & { dataDir: string }> {
  const port = await freePort();
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'gatehouse-bench-')));
  const running = await startProcess('apps/server/src/main.ts', {
    port,
    path: '/readyz',
    flags: ['--max-semi-space-size=8'], // as `npm run dev` starts it
    env: {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATA_DIR: dataDir,
      GATEHOUSE_LOG_LEVEL: 'error',
      GATEHOUSE_ADMIN_USERNAME: operator.username,
      GATEHOUSE_ADMIN_PASSWORD: operator.password,
      ...options.env,
    },
  });
  return {
    ...running,
    dataDir,
    async stop() {
      await running.stop();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Calls an API route with JSON and returns its JSON; throws what the problem document says. */
export async function call<T = Record<string, unknown>>(
  url: string,
  options: { method?: string; token?: string; organization?: string; body?: unknown } = {},
): Promise<T> {
  const headers: Record<string, string> = {};
  if (options.token !== undefined) headers['authorization'] = `Bearer ${options.token}`;
  if (options.organization !== undefined) headers['gatehouse-organization'] = options.organization;
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  const init: RequestInit = { method: options.method ?? (options.body === undefined ? 'GET' : 'POST'), headers };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  const answer = await fetch(url, init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${init.method} ${url}: ${answer.status} ${text}`);
  return (text === '' ? {} : JSON.parse(text)) as T;
}

/** Signs in and returns the access token. */
export async function signIn(url: string, user = operator): Promise<string> {
  return (await call<{ access_token: string }>(`${url}/v1/sessions`, { body: user })).access_token;
}

/** What a load of requests gave. */
export interface Load {
  perSecond: number;
  /** Answers of 304. */
  unchangedPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  failures: number;
}

/** Sends the same request from `connections` connections for `seconds`. */
export async function load(request: {
  url: string;
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  connections: number;
  seconds: number;
}): Promise<Load> {
  const result = await autocannon({
    url: request.url,
    method: request.method ?? 'GET',
    headers: request.headers ?? {},
    ...(request.body === undefined ? {} : { body: request.body }),
    connections: request.connections,
    duration: request.seconds,
  });
  return {
    perSecond: result['2xx'] / result.duration,
    unchangedPerSecond: result['3xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failures: result['4xx'] + result['5xx'] + result.errors,
  };
}
