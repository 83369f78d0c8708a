import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../journeys/support/programs.ts';

/** A real redis-server of a test, without persistence. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  /** Starts it again on the same port after `down`. */
  up(): Promise<void>;
  /** Hangs it: connections stay, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Kills it. */
  down(): Promise<void>;
  /** Kills it, and leaves nothing behind. */
  close(): Promise<void>;
}

/** Starts Debian's redis-server on a free port; throws with the line that installs it when it is missing. */
export async function startRedis(options: { password?: string } = {}): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const up = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
    if (options.password !== undefined) args.push('--requirepass', options.password);
    const started = spawn('redis-server', args, { stdio: 'ignore' });
    child = started;
    const failed = new Promise<never>((_, reject) => {
      started.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ENOENT'
            ? new Error('redis-server is not installed. Run: sudo scripts/install-test-tools.sh')
            : error,
        ),
      );
      started.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
    });
    failed.catch(() => {});
    await Promise.race([accepts(port), failed]);
  };
  const down = async () => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  };
  await up();
  const credentials = options.password === undefined ? '' : `:${options.password}@`;
  return {
    port,
    url: `redis://${credentials}127.0.0.1:${port}`,
    up,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    down,
    async close() {
      await down();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Waits until something answers PING (or asks for a password) at the port. */
async function accepts(port: number): Promise<void> {
  const until = Date.now() + 10_000;
  for (;;) {
    const answered = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
      socket.once('data', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
    });
    if (answered) return;
    if (Date.now() > until) throw new Error('redis-server does not answer');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
