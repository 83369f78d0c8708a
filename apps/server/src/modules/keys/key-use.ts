import type { JsonObject } from '@gatehouse/contracts';
import { CryptoError, decryptCompactJwe, isCryptoError, type PrivateJwk, signCompactJws } from '@gatehouse/crypto';
import { AppError, type Clock } from '../../kernel/index.ts';
import type { LoadedKey, PublicKeyEntry } from './key.ts';
import type { KeyMemory } from './key-memory.ts';
import { keyInUse } from './keyring-rules.ts';
import {
  cacheSeconds,
  documentOf,
  isAccepted,
  jwksKeys,
  type LastingJwk,
  lastingKeys,
  type PublicDocument,
  popKeys,
} from './public-documents.ts';

/** Everything done with keys that needs no database: from this node's memory, at this node's time. */
export function createKeyUse({ memory, clock }: { memory: Pick<KeyMemory, 'current'>; clock: Clock }) {
  const rings = () => {
    const { keyrings, keysOf } = memory.current();
    return [...keyrings.values()].map((keyring) => ({ keyring, keys: keysOf.get(keyring.name) ?? [] }));
  };
  const inUse = (name: string): LoadedKey | undefined => {
    const { keyrings, keysOf } = memory.current();
    const keyring = keyrings.get(name);
    return keyring && keyInUse(keyring.policy, keysOf.get(name) ?? [], clock.now());
  };
  const tokenRings = () => rings().filter(({ keyring }) => keyring.purpose === 'tokens');

  return {
    inUse,

    /** A compact JWS with `kid`, by the key in use. Without one: `keys.no_valid_key`, never an expired key. */
    async sign(input: {
      keyring: string;
      header?: { typ?: string };
      payload: Uint8Array | JsonObject;
    }): Promise<string> {
      const key = inUse(input.keyring);
      if (!key?.privateKey || key.use !== 'sig') throw noValidKey(input.keyring);
      const { payload, header } = input;
      return signCompactJws({
        key: { kid: key.kid, alg: key.alg, keyObject: key.privateKey },
        payload: payload instanceof Uint8Array ? payload : JSON.stringify(payload),
        ...(header?.typ === undefined ? {} : { typ: header.typ }),
      });
    },

    /**
     * Opens a compact JWE sealed to one of our `/pop` keys, `legacy` ones included. Whatever is behind a well-formed
     * header fails in one way and after the same work: an unknown `kid` is tried with a key of ours and refused then.
     */
    async decrypt(token: string): Promise<Uint8Array> {
      const now = clock.now();
      const own = rings().flatMap((ring) => (ring.keyring.purpose === 'pop' ? ring.keys : []));
      let known = false;
      try {
        const { plaintext } = await decryptCompactJwe(token, {
          algorithms: ['RSA-OAEP-256', 'ECDH-ES+A256KW'],
          contentAlgorithms: ['A256GCM'],
          maxBytes: maxSealedMessageBytes,
          findKey: (kid, { alg }) => {
            const usable = own.filter((key) => key.alg === alg && isAccepted(key, now));
            const named = usable.find((key) => key.kid === kid);
            known = named !== undefined;
            const key = named ?? usable[0];
            return key?.privateKey && { kid: key.kid, alg: key.alg, keyObject: key.privateKey };
          },
        });
        if (!known) throw new CryptoError('crypto.cannot_decrypt');
        return plaintext;
      } catch (cause) {
        throw cannotDecrypt(cause);
      }
    },

    /** Signature keys of tokens: `created`, `valid`, `legacy`. */
    verificationKeys: (): readonly PublicKeyEntry[] => jwksKeys(tokenRings(), clock.now()).flatMap(entryOf),

    /** The signature key of this `kid`, if tokens signed with it are accepted. */
    findVerificationKey(kid: string): PublicKeyEntry | undefined {
      const { byKid, keyrings } = memory.current();
      const key = byKid.get(kid);
      if (!key || keyrings.get(key.keyring)?.purpose !== 'tokens' || !isAccepted(key, clock.now())) return undefined;
      return entryOf(key)[0];
    },

    /**
     * Private token keys for `oidc-provider`, which signs with the first of an algorithm. A keyring with no usable key
     * gives none at all: a legacy key must never sign.
     */
    signingJwks(): { keys: PrivateJwk[] } {
      const now = clock.now();
      const keys = tokenRings().flatMap((ring) => {
        if (!keyInUse(ring.keyring.policy, ring.keys, now)) return [];
        return jwksKeys([ring], now).flatMap((key) => (key.privateJwk ? [key.privateJwk] : []));
      });
      return { keys };
    },

    /** Algorithms tokens are signed with. */
    signatureAlgorithms: (): string[] => [...new Set(tokenRings().map(({ keyring }) => keyring.algorithm))],

    /** `/.well-known/jwks.json`. */
    jwks(): PublicDocument {
      const now = clock.now();
      const all = rings();
      return documentOf(publicOf(jwksKeys(all, now)), cacheSeconds(all, ['tokens'], now));
    },

    /** `/pop`. */
    pop(): PublicDocument {
      const now = clock.now();
      const all = rings();
      return documentOf(publicOf(popKeys(all, now)), cacheSeconds(all, ['tokens', 'pop'], now));
    },

    /** Every key that ever signed or may sign a checkpoint. */
    auditKeys: (): LastingJwk[] => lastingKeys(rings(), 'audit'),

    /** Every key that ever signed or may sign a bundle of configuration. */
    configurationKeys: (): LastingJwk[] => lastingKeys(rings(), 'configuration'),

    /** For readiness: the keys are in memory. A keyring without a usable key stops signing, not the node. */
    readiness: (): string | undefined =>
      memory.current().keyrings.size === 0 ? 'The keys are not loaded yet.' : undefined,

    /** The keyrings that have no usable key; undefined when there are none. */
    problem(): string | undefined {
      const without = rings().flatMap(({ keyring }) => (inUse(keyring.name) ? [] : [keyring.name]));
      return without.length === 0 ? undefined : `No valid key in the keyring ${without.join(', ')}.`;
    },

    /** Changes when what this node signs with or accepts changes, be it by a reload or by time alone. */
    fingerprint(): string {
      const now = clock.now();
      return rings()
        .map(({ keyring, keys }) => {
          const accepted = keys.filter((key) => isAccepted(key, now)).map((key) => `${key.kid}:${key.state}`);
          return [keyring.name, inUse(keyring.name)?.kid, ...accepted].join(' ');
        })
        .join('\n');
    },
  };
}

/** Using keys, from memory. */
export type KeyUse = ReturnType<typeof createKeyUse>;

/** Largest message that may be sealed to `/pop`, bytes of the token. */
const maxSealedMessageBytes = 64 * 1024;

function publicOf(keys: readonly LoadedKey[]) {
  return keys.map((key) => key.publicJwk);
}

function entryOf(key: LoadedKey): PublicKeyEntry[] {
  const { kid, alg, publicJwk, publicKey, state } = key;
  return publicKey ? [{ kid, alg, jwk: publicJwk, keyObject: publicKey, state }] : [];
}

function noValidKey(keyring: string): AppError {
  return new AppError('keys.no_valid_key', {
    detail: `The keyring ${keyring} has no valid key. Nothing is signed until it is rotated; expired keys are never used.`,
    headers: { 'retry-after': '5' },
  });
}

/** What is wrong with the form or the header is public and told; what is behind it is one answer. */
function cannotDecrypt(cause: unknown): AppError {
  const aboutHeader = isCryptoError(cause) && cause.code !== 'crypto.cannot_decrypt';
  return new AppError('keys.cannot_decrypt', {
    detail: aboutHeader
      ? cause.message
      : 'The message does not open with a key of /pop. Fetch /pop again and seal anew.',
    cause,
  });
}
