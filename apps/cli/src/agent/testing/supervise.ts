/**
 * The supervisor as a program of its own, for tests: each message of the parent is an environment to start with, and
 * what it did is told back. Arguments: options as JSON, then the program.
 */
import { isatty } from 'node:tty';
import { endLike } from '../exit.ts';
import { catchSignals } from '../signals.ts';
import { createSupervisor } from '../supervisor.ts';

const [options = '{}', file = '', ...args] = process.argv.slice(2);
const {
  graceMs = 5000,
  again = false,
  environment,
} = JSON.parse(options) as {
  graceMs?: number;
  again?: boolean;
  environment?: Record<string, string>;
};
const tell = (message: object) => process.connected && process.send?.(message);

const foreground = isatty(0);
const supervisor = createSupervisor({
  program: { file, args },
  foreground,
  stop: { signal: 'SIGTERM', graceMs },
  marker: `test-${process.pid}-${Date.now()}`,
  onExit: async () => {
    if (again) await start({});
  },
  now: () => Date.now(),
});
catchSignals({ foreground, onSignal: (signal, direct) => supervisor.signal(signal, direct) });
const start = async (next: Record<string, string>) => {
  const child = await supervisor.start({ PATH: process.env['PATH'] ?? '', ...next });
  tell({ started: child?.pid ?? null });
};
process.on('message', (message) => void start(message as Record<string, string>));
if (environment) await start(environment);
else tell({ ready: true });
const exit = await supervisor.ended;
if (process.connected) process.disconnect();
process.exitCode = await endLike(exit);
