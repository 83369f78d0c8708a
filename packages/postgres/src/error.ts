/**
 * Why an embedded PostgreSQL could not be started or kept running. Codes are stable: operators and tests rely on them.
 * The message always says what was found and what to do about it.
 */
export type EmbeddedPostgresErrorCode =
  /** Another process holds the data directory; `pid` names it where it is known. */
  | 'in_use'
  /** The data directory cannot be made, read or written. */
  | 'data_dir_unusable'
  /** The file system is full. */
  | 'disk_full'
  /** The data directory was made by another major version of PostgreSQL. */
  | 'version_mismatch'
  /** The data directory holds something that is not a whole cluster. */
  | 'not_a_cluster'
  /** No binaries for this operating system and processor, or they cannot be run. */
  | 'binaries_unavailable'
  /** PostgreSQL refuses to run as root and no way was found to run it as anybody else. */
  | 'cannot_drop_root'
  /** The uid of this process has no name, and initdb needs one. */
  | 'user_unknown'
  /** `initdb` failed for another reason. */
  | 'initialise_failed'
  /** The server did not become ready for another reason. */
  | 'start_failed'
  /** The server died more often than the supervisor restarts it. */
  | 'keeps_crashing'
  /** Start was interrupted by `stop()`. */
  | 'stopped';

/** The one error this package throws. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
  readonly code: EmbeddedPostgresErrorCode;
  /** The process in the way, for `in_use`. */
  readonly pid: number | undefined;

  constructor(code: EmbeddedPostgresErrorCode, message: string, options: { cause?: unknown; pid?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.pid = options.pid;
  }
}

/** The `code` of a Node system error (`ENOENT` …), or undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

const pathFaults: Record<string, string> = {
  EACCES: 'this process may not read and write it: give its user the directory (chown), or choose another one',
  EPERM: 'this process may not change it: give its user the directory (chown), or choose another one',
  EROFS: 'it is on a read-only file system: choose a directory on a writable one',
  ENOTDIR: 'a part of the path is a file, not a directory: choose another path',
  EEXIST: 'a file of that name is in the way: move it, or choose another path',
  ENAMETOOLONG: 'the path is too long: choose a shorter one',
  ELOOP: 'the path is a loop of symbolic links: choose another one',
};

/** Turns a file system error at `path` into ours, with the remedy in the message. */
export function pathError(path: string, cause: unknown): EmbeddedPostgresError {
  if (cause instanceof EmbeddedPostgresError) return cause;
  const code = systemErrorCode(cause) ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(path, cause);
  const remedy = pathFaults[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new EmbeddedPostgresError('data_dir_unusable', `The data directory ${path} cannot be used: ${remedy}.`, {
    cause,
  });
}

/** The message for a full disk; nothing that was acknowledged is lost by it. */
export function diskFull(path: string, cause?: unknown): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'disk_full',
    `The file system of ${path} is full. Free some space (a new database needs about 100 MB) and start again; what was committed is kept.`,
    { cause },
  );
}
