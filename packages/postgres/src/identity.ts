import { spawn } from 'node:child_process';
import { chown, lchown, lstat, readdir, readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Binaries, copyBinaries } from './binaries.ts';
import { EmbeddedPostgresError } from './error.ts';

/**
 * As whom PostgreSQL runs. It refuses root, and for good reason: whoever takes it over should not have the machine.
 *
 * - Not root: as ourselves.
 * - Root, and an unprivileged user can reach binaries and data: as that user.
 * - Root, and it cannot (a clone below root's 0700 home): in a user namespace of its own, where root's uid appears as
 *   another one. It has lost root's capabilities, files stay root's, and nothing needs to be copied or opened up.
 * - Root, and user namespaces are off (many containers): as an unprivileged user with a copy of the binaries beside the data.
 */
export interface Identity {
  /** For the log and messages: "uid 65530". */
  readonly description: string;
  /** Owner of the files on disk, as this process sees it. */
  readonly fileUid: number;
  readonly fileGid: number;
  /** For `spawn`: which uid and gid to become. Also leaves root's supplementary groups. */
  readonly drop: { readonly uid?: number; readonly gid?: number };
  /** Command in front of every command. */
  readonly prefix: readonly string[];
}

export interface Runtime {
  readonly identity: Identity;
  /** Who runs `initdb`: it needs a uid with a name in the user database, which the server itself does not. */
  readonly initialiser: Identity;
  readonly binaries: Binaries;
  /** Where the libraries are that `binaries` lacks (binaries.ts). */
  readonly libraryPath: string | undefined;
}

/**
 * Unnamed, in the range that Linux distributions and systemd leave unused, so that no other program runs under it; not
 * "nobody", whose processes are many.
 */
const unprivilegedId = 65_530;

interface RuntimeOptions {
  readonly binaries: Binaries;
  readonly libraryPath: string | undefined;
  /** `<dataDir>/postgres`. */
  readonly directory: string;
  readonly dataDir: string;
}

/** Decides who runs PostgreSQL with its data in `directory`. Tries it out, rather than reading modes. */
export async function chooseRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { binaries, libraryPath, directory } = options;
  const uid = process.geteuid?.() ?? 0;
  if (uid !== 0) return ordinaryRuntime(options, uid, process.getegid?.() ?? uid);

  const dropped = await unprivilegedUser(options.dataDir);
  const installed = { binaries, libraryPath };
  if (await probe(dropped, directory, installed)) return droppedRuntime(installed, dropped);

  const namespace = namespaceIdentity(0, 0, await namedUser());
  if (await probe(namespace, directory, installed)) {
    return { identity: namespace, initialiser: namespace, ...installed };
  }

  if (await probe(dropped, directory, undefined)) {
    const copied = { binaries: await copyBinaries(binaries, join(directory, 'binaries')), libraryPath: undefined };
    if (await probe(dropped, directory, copied)) return droppedRuntime(copied, dropped);
  }
  throw new EmbeddedPostgresError(
    'cannot_drop_root',
    `PostgreSQL refuses to run as root, ${dropped.description} cannot work in ${directory}, and user namespaces are not allowed here. Start Gatehouse as an ordinary user, or put the data directory where others may pass (chmod o+x on each directory above it), or set GATEHOUSE_DATABASE_URL to a PostgreSQL server.`,
  );
}

/** Gives `path` and all below it to the identity. The top comes last, so that an interrupted change is done again. */
export async function giveTo(identity: Identity, path: string): Promise<void> {
  const { uid, gid } = await lstat(path);
  if (uid === identity.fileUid && gid === identity.fileGid) return;
  const entries = await readdir(path, { recursive: true });
  for (const entry of entries) await lchown(join(path, entry), identity.fileUid, identity.fileGid);
  await chown(path, identity.fileUid, identity.fileGid);
}

type Programs = Pick<Runtime, 'binaries' | 'libraryPath'>;

async function ordinaryRuntime(options: RuntimeOptions, uid: number, gid: number): Promise<Runtime> {
  const programs = { binaries: options.binaries, libraryPath: options.libraryPath };
  const identity: Identity = { description: `uid ${uid}`, fileUid: uid, fileGid: gid, drop: {}, prefix: [] };
  if (hasName()) return { identity, initialiser: identity, ...programs };
  // A uid without a name (`docker run --user 1234`): the namespace shows initdb ours as one that has a name.
  const initialiser = namespaceIdentity(uid, gid, await namedUser());
  if (await probe(initialiser, options.directory, programs)) return { identity, initialiser, ...programs };
  // Without it only an existing data directory can be used; initialise.ts says so when there is none.
  return { identity, initialiser: identity, ...programs };
}

async function droppedRuntime(programs: Programs, identity: Identity): Promise<Runtime> {
  const users = await readUsers();
  if (users.some((user) => user.uid === identity.fileUid)) return { identity, initialiser: identity, ...programs };
  return { identity, initialiser: dropTo(await namedUser()), ...programs };
}

/** The owner of the data directory if that is not root, or the user `gatehouse`, or an uid that nobody has. */
async function unprivilegedUser(dataDir: string): Promise<Identity> {
  const owner = await stat(dataDir);
  if (owner.uid !== 0) return dropTo({ uid: owner.uid, gid: owner.gid });
  const gatehouse = (await readUsers()).find((user) => user.name === 'gatehouse' && user.uid !== 0);
  return dropTo(gatehouse ?? { uid: unprivilegedId, gid: unprivilegedId });
}

interface User {
  readonly name?: string;
  readonly uid: number;
  readonly gid: number;
}

function dropTo({ uid, gid }: User): Identity {
  return { description: `uid ${uid}`, fileUid: uid, fileGid: gid, drop: { uid, gid }, prefix: [] };
}

function namespaceIdentity(fileUid: number, fileGid: number, as: User): Identity {
  return {
    description: `uid ${fileUid} without its privileges (user namespace)`,
    fileUid,
    fileGid,
    drop: {},
    prefix: ['unshare', '--user', `--map-user=${as.uid}`, `--map-group=${as.gid}`, '--'],
  };
}

/** Whether our own uid has a name. */
function hasName(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false;
  }
}

/** Some user that has a name and is not root; every Unix has `nobody`. */
async function namedUser(): Promise<User> {
  const users = (await readUsers()).filter((user) => user.uid !== 0);
  return users.find((user) => user.name === 'nobody') ?? users[0] ?? { uid: 65_534, gid: 65_534 };
}

async function readUsers(): Promise<User[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name === undefined || uid === undefined || gid === undefined || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

/** Whether the identity can enter the data directory and, where programs are given, run them. */
function probe(identity: Identity, directory: string, programs: Programs | undefined): Promise<boolean> {
  const script = `
cd "$1" || exit 1
if [ -n "$3" ]; then export LD_LIBRARY_PATH="$3" DYLD_LIBRARY_PATH="$3"; fi
if [ -n "$2" ]; then exec "$2" --version; fi`;
  const args = [directory, programs?.binaries.postgres ?? '', programs?.libraryPath ?? ''];
  const [program = '', ...rest] = [...identity.prefix, '/bin/sh', '-c', script, 'probe', ...args];
  return new Promise((resolve) => {
    const child = spawn(program, rest, { cwd: '/', stdio: 'ignore', ...identity.drop });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
