/** The options that `gatehouse run` and `gatehouse agent` share: who this is, and where it keeps what it knows. */
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { serverOrigin } from '../api.ts';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors.ts';
import { parseDuration } from './durations.ts';
import { defaultStateDir } from './state-folder.ts';

/** Longest token, bytes. */
const maxTokenBytes = 4096;

/** As they were given. */
export interface GivenAgentOptions {
  issuer?: string;
  stateDir?: string;
  name?: string;
  enrolmentTokenFile?: string;
  serviceTokenFile?: string;
  rotateKeysAfter?: number;
  startTimeout: number;
  verbose?: boolean;
}

/** Resolved. */
export interface AgentOptions {
  readonly url: string;
  readonly issuer: string | undefined;
  readonly service: string;
  readonly stateDir: string;
  readonly name: string | undefined;
  /** The token to enrol with, read when it is needed. */
  readonly tokens: () => Promise<{ enrolmentToken?: string; serviceToken?: string }>;
  readonly rotateKeysAfterSeconds: number | undefined;
  /** How long a start waits for enrolment and configuration. */
  readonly startTimeoutMs: number;
}

/** A duration on the command line, milliseconds. */
export function durationOption(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) throw new InvalidArgumentError('Use a time such as 500ms, 10s, 2m, 1h or 30d.');
  return milliseconds;
}

/** An option that is a duration, its default shown as one would write it. */
export function timeOption(flags: string, description: string, absentMs: number): Option {
  const shown = absentMs % 1000 === 0 ? `${absentMs / 1000}s` : `${absentMs}ms`;
  return new Option(flags, description).argParser(durationOption).default(absentMs, shown);
}

/** Adds the options to a command. */
export function addAgentOptions(command: Command): Command {
  return command
    .option('--issuer <url>', "the server's public address, when it is not --url: who signs configurations")
    .option('--state-dir <folder>', 'where this instance keeps its keys and local copies; one for each instance')
    .option('--name <name>', 'what people see in the list of agents; the name of the host when absent')
    .option('--enrolment-token-file <file>', 'works once; or GATEHOUSE_ENROLMENT_TOKEN, GATEHOUSE_ENROLMENT_TOKEN_FILE')
    .option(
      '--service-token-file <file>',
      'enrols any number; or GATEHOUSE_SERVICE_TOKEN, GATEHOUSE_SERVICE_TOKEN_FILE',
    )
    .option('--rotate-keys-after <time>', 'replace keys older than this; 30d when absent', durationOption)
    .addOption(timeOption('--start-timeout <time>', 'how long a start waits for the server', 60_000))
    .option('--verbose', 'tell on stderr what is going on, not only what is wrong');
}

/** Puts together what was given: the command line first, then the environment, then `file` (an agent.yaml). */
export async function agentOptions(
  cli: Cli,
  given: GivenAgentOptions,
  {
    service,
    globalUrl,
    file = {},
  }: {
    service: string;
    globalUrl: string | undefined;
    file?: {
      url?: string | undefined;
      issuer?: string | undefined;
      stateDir?: string | undefined;
      name?: string | undefined;
      enrolmentTokenFile?: string | undefined;
      serviceTokenFile?: string | undefined;
      rotateKeysAfterSeconds?: number | undefined;
    };
  },
): Promise<AgentOptions> {
  const { env } = cli;
  const named = globalUrl ?? (env['GATEHOUSE_URL'] || file.url);
  const url = named === undefined ? await cli.server() : serverOrigin(named);
  const inEnvironment = (name: string) => env[name] || undefined;
  const enrolment = tokenSource(
    '--enrolment-token-file',
    given.enrolmentTokenFile,
    inEnvironment('GATEHOUSE_ENROLMENT_TOKEN'),
    inEnvironment('GATEHOUSE_ENROLMENT_TOKEN_FILE') ?? file.enrolmentTokenFile,
  );
  const service_ = tokenSource(
    '--service-token-file',
    given.serviceTokenFile,
    inEnvironment('GATEHOUSE_SERVICE_TOKEN'),
    inEnvironment('GATEHOUSE_SERVICE_TOKEN_FILE') ?? file.serviceTokenFile,
  );
  if (enrolment && service_) {
    throw usageError('Both an enrolment token and a service token are given.', 'give one of the two');
  }
  return {
    url,
    issuer: given.issuer ?? file.issuer,
    service,
    stateDir: given.stateDir ?? file.stateDir ?? defaultStateDir(service, env, process.getuid?.() ?? -1),
    name: given.name ?? file.name,
    tokens: async () => {
      const enrolmentToken = await enrolment?.();
      const serviceToken = await service_?.();
      return {
        ...(enrolmentToken === undefined ? {} : { enrolmentToken }),
        ...(serviceToken === undefined ? {} : { serviceToken }),
      };
    },
    rotateKeysAfterSeconds:
      given.rotateKeysAfter === undefined ? file.rotateKeysAfterSeconds : given.rotateKeysAfter / 1000,
    startTimeoutMs: given.startTimeout,
  };
}

/**
 * A file that is gone is no error: a token that works once is often removed after it did, and only an agent that is not
 * enrolled needs one.
 */
function tokenSource(
  option: string,
  file: string | undefined,
  value: string | undefined,
  laterFile: string | undefined,
): (() => Promise<string | undefined>) | undefined {
  const path = file ?? (value === undefined ? laterFile : undefined);
  if (path === undefined) return value === undefined ? undefined : () => Promise.resolve(value.trim());
  return async () => {
    try {
      const text = (await readFile(path, 'utf8')).trim();
      if (text === '' || Buffer.byteLength(text) > maxTokenBytes) {
        throw new CliError('cli.file', `${option}: ${path} holds no token.`, { fix: 'write the token into it, alone' });
      }
      return text;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      if (error instanceof CliError) throw error;
      throw new CliError('cli.file', `${option}: ${path} cannot be read (${code}).`, { fix: 'check its permissions' });
    }
  };
}
