import {
  importVerificationKey,
  isCryptoError,
  type JudgedKey,
  judgeJwks,
  type VerificationKey,
} from '@gatehouse/crypto';
import type { OAuthClient } from '../clients/client.ts';

/** Keys published at an address: the guarded, cached client of the house (handed in by `app.ts`). */
export interface RemoteKeys {
  get(address: string, use: 'sig', options?: { fresh?: boolean }): Promise<readonly JudgedKey[]>;
}

const judged = new WeakMap<object, readonly JudgedKey[]>();

/**
 * The key of a client that a token names: from its registered key set, or from its `pop_url`. Without a `kid` the
 * client must have exactly one key for the algorithm. An unknown `kid` asks the address again, at a bounded rate.
 */
export async function findClientKey(
  client: OAuthClient,
  kid: unknown,
  alg: string,
  remoteKeys: RemoteKeys,
): Promise<VerificationKey | undefined> {
  if (kid !== undefined && typeof kid !== 'string') return undefined;
  const found = pick(await keysOf(client, remoteKeys, false), kid, alg);
  if (found || client.popUrl === undefined) return found;
  return pick(await keysOf(client, remoteKeys, true), kid, alg);
}

async function keysOf(client: OAuthClient, remoteKeys: RemoteKeys, fresh: boolean): Promise<readonly JudgedKey[]> {
  if (client.jwks) {
    const known = judged.get(client.jwks) ?? judgeJwks(client.jwks, { use: 'sig' }).keys;
    judged.set(client.jwks, known);
    return known;
  }
  return client.popUrl === undefined ? [] : remoteKeys.get(client.popUrl, 'sig', { fresh });
}

function pick(keys: readonly JudgedKey[], kid: string | undefined, alg: string): VerificationKey | undefined {
  const fitting = keys.filter((key) => (kid === undefined || key.kid === kid) && key.algorithms.includes(alg));
  const [key] = fitting;
  if (!key || fitting.length > 1) return undefined;
  try {
    return importVerificationKey(key.jwk, alg);
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
}
