import type { Outcome } from './child.ts';
import { diskFull, EmbeddedPostgresError, type EmbeddedPostgresErrorCode } from './error.ts';

/** Makes one clear error out of how a program ended and what it said last. */
export function failureOf(
  code: EmbeddedPostgresErrorCode,
  program: string,
  { exitCode, signal, error, output }: Outcome,
  directory: string,
): EmbeddedPostgresError {
  if (error !== undefined) {
    return new EmbeddedPostgresError('binaries_unavailable', `${program} cannot be started: ${error.message}.`, {
      cause: error,
    });
  }
  if (/No space left on device|Disk quota exceeded/.test(output)) return diskFull(directory, output);
  if (/could not look up effective user ID/.test(output)) {
    return new EmbeddedPostgresError(
      'user_unknown',
      `The user id of this process has no name, which ${program} needs to make a new database, and user namespaces are not allowed here. Add a line for it to /etc/passwd, start Gatehouse as a user that has one, or set GATEHOUSE_DATABASE_URL.`,
      { cause: output },
    );
  }
  if (/error while loading shared libraries|Library not loaded|cannot execute|Exec format error/.test(output)) {
    return new EmbeddedPostgresError(
      'binaries_unavailable',
      `${program} cannot run here: ${lastWords(output)} Install what it names, or set GATEHOUSE_DATABASE_URL to a PostgreSQL server.`,
      { cause: output },
    );
  }
  if (/Permission denied|wrong ownership|invalid permissions|Read-only file system/.test(output)) {
    return new EmbeddedPostgresError(
      'data_dir_unusable',
      `${program} may not use ${directory}: ${lastWords(output)} Give the directory to the user that runs Gatehouse (chown -R).`,
      { cause: output },
    );
  }
  const how = signal === null ? `exit code ${exitCode}` : signal;
  return new EmbeddedPostgresError(code, `${program} on ${directory} ended with ${how}: ${lastWords(output)}`, {
    cause: output,
  });
}

/** What PostgreSQL says to each client while it starts or stops: marked FATAL, but nothing is wrong. */
export function isRoutine(line: string): boolean {
  return /terminating connection due to administrator command|the database system is (starting up|shutting down|not )|in recovery mode/.test(
    line,
  );
}

/** The line that tells why, which is seldom the last one. */
function lastWords(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '' && !isRoutine(line));
  const telling = lines.findLast((line) => /\b(FATAL|PANIC|error):/i.test(line)) ?? lines.at(-1) ?? 'it said nothing.';
  return telling.endsWith('.') ? telling : `${telling}.`;
}
