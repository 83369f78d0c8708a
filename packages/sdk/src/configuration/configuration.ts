/** A program's own configuration, followed while it runs: verified, typed, and there when the server is away. */
import { GatehouseError } from '../errors.ts';
import { type AgentIdentity, type AgentIdentityOptions, createAgentIdentity } from './agent-identity.ts';
import { frozen } from './configuration-values.ts';
import type { ConfigurationValue, ConfigurationVersion } from './configuration-version.ts';
import { type ApplyVersion, createFollower, type Follower, type NamespaceStatus } from './follower.ts';
import { createRolloutClient, type RolloutClient } from './rollout-client.ts';
import { createValuesReader, type JsonSchema, type StandardSchema } from './values-schema.ts';

/** Whose configuration, how it is checked, and who is told. */
export interface ConfigurationOptions<T> extends Omit<AgentIdentityOptions, 'enrolSeconds' | 'signal'> {
  /** The namespace to follow. */
  namespace: string;
  /**
   * What the values must be: a Standard Schema (Zod, Valibot, ArkType …), `jsonSchema(…)` of
   * `@gatehouse/sdk/json-schema`, or a plain JSON Schema together with a type parameter. Values that do not fit are
   * refused and reported as `rejected`; the ones before stay.
   */
  schema?: StandardSchema<T> | JsonSchema;
  /** How long `ready` waits for the server when there is no local copy. Default 60. */
  startSeconds?: number;
  /**
   * Whether a change waits for its turn in the rollout (`max_unavailable`, canary, bake time) before it is taken over.
   * Default true.
   */
  slots?: boolean;
  /** Asked after a version was taken over: false, or an error, reports the instance as unhealthy. Default: healthy. */
  isHealthy?: (values: T) => boolean | Promise<boolean>;
  /** Told of what a listener or `isHealthy` threw. */
  onError?: (error: unknown) => void;
  /** Told of every change of the status: the server away, a version refused. */
  onStatus?: (status: NamespaceStatus) => void;
  /** Longest wait of one poll, 1 to 60. Default 60. */
  waitSeconds?: number;
}

/** A version that took the place of another. */
export interface ConfigurationChange<T> {
  readonly version: number;
  readonly values: Readonly<T>;
  readonly previous: Readonly<T>;
  /** Keys created, changed or deleted, sorted. */
  readonly changedKeys: readonly string[];
}

/** The configuration of a running program. */
export interface Configuration<T> {
  /**
   * Resolves when there are values, from the server or from the local copy. Rejects when the agent cannot be enrolled,
   * the first values were refused, or there are none after `startSeconds`.
   */
  readonly ready: Promise<void>;
  /** The values in use: frozen, replaced as a whole. Throws `closed` before `ready`. */
  readonly values: Readonly<T>;
  /** The version in use; undefined before `ready`. */
  readonly version: number | undefined;
  /** One value in use. Throws `closed` before `ready`. */
  get<K extends keyof T>(key: K): T[K];
  /** Where things stand; undefined before the agent is known. */
  status(): NamespaceStatus | undefined;
  /**
   * Calls `listener` after each change, with the values in place already. One that throws or rejects reports the
   * instance as unhealthy, which stops the rollout. Returns how to stop listening.
   */
  onChange(listener: (change: ConfigurationChange<T>) => void | Promise<void>): () => void;
  /** Resolves when following has ended: with the reason when the agent was revoked, with undefined after `close`. */
  readonly ended: Promise<GatehouseError | undefined>;
  /** Tells the server that this instance stops, and ends following. The values stay readable. */
  close(): Promise<void>;
}

const farewellSeconds = 2;

/**
 * Follows one namespace in process. The first start enrols an agent with `enrolmentToken` or `serviceToken`; later ones
 * need neither. The server gone, the values stay; a restart begins from the encrypted local copy in `stateDir`.
 *
 * @example
 * const configuration = createConfiguration({
 *   url: 'https://id.example.com',
 *   service: 'acme.billing',
 *   namespace: 'default',
 *   stateDir: '/var/lib/billing/gatehouse',
 *   enrolmentToken: await readFile('/run/secrets/enrolment', 'utf8'),
 *   schema: z.object({ DB_HOST: z.string(), DB_PORT: z.coerce.number().int() }),
 * });
 * await configuration.ready;
 * const pool = connect(configuration.get('DB_HOST'), configuration.get('DB_PORT'));
 * configuration.onChange(({ values, changedKeys }) => {
 *   if (changedKeys.includes('DB_HOST')) pool.reconnect(values.DB_HOST);
 * });
 *
 * @example
 * // Typed by what `gatehouse config types` wrote, not checked here:
 * const configuration = createConfiguration<BillingConfiguration>({ url, service, namespace, stateDir });
 */
export function createConfiguration<T extends object = Record<string, ConfigurationValue>>(
  options: ConfigurationOptions<T>,
): Configuration<T> {
  const { namespace, startSeconds = 60, slots = true } = options;
  const read = createValuesReader<T>(options.schema);
  const listeners = new Set<(change: ConfigurationChange<T>) => void | Promise<void>>();
  const closing = new AbortController();
  let inUse: { readonly version: number; readonly values: Readonly<T> } | undefined;
  let follower: Follower | undefined;
  let reports: RolloutClient | undefined;

  /** Values first, then whoever lives on them, then the word to the server. */
  async function takeOver(version: ConfigurationVersion, signal: AbortSignal, client: RolloutClient): Promise<void> {
    if (version.source === 'server') void client.report(version.version, 'received');
    const values = frozen(await read(version.values));
    if (slots && inUse !== undefined && version.source === 'server') {
      await client.waitForSlot(version.version, { signal });
    }
    const previous = inUse;
    inUse = { version: version.version, values };
    void client.report(version.version, 'applied');
    const problem = previous === undefined ? undefined : await tellListeners(version, values, previous.values);
    const sickness = problem ?? (await sicknessOf(values));
    void client.report(version.version, sickness === undefined ? 'healthy' : 'unhealthy', sickness);
  }

  /** Tells all of them; the reason of the first that failed. */
  async function tellListeners(
    { version, changedKeys }: ConfigurationVersion,
    values: Readonly<T>,
    previous: Readonly<T>,
  ): Promise<string | undefined> {
    let problem: string | undefined;
    for (const listener of listeners) {
      try {
        await listener({ version, values, previous, changedKeys });
      } catch (error) {
        problem ??= 'A listener failed.';
        options.onError?.(error);
      }
    }
    return problem;
  }

  async function sicknessOf(values: Readonly<T>): Promise<string | undefined> {
    try {
      const isHealthy = (await options.isHealthy?.(values)) ?? true;
      return isHealthy ? undefined : 'The program says that it is not healthy.';
    } catch (error) {
      options.onError?.(error);
      return 'The health check of the program failed.';
    }
  }

  function follow(identity: AgentIdentity): Follower {
    const client = createRolloutClient({ ...options, identity });
    reports = client;
    const apply: ApplyVersion = (version, { signal }) => takeOver(version, signal, client);
    return createFollower({
      ...options,
      identity,
      namespaces: [namespace],
      apply,
      onRejected: ({ version, reason }) => {
        if (version !== undefined) void client.report(version, 'rejected', reason);
      },
    });
  }

  async function start(): Promise<Follower> {
    const identity = await createAgentIdentity({ ...options, enrolSeconds: startSeconds, signal: closing.signal });
    closing.signal.throwIfAborted();
    follower = follow(identity);
    return follower;
  }

  const started = start();
  const ready = started.then((running) => inTime(running, namespace, startSeconds));
  ready.catch(() => undefined);
  const ended = started.then(
    (running) => running.ended,
    () => undefined,
  );

  function current(): NonNullable<typeof inUse> {
    if (inUse !== undefined) return inUse;
    throw new GatehouseError('closed', `There are no values of ${namespace} yet: await ready first.`);
  }

  return {
    ready,
    ended,
    get values() {
      return current().values;
    },
    get version() {
      return inUse?.version;
    },
    get(key) {
      const { values } = current();
      // What objects have by themselves (`constructor`) is no value.
      return (Object.hasOwn(values, key) ? values[key] : undefined) as T[typeof key];
    },
    status: () => follower?.status(namespace),
    onChange(listener) {
      // Not the function itself: one that is given twice is told twice, and removed once.
      const own = (change: ConfigurationChange<T>) => listener(change);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    async close() {
      closing.abort(new GatehouseError('closed', 'The configuration was closed.'));
      await started.catch(() => undefined);
      const isHeard = follower?.status(namespace).state !== 'away';
      await follower?.close();
      if (inUse !== undefined) void reports?.report(inUse.version, 'stopped');
      await reports?.close({ seconds: isHeard ? farewellSeconds : 0 });
    },
  };
}

/** `ready` of the follower, but not for ever: a program that cannot start says so. */
async function inTime(follower: Follower, namespace: string, seconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const { error, copyProblem } = follower.status(namespace);
      const why = [error?.message, copyProblem].filter((part) => part !== undefined).join(' ');
      const code = copyProblem === undefined ? 'server_unavailable' : 'copy_refused';
      reject(new GatehouseError(code, `There are no values of ${namespace} after ${seconds} s. ${why}`.trim()));
    }, seconds * 1000);
  });
  try {
    await Promise.race([follower.ready, late]);
  } finally {
    clearTimeout(timer);
  }
}
