import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** How this node runs. Read once, from `GATEHOUSE_*` variables only; what exists is the declaration's matter. */
export interface Settings {
  /** Address users and services see; the issuer of every token. No trailing slash. */
  readonly publicUrl: string;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  /** Without it the node starts its own PostgreSQL below `dataDir`. */
  readonly databaseUrl: string | undefined;
  readonly rootKeyProvider: 'file' | 'env';
  /** 32 bytes, base64url; only with the provider `env`. */
  readonly rootKey: string | undefined;
  /** The root key that is being replaced, beside the new one; only with the provider `env`. */
  readonly rootKeyPrevious: string | undefined;
  /** Processes on this machine. */
  readonly workers: number;
  /** Addresses or CIDR ranges of proxies whose `X-Forwarded-*` headers are believed. */
  readonly trustProxy: readonly string[];
  /** Path of a declaration to apply at start. */
  readonly declaration: string | undefined;
  readonly logLevel: string;
  readonly metricsPort: number | undefined;
  /** Exact origins at private addresses that outgoing requests may reach. */
  readonly allowPrivateNetworks: readonly string[];
  /** Optional parts that are switched on. */
  readonly modules: readonly OptionalModule[];
  /** Where new versions of configurations are published for Reuni's agents; may hold a password. */
  readonly redisUrl: string | undefined;
  readonly adminUsername: string | undefined;
  readonly adminPassword: string | undefined;
}

/** Parts of the server that are off unless `GATEHOUSE_MODULES` names them. */
export const optionalModules = ['reuni'] as const;
export type OptionalModule = (typeof optionalModules)[number];

/** A setting that is not right: the text names the variable, the rule and the fix. */
export class SettingsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SettingsError';
  }
}

const names = [
  'PUBLIC_URL',
  'HOST',
  'PORT',
  'DATA_DIR',
  'DATABASE_URL',
  'ROOT_KEY',
  'ROOT_KEY_PREVIOUS',
  'ROOT_KEY_PROVIDER',
  'WORKERS',
  'TRUST_PROXY',
  'DECLARATION',
  'LOG_LEVEL',
  'METRICS_PORT',
  'ALLOW_PRIVATE_NETWORKS',
  'MODULES',
  'REDIS_URL',
  'ADMIN_USERNAME',
  'ADMIN_PASSWORD',
] as const;
type Name = (typeof names)[number];
const secretNames: ReadonlySet<Name> = new Set([
  'DATABASE_URL',
  'REDIS_URL',
  'ROOT_KEY',
  'ROOT_KEY_PREVIOUS',
  'ADMIN_PASSWORD',
]);
/** Not settings: variables of the command line program and the agent, of the tests, and what a primary tells its workers. */
const foreignNames = new Set([
  'GATEHOUSE_URL',
  'GATEHOUSE_TOKEN',
  'GATEHOUSE_CONFIG_DIR',
  'GATEHOUSE_ENROLMENT_TOKEN',
  'GATEHOUSE_ENROLMENT_TOKEN_FILE',
  'GATEHOUSE_SERVICE_TOKEN',
  'GATEHOUSE_SERVICE_TOKEN_FILE',
  'GATEHOUSE_RUN_ID',
  'GATEHOUSE_TEST_POSTGRES',
  'GATEHOUSE_WORKER_DATABASE_URL',
]);

/** Parses the environment; throws {@link SettingsError} for the first setting that is wrong or not known. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  refuseUnknown(env);
  const text = (name: Name): string | undefined => readValue(env, name);
  const host = text('HOST') ?? '127.0.0.1';
  const port = integer(text('PORT'), 'PORT', 1, 65_535) ?? 8400;
  const rootKeyProvider = oneOf(text('ROOT_KEY_PROVIDER'), 'ROOT_KEY_PROVIDER', ['file', 'env'] as const);
  const rootKey = text('ROOT_KEY');
  const provider = rootKeyProvider ?? (rootKey === undefined ? 'file' : 'env');
  if (provider === 'env' && rootKey === undefined) {
    fail('ROOT_KEY', 'is missing', 'set it to 32 random bytes in base64url, or set GATEHOUSE_ROOT_KEY_PROVIDER=file');
  }
  if (provider === 'file' && rootKey !== undefined) {
    fail('ROOT_KEY', 'is set although GATEHOUSE_ROOT_KEY_PROVIDER is "file"', 'remove one of the two');
  }
  if (rootKey !== undefined && !isKey(rootKey)) {
    fail('ROOT_KEY', 'is not 32 bytes in base64url', 'make one with: openssl rand 32 | basenc --base64url');
  }
  const rootKeyPrevious = text('ROOT_KEY_PREVIOUS');
  if (rootKeyPrevious !== undefined && provider === 'file') {
    fail('ROOT_KEY_PREVIOUS', 'is for the provider "env"', 'with "file" put the previous key into root.key.previous');
  }
  if (rootKeyPrevious !== undefined && !isKey(rootKeyPrevious)) {
    fail('ROOT_KEY_PREVIOUS', 'is not 32 bytes in base64url', 'give the key that GATEHOUSE_ROOT_KEY held before');
  }
  const adminUsername = text('ADMIN_USERNAME');
  const adminPassword = text('ADMIN_PASSWORD');
  if ((adminUsername === undefined) !== (adminPassword === undefined)) {
    fail(adminUsername === undefined ? 'ADMIN_USERNAME' : 'ADMIN_PASSWORD', 'is missing', 'set both or neither');
  }
  const declaration = text('DECLARATION');
  return {
    publicUrl: publicUrl(text('PUBLIC_URL'), host, port),
    host,
    port,
    dataDir: resolve(text('DATA_DIR') ?? './data'),
    databaseUrl: databaseUrl(text('DATABASE_URL')),
    rootKeyProvider: provider,
    rootKey,
    rootKeyPrevious,
    workers: integer(text('WORKERS'), 'WORKERS', 1, 64) ?? 1,
    trustProxy: list(text('TRUST_PROXY')),
    declaration: declaration === undefined ? undefined : resolve(declaration),
    logLevel:
      oneOf(text('LOG_LEVEL'), 'LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const) ?? 'info',
    metricsPort: integer(text('METRICS_PORT'), 'METRICS_PORT', 1, 65_535),
    allowPrivateNetworks: list(text('ALLOW_PRIVATE_NETWORKS')).map(exactOrigin),
    modules: [...new Set(list(text('MODULES')).map(optionalModule))],
    redisUrl: redisUrl(text('REDIS_URL')),
    adminUsername,
    adminPassword,
  };
}

function refuseUnknown(env: Readonly<Record<string, string | undefined>>): void {
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith('GATEHOUSE_') || foreignNames.has(variable)) continue;
    const name = variable.slice('GATEHOUSE_'.length).replace(/_FILE$/, '') as Name;
    const twin = variable.endsWith('_FILE');
    if (!names.includes(name) || (twin && !secretNames.has(name))) {
      throw new SettingsError(
        `${variable} is not a setting. Known: ${names.map((known) => `GATEHOUSE_${known}`).join(', ')}; secrets also as _FILE.`,
      );
    }
  }
}

/** The variable, or the content of the file its `_FILE` twin names, without the final line break. Empty is unset. */
function readValue(env: Readonly<Record<string, string | undefined>>, name: Name): string | undefined {
  const direct = env[`GATEHOUSE_${name}`];
  const path = secretNames.has(name) ? env[`GATEHOUSE_${name}_FILE`] : undefined;
  if (direct && path) fail(name, 'is set twice', `keep GATEHOUSE_${name} or GATEHOUSE_${name}_FILE`);
  if (direct) return direct;
  if (!path) return undefined;
  try {
    const content = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    if (content === '') fail(name, `is empty in the file ${path}`, 'write the value into it');
    return content;
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    throw new SettingsError(
      `GATEHOUSE_${name}_FILE: ${path} cannot be read (${(error as NodeJS.ErrnoException).code}). Check the path and its permissions.`,
    );
  }
}

function fail(name: Name, rule: string, fix: string): never {
  throw new SettingsError(`GATEHOUSE_${name} ${rule}: ${fix}.`);
}

function integer(value: string | undefined, name: Name, min: number, max: number): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < min || number > max) {
    fail(name, 'is not a whole number in its range', `use one from ${min} to ${max}`);
  }
  return number;
}

function oneOf<T extends string>(value: string | undefined, name: Name, allowed: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((one) => one === value);
  return found ?? fail(name, 'has a value that is not known', `use one of ${allowed.join(', ')}`);
}

function list(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

function publicUrl(value: string | undefined, host: string, port: number): string {
  if (value === undefined) return `http://${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${port}`;
  const url = URL.parse(value);
  if (
    !url ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.search ||
    url.hash ||
    url.username ||
    url.pathname !== '/'
  ) {
    return fail('PUBLIC_URL', 'is not an origin', 'use a form such as https://id.example.com, without path or query');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    return fail('PUBLIC_URL', 'is http on an address that is not loopback', 'use https; terminate TLS at your proxy');
  }
  return url.origin;
}

function databaseUrl(value: string | undefined): string | undefined {
  if (value === undefined || /^postgres(ql)?:\/\//.test(value)) return value;
  return fail('DATABASE_URL', 'is not a PostgreSQL URL', 'use the form postgresql://user:password@host:5432/database');
}

function redisUrl(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = URL.parse(value);
  if (
    url &&
    ['redis:', 'rediss:'].includes(url.protocol) &&
    url.hostname !== '' &&
    /^(\/\d{0,4})?$/.test(url.pathname)
  ) {
    return value;
  }
  return fail(
    'REDIS_URL',
    'is not a Redis URL',
    'use the form redis://127.0.0.1:6379 or rediss://user:password@host:6380',
  );
}

function optionalModule(value: string): OptionalModule {
  const found = optionalModules.find((one) => one === value);
  return found ?? fail('MODULES', 'names a part that is not known', `use some of ${optionalModules.join(', ')}`);
}

function exactOrigin(value: string): string {
  const url = URL.parse(value);
  if (!url || url.origin !== value || !['http:', 'https:'].includes(url.protocol)) {
    return fail(
      'ALLOW_PRIVATE_NETWORKS',
      `holds "${value}", which is not an exact origin`,
      'use a form such as http://10.0.0.5:9000',
    );
  }
  return value;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function isKey(value: string): boolean {
  return /^[A-Za-z0-9_-]{43}=?$/.test(value) && Buffer.from(value, 'base64url').length === 32;
}
