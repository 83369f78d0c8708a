import type { AgentOptions } from './agent-options.ts';
import { ownEnvironment } from './environment.ts';
import { endLike } from './exit.ts';
import { createProgramRunner, type RunOptions } from './run-program.ts';
import { createSay } from './say.ts';
import { openSession, type Session } from './session.ts';
import { catchSignals } from './signals.ts';
import { takeStateDir } from './state-folder.ts';

/** Runs a program until it ends; ends as it did, or returns its exit code. Throws when it could not be started. */
export async function runProgram({
  agent,
  run,
  verbose,
  env,
  marker,
  now,
}: {
  agent: AgentOptions;
  run: RunOptions;
  verbose: boolean;
  env: Readonly<Record<string, string | undefined>>;
  /** Random: the processes of this run are known by it. */
  marker: string;
  now: () => number;
}): Promise<number> {
  const say = createSay({ verbose });
  const runner = createProgramRunner(run, { own: ownEnvironment(env), marker, say, now });
  const { supervisor } = runner;
  const stopCatching = catchSignals({
    foreground: run.foreground,
    onSignal: (signal, direct) => supervisor.signal(signal, direct),
  });
  const ending = new AbortController();
  let session: Session | undefined;
  let giveBack: (() => Promise<void>) | undefined;
  const start = async (): Promise<never> => {
    giveBack = await takeStateDir(agent.stateDir);
    session = await openSession({
      options: agent,
      namespaces: run.namespaces,
      apply: runner.apply,
      useReports: runner.useReports,
      reporting: true,
      say,
      signal: ending.signal,
    });
    await session.ready;
    if (run.watch.kind === 'none') await session.stopFollowing();
    return new Promise<never>(() => undefined);
  };
  const starting = start();
  starting.catch(() => undefined);
  try {
    const exit = await Promise.race([supervisor.ended, starting]);
    return await endAfter(exit);
  } catch (error) {
    // Nothing runs: it could not be started, or there was nothing to start it with.
    supervisor.abandon();
    await close();
    throw error;
  }

  async function endAfter(exit: Awaited<typeof supervisor.ended>): Promise<number> {
    runner.reportEnd(exit);
    await close();
    stopCatching();
    return endLike(exit);
  }

  async function close(): Promise<void> {
    ending.abort();
    await session?.close();
    await giveBack?.();
  }
}
