import type { JsonObject } from '@gatehouse/contracts';

/** How the program ends. Documented in docs/guides/command-line.md; scripts may rely on them. */
export const exitCodes = {
  ok: 0,
  /** The server refused, or something failed. */
  failed: 1,
  /** The command line is not right; nothing was sent. */
  usage: 2,
  /** What was to be verified does not hold. */
  notVerified: 3,
  /** The server cannot be reached. */
  unreachable: 4,
  /** There is no login, or it has ended. */
  loginNeeded: 5,
  /** As shells say it: what was to be run was found and cannot be started. */
  notRunnable: 126,
  /** As shells say it: what was to be run was not found. */
  notFound: 127,
  /** Ended from the keyboard. */
  interrupted: 130,
} as const;

/** One of {@link exitCodes}. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Errors that the program itself finds: code → title and exit code. The server's own codes come with its answers. */
export const cliErrorTable = {
  'cli.usage': { title: 'The command line is not right', exit: exitCodes.usage },
  'cli.not_found': { title: 'There is no such thing', exit: exitCodes.failed },
  'cli.not_confirmed': { title: 'Not confirmed; nothing was changed', exit: exitCodes.failed },
  'cli.declaration': { title: 'The declaration cannot be used', exit: exitCodes.failed },
  'cli.configuration': { title: 'The configuration cannot be used', exit: exitCodes.failed },
  'cli.conflict': { title: 'Somebody else was faster', exit: exitCodes.failed },
  'cli.file': { title: 'A file cannot be used', exit: exitCodes.failed },
  'cli.not_verified': { title: 'The verification failed', exit: exitCodes.notVerified },
  'cli.unreachable': { title: 'The server cannot be reached', exit: exitCodes.unreachable },
  'cli.not_gatehouse': { title: 'The answer is not one of Gatehouse', exit: exitCodes.failed },
  'cli.login_needed': { title: 'A login is needed', exit: exitCodes.loginNeeded },
  'cli.agent_configuration': { title: 'The configuration of the agent cannot be used', exit: exitCodes.usage },
  'cli.agent_refused': { title: 'The server refuses this agent', exit: exitCodes.loginNeeded },
  'cli.copy_refused': { title: 'The local copy cannot be used', exit: exitCodes.notVerified },
  'cli.configuration_refused': { title: 'The configuration cannot be applied', exit: exitCodes.failed },
  'cli.command_not_run': { title: 'The program cannot be started', exit: exitCodes.notRunnable },
  'cli.command_not_found': { title: 'The program was not found', exit: exitCodes.notFound },
  'cli.interrupted': { title: 'Interrupted', exit: exitCodes.interrupted },
  'cli.internal': { title: 'Something went wrong in this program', exit: exitCodes.failed },
} as const satisfies Record<string, { title: string; exit: ExitCode }>;

/** A code of {@link cliErrorTable}. */
export type CliErrorCode = keyof typeof cliErrorTable;

/** An end of the program that its user can do something about: what happened, and what to do next. */
export class CliError extends Error {
  readonly exit: ExitCode;
  /** What to do next. */
  readonly fix: string | undefined;
  /** The same as a problem document (RFC 9457), for `--json`. */
  readonly problem: JsonObject;

  constructor(
    code: CliErrorCode,
    detail: string,
    options: { fix?: string; problem?: JsonObject; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'CliError';
    this.exit = cliErrorTable[code].exit;
    this.fix = options.fix;
    this.problem = {
      type: `urn:gatehouse:error:${code}`,
      title: cliErrorTable[code].title,
      detail,
      code,
      ...(options.fix === undefined ? {} : { fix: options.fix }),
      ...options.problem,
    };
  }
}

/** A 400 and above of the server, with its problem document. */
export class ServerRefusal extends CliError {
  readonly status: number;
  readonly serverCode: string;

  constructor(status: number, problem: JsonObject, fix?: string) {
    const members = textMembers(problem);
    super('cli.internal', refusalText(status, members), { ...(fix === undefined ? {} : { fix }), problem });
    this.name = 'ServerRefusal';
    this.status = status;
    this.serverCode = members.code ?? 'unknown';
  }
}

function textMembers(problem: JsonObject): { title?: string; detail?: string; code?: string } {
  return Object.fromEntries(Object.entries(problem).filter(([, value]) => typeof value === 'string'));
}

/** The detail; with the title in front where that says more than a kind of answer does. */
function refusalText(status: number, { title, detail, code }: ReturnType<typeof textMembers>): string {
  if (detail === undefined) return title === undefined ? `The server answered ${status}.` : `${title}.`;
  return title === undefined || code?.startsWith('kernel.') ? detail : `${title}. ${detail}`;
}

/** The end of a command that runs a program: with an exit code of that program's choice. */
export class ProgramEnd extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`ended with ${code}`);
    this.name = 'ProgramEnd';
    this.code = code;
  }
}

/** A usage error: nothing was sent. */
export function usageError(detail: string, fix?: string): CliError {
  return new CliError('cli.usage', detail, fix === undefined ? {} : { fix });
}
