/** What the service is told by its environment. Read once, at the start; a wrong value is refused with its name. */
import { readFileSync } from 'node:fs';

/** How this instance runs. */
export interface Settings {
  issuer: string;
  clientId: string;
  clientSecret: string;
  audience: string;
  host: string;
  port: number;
  dataDir: string;
  /** Largest file, sealed or not. */
  maxFileBytes: number;
  maxFilesPerUser: number;
  /** How long a user's secret is kept in memory; 0 asks the server each time. */
  secretCacheSeconds: number;
  /** How often the service looks for keys that are due, or that another process has made. */
  popCheckSeconds: number;
  /** Seals the service's own keys on disk: 32 bytes in base64. */
  popStoreKey?: string;
  logLevel: string;
}

/** Reads the settings, or throws an Error that names every variable that is missing or wrong. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const problems: string[] = [];

  function text(name: string, fallback?: string): string {
    const value = env[name] ?? fallback;
    if (value === undefined || value === '') problems.push(`${name} is needed`);
    return value ?? '';
  }
  function secret(name: string): string | undefined {
    const file = env[`${name}_FILE`];
    if (file === undefined) return env[name];
    try {
      return readFileSync(file, 'utf8').trim();
    } catch {
      problems.push(`${name}_FILE names a file that cannot be read`);
      return undefined;
    }
  }
  function whole(name: string, fallback: number, min: number, max: number): number {
    const value = Number(env[name] ?? fallback);
    if (!Number.isInteger(value) || value < min || value > max) {
      problems.push(`${name} must be a whole number from ${min} to ${max}`);
    }
    return value;
  }

  const clientId = text('GATEHOUSE_CLIENT_ID');
  const clientSecret = secret('GATEHOUSE_CLIENT_SECRET') ?? '';
  if (clientSecret === '') problems.push('GATEHOUSE_CLIENT_SECRET (or GATEHOUSE_CLIENT_SECRET_FILE) is needed');
  const popStoreKey = secret('RECORDS_POP_STORE_KEY');
  const settings: Settings = {
    issuer: text('GATEHOUSE_ISSUER'),
    clientId,
    clientSecret,
    audience: text('GATEHOUSE_AUDIENCE', clientId),
    host: text('RECORDS_HOST', '127.0.0.1'),
    port: whole('RECORDS_PORT', 9000, 0, 65_535),
    dataDir: text('RECORDS_DATA_DIR', './data'),
    maxFileBytes: whole('RECORDS_MAX_FILE_BYTES', 64 * 1024 * 1024, 1, 256 * 1024 * 1024),
    maxFilesPerUser: whole('RECORDS_MAX_FILES_PER_USER', 1000, 1, 10_000),
    secretCacheSeconds: whole('RECORDS_SECRET_CACHE_SECONDS', 60, 0, 600),
    popCheckSeconds: whole('RECORDS_POP_CHECK_SECONDS', 60, 1, 3600),
    ...(popStoreKey === undefined ? {} : { popStoreKey }),
    logLevel: text('RECORDS_LOG_LEVEL', 'info'),
  };
  if (problems.length > 0) throw new Error(`The records service cannot start:\n- ${problems.join('\n- ')}`);
  return settings;
}
