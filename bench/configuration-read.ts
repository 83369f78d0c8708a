/** Agents' reads beside a bare Fastify route that returns the same bytes; and how fast versions are published. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfigurationBench, startConfigurationBench } from './configuration-setup.ts';
import { type Figure, freePort, load, median, startProcess } from './measure.ts';

const connections = 32;

export async function measureConfigurationReads(seconds: number): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'));
  const bench = await startConfigurationBench({ agents: connections });
  try {
    const plain = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`SETTING_${index}`, `value ${index}`]));
    await bench.createNamespace('plain', plain);
    await bench.createNamespace('secret', { ...plain, PASSWORD: { $secret: 'a password of a database' } });
    const figures: Figure[] = [];
    for (const [name, namespace] of [
      ['agent read of a signed bundle', 'plain'],
      ['agent read of a bundle with secrets', 'secret'],
    ] as const) {
      figures.push(await besideBareRoute(bench, { folder, seconds, name, path: `${bench.path(namespace)}/1/agent` }));
    }
    const { ours, bare } = await latestBesideBareRoute(bench, { folder, seconds });
    figures.push(ours, bare);
    figures.push(await publishRate(bench, seconds));
    return figures;
  } finally {
    await bench.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Setting {
  folder: string;
  seconds: number;
}

const headersOf = (bench: ConfigurationBench) => ({ authorization: `Bearer ${bench.agentTokens[0] ?? ''}` });

async function withBareRoute<T>(folder: string, body: Uint8Array, work: (url: string) => Promise<T>): Promise<T> {
  const file = join(folder, 'body');
  await writeFile(file, body);
  const port = await freePort();
  const env = { PORT: String(port), BODY_FILE: file };
  const peer = await startProcess('bench/peers/bare-fastify.ts', { port, path: '/ready', env });
  try {
    return await work(`${peer.url}/body`);
  } finally {
    await peer.stop();
  }
}

async function bytesOf(url: string, headers: Record<string, string>): Promise<Uint8Array> {
  const answer = await fetch(url, { headers });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function besideBareRoute(
  bench: ConfigurationBench,
  { folder, seconds, name, path }: Setting & { name: string; path: string },
): Promise<Figure> {
  const headers = headersOf(bench);
  const url = `${bench.url}${path}`;
  return withBareRoute(folder, await bytesOf(url, headers), async (bareUrl) => {
    await load({ url, headers, connections, seconds: 2 });
    await load({ url: bareUrl, connections, seconds: 1 });
    const rates: number[] = [];
    const floors: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const run = await load({ url, headers, connections, seconds });
      if (run.failures > 0) throw new Error(`${run.failures} reads failed`);
      rates.push(run.perSecond);
      floors.push((await load({ url: bareUrl, connections, seconds })).perSecond);
    }
    const beside = 'bare Fastify route with the same bytes';
    return { name, beside, value: median(rates), other: median(floors), unit: '/s', budget: { atLeast: 0.5 } };
  });
}

/** `latest` asks the database each time; 304 has to be faster than reading the bundle. */
async function latestBesideBareRoute(
  bench: ConfigurationBench,
  { folder, seconds }: Setting,
): Promise<{ ours: Figure; bare: Figure }> {
  const headers = headersOf(bench);
  const url = `${bench.url}${bench.path('plain')}/agent?since=0`;
  const bundle = `${bench.url}${bench.path('plain')}/1/agent`;
  return withBareRoute(folder, await bytesOf(url, headers), async (bareUrl) => {
    const rates: number[] = [];
    const floors: number[] = [];
    const unchanged: number[] = [];
    const bundles: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      rates.push((await load({ url, headers, connections, seconds })).perSecond);
      floors.push((await load({ url: bareUrl, connections, seconds })).perSecond);
      unchanged.push(
        (await load({ url: url.replace('since=0', 'since=1'), headers, connections, seconds })).unchangedPerSecond,
      );
      bundles.push((await load({ url: bundle, headers, connections, seconds })).perSecond);
    }
    return {
      ours: {
        name: 'agent asks for the newest version',
        beside: 'bare Fastify route with the same bytes',
        value: median(rates),
        other: median(floors),
        unit: '/s',
        budget: { atLeast: 0.5 },
      },
      bare: {
        name: 'agent asks for the newest version, 304',
        beside: 'agent read of a signed bundle',
        value: median(unchanged),
        other: median(bundles),
        unit: '/s',
        budget: { atLeast: 1 },
      },
    };
  });
}

/** Publications one after another in one namespace, and in eight at once. */
async function publishRate(bench: ConfigurationBench, seconds: number): Promise<Figure> {
  const lane = async (namespace: string, end: number): Promise<number> => {
    let version = 1;
    while (performance.now() < end) version = await bench.publish(namespace, version, { VALUE: `${version}` });
    return version - 1;
  };
  const names = Array.from({ length: 8 }, (_, index) => `published-${index}`);
  for (const name of [...names, 'alone']) await bench.createNamespace(name, { VALUE: '0' });
  const alone = await lane('alone', performance.now() + seconds * 1000);
  const end = performance.now() + seconds * 1000;
  const crowd = await Promise.all(names.map((name) => lane(name, end)));
  return {
    name: 'publications, eight namespaces at once',
    beside: 'one after another in one namespace',
    value: crowd.reduce((sum, count) => sum + count, 0) / seconds,
    other: alone / seconds,
    unit: '/s',
  };
}
