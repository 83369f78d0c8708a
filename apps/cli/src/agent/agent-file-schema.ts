/** What may stand in `agent.yaml`. Every member is described in docs/guides/agent.md. */

const namePattern = '^[a-z0-9][a-z0-9_-]{0,62}$';
const duration = {
  type: 'string',
  pattern: '^(0|\\d{1,9}(\\.\\d{1,3})?(ms|s|m|h|d))$',
  description: 'a time such as 500ms, 10s, 2m, 1h or 30d',
} as const;
const path = { type: 'string', minLength: 1, maxLength: 4096 } as const;
const argv = {
  type: 'array',
  minItems: 1,
  maxItems: 100,
  items: { type: 'string', maxLength: 4096 },
  description: 'the program and its arguments as a list; no shell reads them',
} as const;
const environment = {
  type: 'object',
  maxProperties: 200,
  patternProperties: { '^[A-Za-z_][A-Za-z0-9_]*$': { type: 'string', maxLength: 65_536 } },
} as const;
const namespaces = {
  type: 'array',
  minItems: 1,
  maxItems: 50,
  uniqueItems: true,
  items: { type: 'string', pattern: namePattern, description: 'the name of a namespace' },
} as const;

const file = {
  type: 'object',
  required: ['path'],
  properties: {
    path,
    template: path,
    format: { enum: ['env', 'json', 'yaml', 'properties'] },
    mode: { type: 'string', pattern: '^0?[0-7]{3}$', description: "an octal mode in quotes, such as '0640'" },
    owner: { type: 'string', pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$', description: 'a user name or number' },
    group: { type: 'string', pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$', description: 'a group name or number' },
  },
} as const;

const health = {
  type: 'object',
  properties: {
    http: {
      type: 'string',
      pattern: '^https?://[^\\s@]+$',
      description: 'an address such as http://127.0.0.1:3000/healthz',
    },
    tcp: {
      type: 'string',
      pattern: '^([^\\s:]+:|\\[[0-9a-f:]+\\]:)?\\d{1,5}$',
      description: 'a port, or host:port, in quotes',
    },
    command: argv,
    interval: duration,
    timeout: duration,
    start_period: duration,
    retries: { type: 'integer', minimum: 1, maximum: 1000 },
  },
} as const;

const target = {
  type: 'object',
  properties: {
    namespaces,
    files: { type: 'array', minItems: 1, maxItems: 100, items: file },
    command: {
      type: 'object',
      required: ['run'],
      properties: { run: argv, timeout: duration, environment },
    },
    health,
    splay: duration,
    quiescence: { type: 'object', required: ['wait'], properties: { wait: duration, at_most: duration } },
  },
} as const;

/** JSON Schema of the file, in the part that `checkShape` understands. */
export const agentFileSchema = {
  type: 'object',
  required: ['service', 'namespaces', 'targets'],
  properties: {
    url: { type: 'string', pattern: '^https?://\\S+$', description: 'the address of the server' },
    issuer: { type: 'string', pattern: '^https?://\\S+$', description: 'the public address of the server' },
    service: {
      type: 'string',
      pattern: '^([a-z0-9][a-z0-9_-]{0,62}\\.)?[a-z0-9][a-z0-9_-]{0,62}$',
      description: '<organization>.<service>',
    },
    name: { type: 'string', minLength: 1, maxLength: 200 },
    state_dir: path,
    enrolment_token_file: path,
    service_token_file: path,
    rotate_keys_after: duration,
    namespaces,
    targets: { type: 'object', maxProperties: 200, patternProperties: { [namePattern]: target } },
  },
} as const;

/** The file as it is written. */
export interface AgentFile {
  readonly url?: string;
  readonly issuer?: string;
  readonly service: string;
  readonly name?: string;
  readonly state_dir?: string;
  readonly enrolment_token_file?: string;
  readonly service_token_file?: string;
  readonly rotate_keys_after?: string;
  readonly namespaces: readonly string[];
  readonly targets: Readonly<Record<string, TargetEntry>>;
}

/** One entry of `targets`. */
export interface TargetEntry {
  readonly namespaces?: readonly string[];
  readonly files?: readonly FileEntry[];
  readonly command?: {
    readonly run: readonly string[];
    readonly timeout?: string;
    readonly environment?: Readonly<Record<string, string>>;
  };
  readonly health?: {
    readonly http?: string;
    readonly tcp?: string;
    readonly command?: readonly string[];
    readonly interval?: string;
    readonly timeout?: string;
    readonly start_period?: string;
    readonly retries?: number;
  };
  readonly splay?: string;
  readonly quiescence?: { readonly wait: string; readonly at_most?: string };
}

/** One entry of `files`. */
export interface FileEntry {
  readonly path: string;
  readonly template?: string;
  readonly format?: 'env' | 'json' | 'yaml' | 'properties';
  readonly mode?: string;
  readonly owner?: string;
  readonly group?: string;
}
