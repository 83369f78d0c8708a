import type { AgentConfiguration } from './agent-file.ts';
import type { AgentOptions } from './agent-options.ts';
import { ownEnvironment } from './environment.ts';
import { createTargetsRunner } from './run-targets.ts';
import { createSay } from './say.ts';
import { openSession, type Session } from './session.ts';
import { takeStateDir } from './state-folder.ts';

/** Signals that end the agent in order. What it wrote and started stays. */
const endSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Keeps targets up to date until a signal ends it; with `once` until each file was written. Returns the exit code. */
export async function runAgent({
  agent,
  file,
  once,
  verbose,
  env,
  now,
  random,
}: {
  agent: AgentOptions;
  file: AgentConfiguration;
  once: boolean;
  verbose: boolean;
  env: Readonly<Record<string, string | undefined>>;
  now: () => number;
  random: () => number;
}): Promise<number> {
  const say = createSay({ verbose });
  const runner = createTargetsRunner(
    { namespaces: file.namespaces, targets: file.targets, once },
    { own: ownEnvironment(env), say, now, random },
  );
  const ending = new AbortController();
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  for (const signal of endSignals) process.on(signal, () => tell());
  let session: Session | undefined;
  let giveBack: (() => Promise<void>) | undefined;
  const work = async (): Promise<void> => {
    giveBack = await takeStateDir(agent.stateDir);
    session = await openSession({
      options: agent,
      namespaces: file.namespaces,
      apply: runner.apply,
      useReports: runner.useReports,
      reporting: !once,
      say,
      signal: ending.signal,
    });
    await session.ready;
    if (!once) {
      say.info(file.targets.length === 1 ? '1 target is up to date' : `${file.targets.length} targets are up to date`);
      await told;
    }
  };
  try {
    const working = work();
    working.catch(() => undefined);
    await Promise.race([working, told]);
    return 0;
  } finally {
    ending.abort();
    runner.close();
    await session?.close();
    await giveBack?.();
    for (const signal of endSignals) process.removeAllListeners(signal);
  }
}
