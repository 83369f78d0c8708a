/** One server on a fresh database, with nobody in it: its set-up link is still to be used. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEmptyTestDatabase } from '@gatehouse/testkit';
import { until } from './conditions.ts';
import { freePort, type Program, startProgram } from './programs.ts';
import { startTlsFront } from './tls-front.ts';

export interface SingleServer {
  /** The address people and clients use; https when there is a TLS front. */
  readonly publicUrl: string;
  /** The address of the process itself, plain http. */
  readonly innerUrl: string;
  /** The one-time link it printed. */
  readonly setupUrl: string;
  readonly program: Program;
  close(): Promise<void>;
}

/** Starts it; with `tls` behind a TLS front, as in production. */
export async function startSingleServer(options: { tls: boolean }): Promise<SingleServer> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-journey-'));
  const database = await createEmptyTestDatabase();
  const port = await freePort();
  const innerUrl = `http://127.0.0.1:${port}`;
  const frontPort = options.tls ? await freePort() : undefined;
  const publicUrl = frontPort === undefined ? innerUrl : `https://127.0.0.1:${frontPort}`;
  const front = frontPort === undefined ? undefined : await startTlsFront(frontPort, innerUrl);
  let program: Program | undefined;
  const close = async () => {
    await front?.close();
    await program?.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const started = await startProgram({
      name: 'The server',
      script: 'apps/server/src/main.ts',
      cwd: folder,
      env: {
        GATEHOUSE_PUBLIC_URL: publicUrl,
        GATEHOUSE_PORT: String(port),
        GATEHOUSE_DATABASE_URL: database.connectionString,
        GATEHOUSE_DATA_DIR: folder,
        GATEHOUSE_ROOT_KEY: randomBytes(32).toString('base64url'),
        GATEHOUSE_LOG_LEVEL: 'warn',
      },
      readyText: /^Gatehouse is ready/m,
    });
    program = started;
    const link = () => /^No operator exists yet\..* (https?:\S+)$/m.exec(started.output())?.[1];
    await until('the set-up link is printed', () => link() !== undefined);
    const setupUrl = link();
    assert.ok(setupUrl);
    return { publicUrl, innerUrl, setupUrl, program: started, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}
