import { CryptoError, openBytes, placeAad, type SealPlace, sealBytes, sealedKeyId } from '@gatehouse/crypto';
import { AppError, type Clock, type Random, type Reader, type Tx } from '../../kernel/index.ts';
import { insertDataKey, insertWraps, listDataKeyWraps, lockActiveRootKeys } from './data-key-store.ts';
import { dataKeyPlace } from './data-key-wrapping.ts';
import type { RootKeys } from './root-key.ts';

/** Seals values at rest under the data key of their organization, bound to their place. */
export interface Sealing {
  seal(tx: Tx, place: SealPlace, plaintext: Uint8Array): Promise<Uint8Array>;
  open(tx: Reader, place: SealPlace, sealed: Uint8Array): Promise<Uint8Array>;
}

interface DataKey {
  readonly id: string;
  readonly key: Uint8Array;
}

/**
 * Creates the sealing. Opened data keys stay in memory, but only those read back committed: one made in a transaction
 * that rolls back never existed, and what it sealed elsewhere could never be opened.
 */
export function createSealing(deps: { rootKeys: RootKeys; clock: Clock; random: Random }): Sealing {
  const { rootKeys, clock, random } = deps;
  const held = rootKeys.previous ? [rootKeys.current, rootKeys.previous] : [rootKeys.current];
  const heldIds = held.map((rootKey) => rootKey.id);
  const opened = new Map<string, DataKey>();

  const findDataKey = async (tx: Reader, organization: string): Promise<DataKey | undefined> => {
    const known = opened.get(organization);
    if (known) return known;
    const rows = await listDataKeyWraps(tx, organization, heldIds);
    const [row] = rows;
    if (!row) return undefined;
    for (const rootKey of held) {
      const wrapped = rows.find((one) => one.root_key_id === rootKey.id)?.wrapped;
      if (!wrapped) continue;
      const key = await rootKey
        .unwrap(dataKeyPlace(organization, row.id, rootKey.id), wrapped)
        .catch((cause: unknown) => {
          throw cannotOpen(cause);
        });
      const dataKey = { id: row.id, key };
      if (!row.uncommitted) opened.set(organization, dataKey);
      return dataKey;
    }
    throw replaced();
  };

  const makeDataKey = async (tx: Tx, organization: string): Promise<void> => {
    const id = random.id('dk');
    const active = await lockActiveRootKeys(tx, heldIds);
    if (!active.includes(rootKeys.current.id)) throw replaced();
    if (!(await insertDataKey(tx, { id, organization, createdAt: clock.now() }))) return;
    const key = random.bytes(32);
    const wraps = [];
    for (const rootKey of held.filter((one) => active.includes(one.id))) {
      const wrapped = await rootKey.wrap(dataKeyPlace(organization, id, rootKey.id), key);
      wraps.push({ dataKeyId: id, rootKeyId: rootKey.id, wrapped });
    }
    await insertWraps(tx, wraps);
  };

  return {
    async seal(tx, place, plaintext) {
      let dataKey = await findDataKey(tx, place.organization);
      if (!dataKey) {
        await makeDataKey(tx, place.organization);
        dataKey = await findDataKey(tx, place.organization);
      }
      if (!dataKey) throw new Error(`keys: no data key for ${place.organization} after making one`);
      return sealBytes(dataKey.key, plaintext, placeAad(place), (count) => random.bytes(count), dataKey.id);
    },
    async open(tx, place, sealed) {
      const dataKey = await findDataKey(tx, place.organization);
      try {
        if (!dataKey || sealedKeyId(sealed) !== dataKey.id) throw new CryptoError('crypto.cannot_open');
        return openBytes(dataKey.key, sealed, placeAad(place));
      } catch (cause) {
        throw cannotOpen(cause);
      }
    },
  };
}

function cannotOpen(cause: unknown): AppError {
  return new AppError('keys.cannot_open', {
    detail: 'A stored value does not open at its place. It was changed, moved, or belongs to another store.',
    cause,
  });
}

function replaced(): AppError {
  return new AppError('keys.root_key_replaced', {
    detail: 'The root key was replaced while this node ran with the previous one. Restart it with the new root key.',
  });
}
