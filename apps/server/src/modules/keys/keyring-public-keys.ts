import type { PublicJwk } from '@gatehouse/crypto';
import type { Clock, Reader } from '../../kernel/index.ts';
import { keyInUse } from './keyring-rules.ts';
import { findKeyring, listKeysOf } from './keyring-store.ts';
import { jwksKeys, popKeys } from './public-documents.ts';

/** What is public of a keyring at a moment. */
export interface KeyringPublicKeys {
  /** The key in use; undefined when there is none. */
  readonly inUse: PublicJwk | undefined;
  /** All that `/.well-known/jwks.json`, or `/pop`, shows of the keyring. */
  readonly keys: readonly PublicJwk[];
}

/**
 * The public keys of a keyring for tokens or for `/pop`, read in the caller's transaction: every node gives the same
 * answer right after a rotation. Undefined when there is no such keyring.
 */
export function createKeyringPublicKeys({ clock }: { clock: Clock }) {
  return async (tx: Reader, name: string): Promise<KeyringPublicKeys | undefined> => {
    const keyring = await findKeyring(tx, name);
    if (!keyring || (keyring.purpose !== 'tokens' && keyring.purpose !== 'pop')) return undefined;
    const keys = await listKeysOf(tx, name);
    const now = clock.now();
    const shown = keyring.purpose === 'tokens' ? jwksKeys([{ keyring, keys }], now) : popKeys([{ keyring, keys }], now);
    return {
      inUse: keyInUse(keyring.policy, keys, now)?.publicJwk,
      keys: shown.map((key) => key.publicJwk),
    };
  };
}
