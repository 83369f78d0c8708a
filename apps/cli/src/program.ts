import { Command, CommanderError } from 'commander';
import { createApi, serverOrigin } from './api.ts';
import type { Cli } from './cli.ts';
import { agentCommand } from './commands/agent.ts';
import { agentsCommands } from './commands/agents.ts';
import { applyCommand } from './commands/apply.ts';
import { auditVerifyCommand } from './commands/audit-verify.ts';
import { configCommands } from './commands/config.ts';
import { keysCompromiseCommand } from './commands/keys-compromise.ts';
import { keysListCommand } from './commands/keys-list.ts';
import { keysRotateCommand } from './commands/keys-rotate.ts';
import { loginCommand } from './commands/login.ts';
import { logoutCommand } from './commands/logout.ts';
import { rolloutsCommands } from './commands/rollouts.ts';
import { runCommand } from './commands/run.ts';
import { secretsDestroyCommand } from './commands/secrets-destroy.ts';
import { secretsListCommand } from './commands/secrets-list.ts';
import { secretsRestoreCommand } from './commands/secrets-restore.ts';
import { servicesCreateCommand } from './commands/services-create.ts';
import { servicesListCommand } from './commands/services-list.ts';
import { usersArchiveCommand } from './commands/users-archive.ts';
import { usersCreateCommand } from './commands/users-create.ts';
import { usersListCommand } from './commands/users-list.ts';
import { usersRestoreCommand } from './commands/users-restore.ts';
import { usersSuspendCommand } from './commands/users-suspend.ts';
import { createCredentials } from './credentials.ts';
import { exitCodes, ProgramEnd, usageError } from './errors.ts';
import { createOutput, type OutputStream } from './output.ts';
import { createTerminal, type InputStream } from './terminal.ts';
import { version } from './version.ts';

/** The address of a server that nobody named: one started by `npm run dev`. */
const defaultServer = 'http://127.0.0.1:8400';

/** Runs one command line and returns the exit code. */
export async function runCli({
  argv,
  env,
  stdin,
  stdout,
  stderr,
}: {
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  stdin: InputStream;
  stdout: OutputStream;
  stderr: OutputStream;
}): Promise<number> {
  const output = createOutput({ stdout, stderr, env, isJson: () => ownArguments(argv).includes('--json') });
  const program = createProgram(env);
  const globals = () => program.opts<{ url?: string; organization?: string }>();
  const credentials = createCredentials(env, output.warning);
  const server = async () =>
    serverOrigin(globals().url ?? (env['GATEHOUSE_URL'] || (await credentials.currentServer()) || defaultServer));
  const now = () => Date.now();
  const cli: Cli = {
    output,
    terminal: createTerminal({ stdin, stderr }),
    credentials,
    server,
    now,
    env,
    api: async ({ loginOnly = false, organization } = {}) => {
      const chosen = globals().organization;
      if (chosen !== undefined && organization !== undefined && chosen !== organization) {
        throw usageError(`--organization is ${chosen}, and the service is one of ${organization}.`, 'leave one away');
      }
      return createApi({
        server: await server(),
        token: loginOnly ? undefined : env['GATEHOUSE_TOKEN'] || undefined,
        organization: chosen ?? organization,
        credentials,
        now,
      });
    },
  };
  addCommands(program, cli);
  const said: string[] = [];
  prepare(program, { stdout, said });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof ProgramEnd) return error.code;
    if (!(error instanceof CommanderError)) return output.error(error);
    if (error.exitCode === 0) return exitCodes.ok;
    return output.error(commandLineError(error, said.join('')));
  }
}

/** What is meant for us: after `--` stand the arguments of another program. */
function ownArguments(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}

function createProgram(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('gatehouse')
    .description('Administers a Gatehouse server.')
    .version(version, '--version', 'print the version')
    .option(
      '--url <url>',
      `address of the server (GATEHOUSE_URL${env['GATEHOUSE_URL'] ? `, now ${env['GATEHOUSE_URL']}` : ''})`,
    )
    .option('--organization <name>', 'work on this organization; for operators')
    .option('--json', 'print one JSON document; errors as problem JSON on stderr')
    .helpOption('-h, --help', 'print this help')
    .addHelpText(
      'after',
      '\nEnvironment: GATEHOUSE_URL, GATEHOUSE_TOKEN (an access token in place of a login), GATEHOUSE_CONFIG_DIR, NO_COLOR.' +
        '\nExit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 not verified, 4 server unreachable, 5 login needed.',
    );
}

function addCommands(program: Command, cli: Cli): void {
  loginCommand(program, cli);
  logoutCommand(program, cli);
  applyCommand(program, cli);
  const users = program.command('users').description('accounts');
  usersListCommand(users, cli);
  usersCreateCommand(users, cli);
  usersSuspendCommand(users, cli);
  usersArchiveCommand(users, cli);
  usersRestoreCommand(users, cli);
  const services = program.command('services').description('applications, backends and machine accounts');
  servicesListCommand(services, cli);
  servicesCreateCommand(services, cli);
  configCommands(program, cli);
  rolloutsCommands(program, cli);
  runCommand(program, cli);
  agentCommand(program, cli);
  agentsCommands(program, cli);
  const keys = program.command('keys').description('keyrings and their keys');
  keysListCommand(keys, cli);
  keysRotateCommand(keys, cli);
  keysCompromiseCommand(keys, cli);
  const audit = program.command('audit').description('the audit trail');
  auditVerifyCommand(audit, cli);
  const secrets = program.command('secrets').description('user secrets');
  secretsListCommand(secrets, cli);
  secretsDestroyCommand(secrets, cli);
  secretsRestoreCommand(secrets, cli);
}

/** Usage errors are thrown, not printed, so that they leave by one door and `--json` holds for them too. */
function prepare(command: Command, streams: { stdout: OutputStream; said: string[] }): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => streams.stdout.write(text),
    writeErr: (text) => streams.said.push(text),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  for (const child of command.commands) prepare(child, streams);
}

function commandLineError(error: CommanderError, said: string) {
  // A group without a command prints its help instead of a message.
  const missing = error.code === 'commander.help';
  const [message = '', ...more] = (missing ? 'error: name a command' : error.message)
    .replace(/^error: /, '')
    .split('\n');
  const hint = more.join(' ').replace(/[()]/g, '').trim();
  const commands = missing ? [...said.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map((match) => match[1]) : [];
  const fix = commands.length > 0 ? `one of: ${commands.filter((name) => name !== 'help').join(', ')}` : hint;
  return usageError(
    `${message.charAt(0).toUpperCase()}${message.slice(1)}.`.replace(/\.\.$/, '.'),
    fix || 'see gatehouse --help',
  );
}
