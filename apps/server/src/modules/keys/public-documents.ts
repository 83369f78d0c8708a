import { createHash } from 'node:crypto';
import type { JsonObject } from '@gatehouse/contracts';
import type { PublicJwk } from '@gatehouse/crypto';
import { addSeconds } from '../../kernel/index.ts';
import type { Keyring, KeyringPurpose, KeyState, KeyTimes } from './key.ts';
import { keyInUse, nextTransitionAt } from './keyring-rules.ts';

/** A key with what a public document tells of it. */
export interface PublishedKey extends KeyTimes {
  readonly endedAt: Date | undefined;
  readonly publicJwk: PublicJwk;
}

/** A keyring with its keys. */
export interface PublishedKeyring<K extends PublishedKey = PublishedKey> {
  readonly keyring: Pick<Keyring, 'name' | 'purpose' | 'use' | 'policy'>;
  readonly keys: readonly K[];
}

/** A public document with what its HTTP answer needs. */
export interface PublicDocument {
  readonly body: { readonly keys: readonly PublicJwk[] };
  readonly text: string;
  readonly etag: string;
  readonly maxAgeSeconds: number;
}

/** No public document is cached longer than this: after a compromise, verifiers drop the key within it. */
export const maxCacheSeconds = 300;

/** True while the key verifies: a key past its last instant does not, whether or not a pass has noticed. */
export function isAccepted(key: KeyTimes, now: Date): boolean {
  if (key.state === 'created') return true;
  if (key.state !== 'valid' && key.state !== 'legacy') return false;
  return key.expireAt === undefined || now <= key.expireAt;
}

/** The signature keys of tokens that are accepted, each keyring's key in use first. `/.well-known/jwks.json`. */
export function jwksKeys<K extends PublishedKey>(rings: readonly PublishedKeyring<K>[], now: Date): K[] {
  return rings.flatMap((ring) => {
    if (ring.keyring.purpose !== 'tokens') return [];
    const first = keyInUse(ring.keyring.policy, ring.keys, now);
    const order: readonly KeyState[] = ['valid', 'created', 'legacy'];
    const rank = (key: K) => (key.kid === first?.kid ? -1 : order.indexOf(key.state));
    return ring.keys.filter((key) => isAccepted(key, now)).sort((a, b) => rank(a) - rank(b));
  });
}

/** Encryption keys in use, and signature keys of tokens that are or were in use. `/pop`. */
export function popKeys<K extends PublishedKey>(rings: readonly PublishedKeyring<K>[], now: Date): K[] {
  const encryption = rings.flatMap((ring) => {
    if (ring.keyring.purpose !== 'pop') return [];
    const offered = ring.keys.filter(
      (key) => key.state === 'valid' && key.notAfter !== undefined && now <= key.notAfter,
    );
    const late = keyInUse(ring.keyring.policy, ring.keys, now);
    return offered.length > 0 || !late ? offered : [late];
  });
  return [...encryption, ...jwksKeys(rings, now).filter((key) => key.state !== 'created')];
}

/** A public key that is shown for ever. Members beyond RFC 7517 as in the historical keys of OpenID Federation: seconds since the epoch. */
export type LastingJwk = PublicJwk &
  JsonObject & {
    readonly nbf: number;
    readonly exp?: number;
    readonly revoked?: { readonly revoked_at: number };
  };

/** Every key that ever signed or may sign for this purpose, oldest first: checkpoints and bundles are verified for ever. */
export function lastingKeys(rings: readonly PublishedKeyring[], purpose: 'audit' | 'configuration'): LastingJwk[] {
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
  return rings.flatMap((ring) =>
    ring.keyring.purpose === purpose
      ? ring.keys.map((key) => ({
          ...(key.publicJwk as PublicJwk & JsonObject),
          nbf: seconds(key.notBefore),
          ...(key.notAfter ? { exp: seconds(key.notAfter) } : {}),
          ...(key.state === 'compromised' && key.endedAt ? { revoked: { revoked_at: seconds(key.endedAt) } } : {}),
        }))
      : [],
  );
}

/**
 * How long an answer may be cached, seconds: half of `publishBeforeSeconds`, so that a new key is in every cache well
 * before it signs; not past the next transition; never more than {@link maxCacheSeconds}.
 */
export function cacheSeconds(
  rings: readonly PublishedKeyring[],
  purposes: readonly KeyringPurpose[],
  now: Date,
): number {
  const concerned = rings.filter((ring) => purposes.includes(ring.keyring.purpose));
  const next = nextTransitionAt(concerned.flatMap((ring) => ring.keys));
  const bounds = concerned.map((ring) => Math.floor(ring.keyring.policy.publishBeforeSeconds / 2));
  if (next) bounds.push(Math.floor((next.getTime() - now.getTime()) / 1000));
  return Math.max(0, Math.min(maxCacheSeconds, ...bounds));
}

/** The document of these keys. The ETag is that of the bytes. */
export function documentOf(keys: readonly PublicJwk[], maxAgeSeconds: number): PublicDocument {
  const body = { keys };
  const text = JSON.stringify(body);
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 27)}"`;
  return { body, text, etag, maxAgeSeconds };
}

/** When the next key of a ring has been published long enough, if it is made at `now`. */
export function readyAtOf(keyring: Pick<Keyring, 'use' | 'policy'>, now: Date): Date {
  // An encryption key is published when it is activated: nobody has to know it before.
  return keyring.use === 'sig' ? addSeconds(now, keyring.policy.publishBeforeSeconds) : now;
}
