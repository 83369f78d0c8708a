/**
 * A service's own proof-of-possession keys: made, rotated, published and used here. Others seal to the public keys at
 * `GET /pop`; only this service opens.
 */
import { createHash } from 'node:crypto';
import {
  type DecryptionKey,
  decryptCompactJwe,
  generateKeyPair,
  importDecryptionKey,
  importSigningKey,
  isCryptoError,
  type PublicJwk,
  publicJwkOf,
  publicJwkToPem,
  signCompactJws,
} from '@gatehouse/crypto';
import { type Clock, systemClock } from '../clock.ts';
import { GatehouseError } from '../errors.ts';
import type { PopDocument, PopKey, PopKeyState, PopPolicy, PopStore, PopUse } from './pop-key.ts';
import {
  cacheSeconds,
  isUsable,
  keyFor,
  nextChangeAt,
  planFirstKeys,
  planRotation,
  publishedKeys,
  resolvePolicy,
  type WantedKey,
} from './pop-rules.ts';

/** How the keys are kept and rotated. */
export interface PopOptions {
  /** `memoryStore()`, `fileStore(folder)` or `postgresStore(pool, …)` of `@gatehouse/sdk/postgres`. */
  store: PopStore;
  policy?: PopPolicy;
  clock?: Clock;
  /** Told of every failed pass. Keys go on serving until they expire; an alarm belongs here. */
  onError?: (error: unknown) => void;
}

/** What `GET /pop` answers. */
export interface PublishedKeys {
  body: { keys: PublicJwk[] };
  /** Quoted, ready for the header. */
  etag: string;
  /** How long others may keep it, from the rotation schedule. */
  maxAgeSeconds: number;
}

/** An opened message. */
export interface Opened {
  plaintext: Uint8Array;
  /** The key it was sealed to. */
  kid: string;
  /** The header parameter `cty`: what the plaintext is, when the sender said so. */
  contentType?: string;
}

/** A key as others may see it. */
export interface PopKeyInfo {
  kid: string;
  use: PopUse;
  alg: string;
  state: PopKeyState;
  notBefore: string;
  notAfter?: string;
  expireAt?: string;
}

/** The keys of this service. */
export interface Pop {
  jwks(): PublishedKeys;
  /** A published key in PEM, or undefined. */
  pem(kid: string): string | undefined;
  /** All keys with their states and times, without private parts. */
  list(): PopKeyInfo[];
  /** Opens a compact JWE sealed to any of this service's keys that has not expired. */
  open(jwe: string, options?: { maxBytes?: number }): Promise<Opened>;
  /** Signs with this service's valid signature key; `typ` says what is signed. */
  sign(payload: Record<string, unknown>, options: { typ: string; alg?: string }): Promise<string>;
  /**
   * One pass now: does what is due. With `force`, the keys that are valid now turn legacy and their successors take
   * over, whatever the schedule says. Tells whether anything changed.
   */
  rotate(options?: { force?: boolean }): Promise<boolean>;
  /** Stops the timer. Keys already loaded go on working. */
  close(): void;
}

const maxAttempts = 20;
const reloadIntervalMilliseconds = 1000;
const defaultMaxSealedBytes = 1024 * 1024;
const maxUnnamedTries = 10;

/**
 * Loads this service's keys (or makes the first ones) and keeps them rotated until `close()`. Instances that share a
 * store share the keys: each rotation happens once.
 *
 * @example
 * const pop = await createPop({ store: fileStore('./data/pop') });
 * server.on('request', createPopHandler(pop));
 */
export async function createPop(options: PopOptions): Promise<Pop> {
  const { store, clock = systemClock, onError } = options;
  const policy = resolvePolicy(options.policy);
  let document: PopDocument = { version: 1, revision: 0, updatedAt: '', keys: [] };
  let publicJwks = new Map<string, PublicJwk>();
  let decryptionKeys = new Map<string, DecryptionKey>();
  let lastReloadMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function adopt(next: PopDocument): void {
    if (next.revision <= document.revision) return;
    const known = decryptionKeys;
    document = next;
    publicJwks = new Map(next.keys.map((key) => [key.kid, publicJwkOf(key.privateJwk)]));
    decryptionKeys = new Map(
      next.keys
        .filter((key) => key.use === 'enc')
        .map((key) => [key.kid, known.get(key.kid) ?? importDecryptionKey(key.privateJwk, key.alg)]),
    );
  }

  async function pass(force: boolean): Promise<boolean> {
    let toReplace: string[] | undefined;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const stored = await store.load();
      const now = clock.now();
      const validKids = (stored?.keys ?? []).filter((key) => key.state === 'valid').map((key) => key.kid);
      toReplace ??= validKids;
      // After a lost write, another instance may have replaced the very keys that were to go: then it is done.
      const isForced = force && (attempt === 0 || validKids.some((kid) => toReplace?.includes(kid)));
      const plan =
        stored === undefined ? planFirstKeys(policy, now) : planRotation(stored, policy, now, { force: isForced });
      if (stored !== undefined && !plan.changed) {
        adopt(stored);
        return force;
      }
      const next: PopDocument = {
        version: 1,
        revision: (stored?.revision ?? 0) + 1,
        updatedAt: now.toISOString(),
        keys: [...plan.keys, ...(await Promise.all(plan.wanted.map((wanted) => make(wanted, now))))],
      };
      if (await store.save(next)) {
        adopt(next);
        return true;
      }
    }
    throw new GatehouseError('pop_store_unavailable', `The store refused ${maxAttempts} writes in a row.`);
  }

  /** Timer: when the next change is due, at the latest after the check interval (others may have rotated). */
  function schedule(): void {
    if (closed) return;
    const nowMs = clock.now().getTime();
    const dueMs = (nextChangeAt(document)?.getTime() ?? Number.POSITIVE_INFINITY) + 1 - nowMs;
    const delayMs = Math.max(1000, Math.min(policy.checkIntervalSeconds * 1000, dueMs));
    timer = setTimeout(() => {
      enqueue(false)
        .catch((error: unknown) => onError?.(error))
        .finally(schedule);
    }, delayMs);
    timer.unref();
  }

  // Passes of one instance run one after the other.
  let queue: Promise<unknown> = Promise.resolve();
  function enqueue(force: boolean): Promise<boolean> {
    const next = queue.then(() => pass(force));
    queue = next.catch(() => undefined);
    return next;
  }

  /** Another instance may have made a key since the last look; looked for at most once a second. */
  async function reload(): Promise<void> {
    const nowMs = clock.now().getTime();
    if (nowMs - lastReloadMs < reloadIntervalMilliseconds) return;
    lastReloadMs = nowMs;
    const stored = await store.load();
    if (stored !== undefined) adopt(stored);
  }

  function usable(kid: string): DecryptionKey | undefined {
    const key = document.keys.find((candidate) => candidate.kid === kid);
    return key !== undefined && isUsable(key, clock.now()) ? decryptionKeys.get(key.kid) : undefined;
  }

  async function findKey(kid: string): Promise<DecryptionKey | undefined> {
    const found = usable(kid);
    if (found !== undefined) return found;
    await reload();
    return usable(kid);
  }

  /** Keys to try for a message that names none (`kid` is optional, RFC 7516 §4.1.6): few, so a bounded effort. */
  function usableFor(alg: string): DecryptionKey[] {
    const now = clock.now();
    return document.keys
      .filter((key) => key.alg === alg && isUsable(key, now))
      .map((key) => decryptionKeys.get(key.kid))
      .filter((key) => key !== undefined)
      .slice(0, maxUnnamedTries);
  }

  async function open(jwe: string, maxBytes: number): Promise<Opened> {
    for (let attempt = 0; ; attempt++) {
      let used: DecryptionKey | undefined;
      let isLast = true;
      try {
        const { header, plaintext } = await decryptCompactJwe(jwe, {
          maxBytes,
          findKey: async (kid, { alg }) => {
            const candidates = kid === undefined ? usableFor(alg) : [await findKey(kid)];
            isLast = attempt + 1 >= candidates.length;
            used = candidates[attempt];
            return used;
          },
        });
        const { cty } = header;
        return { plaintext, kid: used?.kid ?? '', ...(typeof cty === 'string' ? { contentType: cty } : {}) };
      } catch (error) {
        if (isLast || !isCryptoError(error, 'crypto.cannot_decrypt')) throw openError(error);
      }
    }
  }

  await enqueue(false);
  schedule();

  return {
    jwks() {
      const now = clock.now();
      const keys = publishedKeys(document, now)
        .map((key) => publicJwks.get(key.kid))
        .filter((key) => key !== undefined);
      const body = { keys };
      const digest = createHash('sha256').update(JSON.stringify(body)).digest('base64url');
      return { body, etag: `"${digest}"`, maxAgeSeconds: cacheSeconds(document, policy, now) };
    },
    pem(kid) {
      const jwk = publicJwks.get(kid);
      const isPublished = publishedKeys(document, clock.now()).some((key) => key.kid === kid);
      return jwk !== undefined && isPublished ? publicJwkToPem(jwk) : undefined;
    },
    list: () => document.keys.map(infoOf),
    open: async (jwe, { maxBytes = defaultMaxSealedBytes } = {}) => open(jwe, maxBytes),
    async sign(payload, { typ, alg }) {
      const now = clock.now();
      const key = document.keys.find(
        (candidate) =>
          candidate.use === 'sig' &&
          candidate.state === 'valid' &&
          isUsable(candidate, now) &&
          (alg === undefined || candidate.alg === alg),
      );
      if (key === undefined) {
        throw new GatehouseError(
          'pop_no_key',
          'No valid signature key. Add { use: "sig", alg: "ES256" } to the policy.',
        );
      }
      return signCompactJws({ key: importSigningKey(key.privateJwk, key.alg), payload: JSON.stringify(payload), typ });
    },
    rotate: ({ force = false } = {}) => enqueue(force),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

async function make(wanted: WantedKey, now: Date): Promise<PopKey> {
  const pair = await generateKeyPair(wanted.policy.alg, { modulusBits: wanted.policy.modulusBits });
  return keyFor(wanted, pair, now);
}

function infoOf(key: PopKey): PopKeyInfo {
  const { kid, use, alg, state, notBefore, notAfter, expireAt } = key;
  return {
    kid,
    use,
    alg,
    state,
    notBefore,
    ...(notAfter === undefined ? {} : { notAfter }),
    ...(expireAt === undefined ? {} : { expireAt }),
  };
}

/** One answer for every message that does not open, whatever the reason, so that the answer teaches nothing. */
function openError(error: unknown): unknown {
  if (!isCryptoError(error)) return error;
  switch (error.code) {
    case 'crypto.too_large':
      return new GatehouseError('sealed_too_large', error.message);
    case 'crypto.invalid_jwe':
    case 'crypto.algorithm_not_allowed':
      return new GatehouseError('sealed_malformed', error.message);
    default:
      return new GatehouseError(
        'sealed_cannot_open',
        'The sealed message cannot be opened with the keys of this service.',
      );
  }
}
