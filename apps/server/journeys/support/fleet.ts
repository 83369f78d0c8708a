/** A fleet of real `gatehouse run` processes, each with a real HTTP program, before real servers. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Administrator, administrator, createService, signIn } from './client.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { until } from './conditions.ts';
import { type Front, startFront } from './fleet-front.ts';
import { type Sampler, startSampler } from './fleet-sampler.ts';
import { freePort, processesOf, root } from './programs.ts';

/**
 * The program of an instance. It cannot live with `boom`, never gets well with `sick`, and while there is a file `gate`
 * one that has just started does not get well before it is let through.
 */
const program = `
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
const { PORT, GREETING } = process.env;
if (GREETING === 'boom') process.exit(1);
let isReady = false;
createServer((request, response) => {
  isReady ||= GREETING !== 'sick' && (!existsSync('gate') || existsSync('passes-' + PORT));
  response.writeHead(isReady ? 200 : 503).end(JSON.stringify({ greeting: GREETING, pid: process.pid }));
}).listen(Number(PORT), '127.0.0.1');
`;

/** An instance as the server lists it. */
export interface ListedInstance {
  readonly name: string;
  readonly agent_id: string;
  readonly state: string;
  readonly version: number;
  readonly running_version?: number;
  readonly slot?: { readonly version: number };
  readonly reason?: string;
}

/** A rollout as the server shows it. */
export interface ShownRollout {
  readonly state: string;
  readonly phase?: string;
  readonly bake_until?: string;
  readonly reason?: string;
  readonly counts: Readonly<Record<string, number>>;
}

/** A version as the server shows it. */
export interface ShownVersion {
  readonly kind: string;
  readonly restores?: number;
  readonly cause?: Readonly<Record<string, unknown>>;
  readonly configuration: { readonly GREETING: string };
}

/** One `gatehouse run`. */
export interface FleetAgent {
  readonly name: string;
  /** Index of the node that is asked first. */
  readonly node: number;
  start(): void;
  isRunning(): boolean;
  /** `SIGKILL` of the agent alone: it can tell nobody. */
  kill(): Promise<void>;
  /** What it said, for a message about a failure. */
  output(): string;
}

/** The fleet, and what a test asks about it. */
export interface Fleet {
  readonly cluster: Cluster;
  readonly agents: readonly FleetAgent[];
  readonly sampler: Sampler;
  agent(name: string): FleetAgent;
  setPolicy(policy: object): Promise<void>;
  publish(greeting: string): Promise<number>;
  rollout(version: number): Promise<ShownRollout>;
  version(version: number): Promise<ShownVersion>;
  instances(): Promise<ListedInstance[]>;
  /** Waits until the rollout of a version has this state. */
  ends(version: number, state: string, seconds?: number): Promise<ShownRollout>;
  /** Waits until an instance that holds a slot runs with `greeting` and does not get well because of the gate. */
  heldAtTheGate(greeting: string): Promise<ListedInstance>;
  /** From now on nobody who starts gets well. */
  closeGate(): Promise<void>;
  /** Lets one through the gate, and waits until it serves. */
  letThrough(name: string): Promise<void>;
  openGate(): Promise<void>;
  close(): Promise<void>;
}

/** Starts servers and agents; resolves when all serve `hello` as version 1 and are listed as healthy. */
export async function startFleet(options: {
  size: number;
  nodes?: number;
  /** How long a program may take to get well. */
  startPeriod: string;
}): Promise<Fleet> {
  const { size, nodes = 1, startPeriod } = options;
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-fleet-'));
  await writeFile(join(folder, 'program.mjs'), program);
  const agents: (FleetAgent & { port: number; end(): Promise<void> })[] = [];
  const fronts: Front[] = [];
  let cluster: Cluster | undefined;
  let sampler: Sampler | undefined;

  const close = async () => {
    await Promise.all(agents.map((agent) => agent.end()));
    await sampler?.stop();
    await Promise.all(fronts.map((front) => front.close()));
    await cluster?.close();
    await until('nothing is left running', async () => (await processesOf(folder)).size === 0);
    await rm(folder, { recursive: true, force: true });
  };

  try {
    const started = await startCluster({ count: nodes, logLevel: 'warn' });
    cluster = started;
    const urls = started.nodes.map(({ url }) => url);
    if (nodes > 1) {
      for (const index of urls.keys()) {
        fronts.push(await startFront(await freePort(), [...urls.slice(index), ...urls.slice(0, index)]));
      }
    }
    const addresses = nodes > 1 ? fronts.map(({ url }) => url) : urls;
    // People come through the front, too.
    const base = addresses[0] ?? '';
    const { access_token: token } = await signIn(base, started.operator);
    const made = await administrator(token)('POST', `${base}/v1/organizations`, { name: 'acme' });
    assert.equal(made.status, 201, made.body);
    const admin = administrator(token, 'acme');
    await createService(base, admin, 'billing', {});
    const ask = asker(admin, base);
    const body = { service: 'billing', namespace: 'default', configuration: { GREETING: 'hello' } };
    await ask('POST', 'namespaces', body);
    const { authorization_token: serviceToken } = await ask<{ authorization_token: string }>(
      'POST',
      'billing/tokens',
      {},
    );

    for (let number = 1; number <= size; number += 1) {
      const node = Math.floor(((number - 1) * nodes) / size);
      const env = { GATEHOUSE_URL: addresses[node] ?? base, GATEHOUSE_SERVICE_TOKEN: serviceToken };
      const issuer = started.publicUrl;
      agents.push(
        createAgent({ name: `web-${number}`, node, port: await freePort(), folder, env, issuer, startPeriod }),
      );
    }
    for (const agent of agents) agent.start();
    const asking = startSampler(agents);
    sampler = asking;
    const fleet: Fleet = {
      cluster: started,
      agents,
      sampler: asking,
      agent(name) {
        const found = agents.find((one) => one.name === name);
        assert.ok(found, `there is no agent ${name}`);
        return found;
      },
      setPolicy: async (policy) => void (await ask('PUT', 'billing/rollout-policy', policy)),
      async publish(greeting) {
        const { version } = await ask<{ version: number }>('GET', 'billing/default/latest');
        const next = { parent_version: version, configuration: { GREETING: greeting } };
        return (await ask<{ version: number }>('POST', 'billing/default', next)).version;
      },
      rollout: (version) => ask('GET', `billing/default/rollouts/${version}`),
      version: (version) => ask('GET', `billing/default/${version}`),
      instances: async () => (await ask<{ items: ListedInstance[] }>('GET', 'billing/instances')).items,
      async ends(version, state, seconds = 60) {
        let shown: ShownRollout | undefined;
        const holds = async () => {
          shown = await fleet.rollout(version);
          return shown.state === state;
        };
        await until(`version ${version} is ${state}`, holds, seconds).catch((error: unknown) => {
          throw new Error(`${JSON.stringify(shown)}\n${agents.map((one) => one.output()).join('')}`, { cause: error });
        });
        assert.ok(shown);
        return shown;
      },
      async heldAtTheGate(greeting) {
        let held: ListedInstance | undefined;
        const holds = async () => {
          held = (await fleet.instances()).find(({ slot }) => slot !== undefined);
          const seen = held && asking.now(held.name);
          return seen?.greeting === greeting && !seen.serves;
        };
        await until('one waits at the gate', holds, 60);
        assert.ok(held);
        return held;
      },
      closeGate: () => writeFile(join(folder, 'gate'), ''),
      async letThrough(name) {
        const passes = join(folder, `passes-${agents.find((one) => one.name === name)?.port}`);
        await writeFile(passes, '');
        await until(`${name} is well`, () => asking.now(name)?.serves === true);
        await rm(passes);
      },
      openGate: () => rm(join(folder, 'gate'), { force: true }),
      close,
    };
    await until('all serve', () => asking.serving('hello').length === size, 60);
    const isHealthy = ({ state }: ListedInstance) => state === 'healthy';
    await until('all are listed', async () => (await fleet.instances()).filter(isHealthy).length === size, 60);
    await fleet.ends(1, 'completed');
    asking.forget();
    return fleet;
  } catch (error) {
    const said = agents.map((agent) => agent.output()).join('');
    await close().catch(() => undefined);
    throw new Error(`the fleet did not start:\n${said}`, { cause: error });
  }
}

/** Requests below `/v1/services/` that have to succeed. */
function asker(admin: Administrator, base: string) {
  return async <T>(method: string, path: string, body?: object): Promise<T> => {
    const answer = await admin(method, `${base}/v1/services/${path}`, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return answer.json<T>();
  };
}

function createAgent(options: {
  name: string;
  node: number;
  port: number;
  folder: string;
  issuer: string;
  env: Record<string, string>;
  startPeriod: string;
}): FleetAgent & { port: number; end(): Promise<void> } {
  const { name, node, port, folder } = options;
  const args = ['run', '--service', 'acme.billing', '--issuer', options.issuer, '--name', name];
  args.push('--state-dir', join(folder, name), '--health', `http://127.0.0.1:${port}/`, '--health-interval', '250ms');
  args.push('--health-start-period', options.startPeriod, '--', process.execPath, 'program.mjs');
  let child: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  let output = '';
  const read = (chunk: Buffer) => (output += `${name}: ${chunk.toString()}`);
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const send = async (signal: NodeJS.Signals) => {
    if (isRunning()) child?.kill(signal);
    await ended;
  };
  // The last net: a test that breaks takes its agents along, and their guards take the programs.
  process.once('exit', () => child?.kill('SIGKILL'));
  return {
    name,
    node,
    port,
    start() {
      const started = spawn(process.execPath, [join(root, 'apps/cli/bin/gatehouse.js'), ...args], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'] ?? '', HOME: folder, PORT: String(port), ...options.env },
      });
      child = started;
      ended = once(started, 'exit');
      started.stdout.on('data', read);
      started.stderr.on('data', read);
    },
    isRunning,
    kill: () => send('SIGKILL'),
    end: () => send('SIGTERM'),
    output: () => output,
  };
}
