import { spawn } from 'node:child_process';
import { timerMs } from './durations.ts';
import { exitText } from './exit.ts';

/**
 * Runs a command without a shell, at most so long; then it is killed with all it started. `undefined`: exit code 0.
 * Otherwise what went wrong, for a report: nothing of its output, which may hold secrets. Never rejects.
 */
export function runCommand(
  argv: readonly string[],
  {
    timeoutMs,
    environment,
    output,
    signal,
  }: {
    timeoutMs: number;
    environment: Readonly<Record<string, string>>;
    /** `stderr`: both its outputs go where ours goes. */
    output: 'none' | 'stderr';
    signal?: AbortSignal;
  },
): Promise<string | undefined> {
  const [file = '', ...args] = argv;
  if (signal?.aborted) return Promise.resolve('the agent is ending');
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: output === 'none' ? 'ignore' : ['ignore', 2, 2],
      detached: true,
      env: environment,
    });
    let cut: string | undefined;
    const kill = (why: string) => {
      cut ??= why;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // it has just ended
      }
    };
    const timer = setTimeout(() => kill(`not done in ${timeoutMs} ms`), timerMs(timeoutMs));
    const stop = () => kill('the agent is ending');
    signal?.addEventListener('abort', stop, { once: true });
    const end = (problem: string | undefined) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      resolve(problem);
    };
    child.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'cannot be started'));
    child.once('exit', (code, by) => {
      if (cut !== undefined) end(cut);
      else end(code === 0 ? undefined : exitText(by === null ? { code: code ?? 0 } : { signal: by }));
    });
  });
}
