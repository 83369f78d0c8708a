import { randomBytes } from 'node:crypto';
import { isatty } from 'node:tty';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addAgentOptions, agentOptions, type GivenAgentOptions, timeOption } from '../agent/agent-options.ts';
import { defaultHealth } from '../agent/health.ts';
import { parseProbe } from '../agent/probes.ts';
import type { Watch } from '../agent/run-program.ts';
import { parseSignal } from '../agent/signals.ts';
import type { Cli } from '../cli.ts';
import { ProgramEnd, usageError } from '../errors.ts';
import { collect } from '../values.ts';

interface Options extends GivenAgentOptions {
  service: string;
  namespace?: string[];
  watch: Watch;
  stopSignal: NodeJS.Signals;
  grace: number;
  restartOnExit?: boolean;
  health?: string;
  healthInterval: number;
  healthTimeout: number;
  healthRetries: number;
  healthStartPeriod: number;
  settle: number;
  hold: number;
}

/** `gatehouse run`: starts a program with the configuration of a service as its environment, and keeps it up to date. */
export function runCommand(parent: Command, cli: Cli): void {
  addAgentOptions(
    parent
      .command('run')
      .description('run a program with the configuration of a service as its environment')
      .usage('[options] -- <program> [arguments...]')
      .argument('<program...>', 'the program and its arguments, after --')
      .requiredOption('--service <service>', 'whose configuration: <organization>.<service>')
      .option(
        '--namespace <name>',
        'default when absent; may be repeated: the later ones count where several have a key',
        collect,
      )
      .addOption(
        new Option('--watch <how>', 'what a new version does: restart, signal:<signal>, none')
          .argParser(watchOption)
          .default({ kind: 'restart' }, 'restart'),
      )
      .option('--stop-signal <signal>', 'asks the program to end', signalOption, 'SIGTERM')
      .addOption(timeOption('--grace <time>', 'how long it may take to end before SIGKILL', 10_000))
      .option('--restart-on-exit', 'start it again however it ended; without, its end is ours')
      .option('--health <probe>', 'http://…, tcp:<port>, or a command; without one it is well when it still runs')
      .addOption(timeOption('--health-interval <time>', 'between two questions', defaultHealth.intervalMs))
      .addOption(timeOption('--health-timeout <time>', 'for an answer', defaultHealth.timeoutMs))
      .option('--health-retries <n>', 'failures in a row that count', countOption, defaultHealth.retries)
      .addOption(
        timeOption('--health-start-period <time>', 'failures before that do not count', defaultHealth.startPeriodMs),
      )
      .addOption(
        timeOption('--settle <time>', 'without a probe: well when it still runs after this', defaultHealth.settleMs),
      )
      .addOption(
        timeOption('--hold <time>', 'how long a program that a change has ended waits for the next version', 30_000),
      ),
  ).action(async (words: string[], options: Options, command: Command) => {
    const [file = '', ...args] = words;
    if (file === '') throw usageError('No program is named.', 'name it after --');
    const { runProgram } = await import('../agent/run.ts');
    const namespaces = options.namespace ?? ['default'];
    const end = await runProgram({
      agent: await agentOptions(cli, options, {
        service: options.service,
        globalUrl: command.optsWithGlobals<{ url?: string }>().url,
      }),
      run: {
        program: { file, args },
        namespaces: [...new Set(namespaces)],
        watch: options.watch,
        stop: { signal: options.stopSignal, graceMs: options.grace },
        restartOnExit: options.restartOnExit ?? false,
        health: {
          ...(options.health === undefined ? {} : { probe: parseProbe(options.health) }),
          settleMs: options.settle,
          intervalMs: options.healthInterval,
          timeoutMs: options.healthTimeout,
          retries: options.healthRetries,
          startPeriodMs: options.healthStartPeriod,
        },
        holdMs: options.hold,
        foreground: isatty(0),
      },
      verbose: options.verbose ?? false,
      env: cli.env,
      marker: randomBytes(16).toString('hex'),
      now: cli.now,
    });
    throw new ProgramEnd(end);
  });
}

function watchOption(text: string): Watch {
  if (text === 'restart' || text === 'none') return { kind: text };
  if (text.startsWith('signal:')) return { kind: 'signal', signal: signalOption(text.slice('signal:'.length)) };
  throw new InvalidArgumentError('Use restart, signal:<signal> such as signal:SIGHUP, or none.');
}

function signalOption(text: string): NodeJS.Signals {
  const signal = parseSignal(text);
  if (!signal) throw new InvalidArgumentError('Use the name of a signal, such as SIGTERM.');
  return signal;
}

function countOption(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1000)
    throw new InvalidArgumentError('Use a number from 1 to 1000.');
  return count;
}
