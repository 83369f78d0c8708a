/**
 * `npm run demo [-- path/to/file …] [--packed]`: the journey Gatehouse exists for, with real programs, told in plain
 * words. Ends with 0 only if every step was as told, and leaves nothing running. `--packed` runs the records service from
 * a copy outside the repository with the SDK as `npm pack` makes it.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { NotAsTold } from './demo/client.ts';
import { type Document, walk } from './demo/journey.ts';
import { packRecords } from './demo/packed-records.ts';
import { createReport } from './demo/report.ts';
import { root, startWorld } from './demo/world.ts';

/** What the records service takes. */
const maxFileBytes = 64 * 1024 * 1024;

const report = createReport(process.stdout);

/** Rejects when the demo is interrupted; the second time ends it at once. */
const interruption = new Promise<never>((_resolve, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      reject(new NotAsTold(`it was interrupted by ${signal}`));
      process.once(signal, () => process.exit(130));
    });
  }
});
interruption.catch(() => undefined);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { packed: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const documents = positionals.length > 0 ? await readFiles(positionals) : await readOwnDocuments();
  const started = performance.now();
  console.log('Gatehouse: the first journey. Two programs are started: the server, on a fresh database, and the');
  console.log('records service, a backend that keeps users’ files encrypted.');
  const packed = values.packed ? await packRecords() : undefined;
  try {
    const world = await startWorld({ recordsFolder: packed?.folder ?? join(root, 'examples/records') });
    console.log(`The server is at ${world.gatehouseUrl}, the records service at ${world.recordsUrl}.`);
    try {
      await Promise.race([walk(world, report, documents), interruption]);
    } finally {
      await world.close();
    }
  } finally {
    await packed?.remove();
  }
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`\nEverything was as told, in ${seconds} seconds. Both programs have ended, and their data is removed.`);
}

async function readFiles(paths: readonly string[]): Promise<Document[]> {
  return Promise.all(
    paths.map(async (path) => {
      const { size } = await stat(path);
      if (size > maxFileBytes) {
        throw new NotAsTold(
          `${path} has ${size} bytes; the records service takes files of up to ${maxFileBytes} bytes.`,
        );
      }
      return { name: basename(path), bytes: await readFile(path) };
    }),
  );
}

/** The repository's own documents. */
async function readOwnDocuments(): Promise<Document[]> {
  const docs = await readdir(join(root, 'docs'), { recursive: true, withFileTypes: true });
  const paths = [
    ...(await readdir(root)).filter((name) => /^(LICENSE|.*\.md)$/.test(name)).map((name) => join(root, name)),
    ...docs.filter((entry) => entry.name.endsWith('.md')).map((entry) => join(entry.parentPath, entry.name)),
  ];
  return Promise.all(
    paths
      .sort()
      .map(async (path) => ({ name: relative(root, path).replaceAll('/', ' - '), bytes: await readFile(path) })),
  );
}

try {
  await main();
} catch (error) {
  report.failure(error instanceof NotAsTold ? error.message : String(error instanceof Error ? error.stack : error));
  process.exitCode = 1;
}
