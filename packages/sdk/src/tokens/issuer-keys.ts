/**
 * The public signature keys of one issuer, kept in memory.
 *
 * - A copy is fresh for the answer's `Cache-Control: max-age`, held between 10 s and 24 h (300 s when it says nothing).
 * - A stale copy is fetched again before it is used. If that fails, the last good one serves for `maxStaleSeconds`
 *   more, and the next tries happen behind the requests, which do not wait.
 * - An unknown `kid` fetches again. All fetches together are bounded: three at once, then one in `refetchSeconds`. An
 *   attacker who invents key ids costs the issuer one request per interval.
 * - Fetches in flight are shared.
 */
import {
  isCryptoError,
  isJsonObject,
  type JsonObject,
  type JudgedKey,
  judgeJwks,
  parseJsonObjectStrict,
} from '@gatehouse/crypto';
import type { Clock } from '../clock.ts';
import { GatehouseError } from '../errors.ts';
import { type HttpOptions, maxAgeSeconds, request } from '../http/request.ts';

const minFreshSeconds = 10;
const maxFreshSeconds = 86_400;
const defaultFreshSeconds = 300;
const burst = 3;
const maxSetBytes = 51_200;

/** Dependencies and bounds. */
export interface IssuerKeysOptions {
  jwksUri: string;
  clock: Clock;
  http: HttpOptions;
  /** Time in which one more fetch is allowed, once the first three are used up. */
  refetchSeconds: number;
  /** How long a copy may be used after it became stale while the issuer cannot be reached. */
  maxStaleSeconds: number;
  /** Keys of the set to pass over. */
  isPassedOver?: (jwk: JsonObject) => boolean;
}

/** The keys of one issuer. */
export interface IssuerKeys {
  /** The key with this id, or undefined when the issuer publishes none. Rejects with `keys_unavailable`. */
  find(kid: string): Promise<JudgedKey | undefined>;
  /** True if the key was seen in a copy that is still fresh; asks nobody. */
  isCurrent(kid: string): boolean;
}

interface Copy {
  keys: ReadonlyMap<string, JudgedKey>;
  etag: string | undefined;
  freshUntilMs: number;
}

/** Makes the cache. Nothing is fetched before the first use. */
export function createIssuerKeys(options: IssuerKeysOptions): IssuerKeys {
  const { jwksUri, clock, http, refetchSeconds, maxStaleSeconds } = options;
  let copy: Copy | undefined;
  let allowance = burst;
  let countedAtMs = clock.now().getTime();
  let lastError: unknown;
  let inFlight: Promise<void> | undefined;

  /** Fetches unless that was tried just now. Never rejects: what is left decides. */
  function refresh(): Promise<void> {
    if (inFlight !== undefined) return inFlight;
    const nowMs = clock.now().getTime();
    allowance = Math.min(burst, allowance + Math.max(0, nowMs - countedAtMs) / (refetchSeconds * 1000));
    countedAtMs = nowMs;
    if (allowance < 1) return Promise.resolve();
    allowance -= 1;
    inFlight = tryFetch().finally(() => {
      inFlight = undefined;
    });
    return inFlight;
  }

  async function tryFetch(): Promise<void> {
    try {
      copy = await fetchCopy();
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
  }

  async function fetchCopy(): Promise<Copy> {
    const headers: Record<string, string> = { accept: 'application/jwk-set+json, application/json' };
    if (copy?.etag !== undefined) headers['if-none-match'] = copy.etag;
    const answer = await request(jwksUri, { headers }, http);
    const freshSeconds = Math.min(
      maxFreshSeconds,
      Math.max(minFreshSeconds, maxAgeSeconds(answer.headers) ?? defaultFreshSeconds),
    );
    const freshUntilMs = clock.now().getTime() + freshSeconds * 1000;
    if (answer.status === 304 && copy !== undefined) return { ...copy, freshUntilMs };
    if (answer.status !== 200) {
      throw new GatehouseError('server_unavailable', `${jwksUri} answered ${answer.status}.`, {
        status: answer.status,
      });
    }
    const keys = new Map<string, JudgedKey>();
    for (const key of judgeJwks(setOf(answer.text), { use: 'sig' }).keys) {
      if (key.kid !== undefined) keys.set(key.kid, key);
    }
    if (keys.size === 0) throw new GatehouseError('answer_invalid', `${jwksUri} holds no usable signature key.`);
    return { keys, etag: answer.headers.get('etag') ?? undefined, freshUntilMs };
  }

  function setOf(text: string): unknown {
    const { isPassedOver } = options;
    if (isPassedOver === undefined) return text;
    const set = parseJsonObjectStrict(text, { maxBytes: maxSetBytes, maxDepth: 8 });
    const keys: readonly unknown[] = Array.isArray(set.keys) ? set.keys : [];
    return { keys: keys.filter((key) => !(isJsonObject(key) && isPassedOver(key))) };
  }

  /** Fresh, or stale within the bound. */
  function isServing(candidate: Copy | undefined): candidate is Copy {
    return candidate !== undefined && candidate.freshUntilMs + maxStaleSeconds * 1000 > clock.now().getTime();
  }

  return {
    async find(kid) {
      if (!isServing(copy) || !copy.keys.has(kid)) {
        await refresh();
      } else if (copy.freshUntilMs <= clock.now().getTime()) {
        const refreshed = refresh();
        if (lastError === undefined) await refreshed;
      }
      if (!isServing(copy)) {
        const why = isCryptoError(lastError) || lastError instanceof GatehouseError ? ` ${lastError.message}` : '';
        throw new GatehouseError('keys_unavailable', `The public keys of the issuer cannot be had.${why}`, {
          cause: lastError,
        });
      }
      return copy.keys.get(kid);
    },
    isCurrent: (kid) => copy !== undefined && copy.freshUntilMs > clock.now().getTime() && copy.keys.has(kid),
  };
}
