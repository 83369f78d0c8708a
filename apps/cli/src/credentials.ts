import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CliError } from './errors.ts';

/** A login: the tokens of one session at one server. */
export interface Login {
  readonly username: string;
  readonly access_token: string;
  readonly refresh_token: string;
  /** When the access token ends, RFC 3339. */
  readonly expires_at: string;
}

interface CredentialsFile {
  version: 1;
  /** The server that commands go to when none is named: that of the last login. */
  current?: string;
  /** Logins by the server's origin. */
  logins: Record<string, Login>;
}

const empty = (): CredentialsFile => ({ version: 1, logins: {} });

/**
 * The logins of this user on this machine: `credentials.json`, readable by its owner only.
 * It is replaced in one step (written beside, flushed, renamed), so that a crash leaves the old or the new one.
 */
export function createCredentials(env: Readonly<Record<string, string | undefined>>, warn: (text: string) => void) {
  const directory =
    env['GATEHOUSE_CONFIG_DIR'] ||
    join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'gatehouse');
  const path = join(directory, 'credentials.json');

  const read = async (): Promise<CredentialsFile> => {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return empty();
      throw new CliError('cli.file', `${path} cannot be read (${code}).`, {
        fix: 'check its permissions, or set GATEHOUSE_CONFIG_DIR',
      });
    }
    if (((await stat(path)).mode & 0o077) !== 0) {
      warn(`${path} was readable by others; it is yours alone now. If others use this machine, log in again.`);
      await chmod(path, 0o600);
    }
    return parse(text, path);
  };

  const write = async (content: CredentialsFile): Promise<void> => {
    const beside = `${path}.${process.pid}.tmp`;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(beside, 'w', 0o600);
      try {
        await file.writeFile(`${JSON.stringify(content, undefined, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(beside, path);
    } catch (error) {
      await rm(beside, { force: true });
      throw new CliError('cli.file', `${path} cannot be written (${(error as NodeJS.ErrnoException).code}).`, {
        fix: 'check the permissions of its folder and the space left, or set GATEHOUSE_CONFIG_DIR',
      });
    }
  };

  return {
    path,
    /** The server of the last login. */
    async currentServer(): Promise<string | undefined> {
      return (await read()).current;
    },
    async find(server: string): Promise<Login | undefined> {
      const { logins } = await read();
      return Object.hasOwn(logins, server) ? logins[server] : undefined;
    },
    /** Keeps a login; `makeCurrent` sends later commands to this server. */
    async save(server: string, login: Login, { makeCurrent = false } = {}): Promise<void> {
      const content = await read();
      content.logins[server] = login;
      if (makeCurrent) content.current = server;
      await write(content);
    },
    async remove(server: string): Promise<void> {
      const content = await read();
      delete content.logins[server];
      if (content.current === server) delete content.current;
      await write(content);
    },
  };
}

/** What {@link createCredentials} gives. */
export type Credentials = ReturnType<typeof createCredentials>;

function parse(text: string, path: string): CredentialsFile {
  try {
    const content = JSON.parse(text) as CredentialsFile;
    if (content.version === 1 && typeof content.logins === 'object' && content.logins !== null) return content;
  } catch {
    // refused below
  }
  throw new CliError('cli.file', `${path} is not a credentials file of this program.`, {
    fix: `delete it and run: gatehouse login`,
  });
}
