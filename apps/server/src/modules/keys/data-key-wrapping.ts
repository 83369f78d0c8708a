import type { SealPlace } from '@gatehouse/crypto';
import type { Tx } from '../../kernel/index.ts';
import { insertWraps } from './data-key-store.ts';
import type { RootKeys } from './root-key.ts';
import { listUnwrapped } from './root-key-store.ts';

/** The place of a wrapped data key: bound to its organization, its row and the root key. */
export function dataKeyPlace(organization: string, dataKeyId: string, rootKeyId: string): SealPlace {
  return { organization, schema: 'keys', table: 'data_key_wraps', rowId: dataKeyId, owner: rootKeyId };
}

/**
 * Wraps with the current root key every data key that only the previous one wraps; returns how many. The old wraps stay,
 * so nodes that still run with the previous key alone go on. The data keys themselves do not change.
 */
export async function wrapMissing(tx: Tx, { current, previous }: RootKeys): Promise<number> {
  if (!previous) return 0;
  let count = 0;
  for (;;) {
    const batch = await listUnwrapped(tx, current.id, previous.id, 500);
    if (batch.length === 0) return count;
    const wraps = [];
    for (const { id, organization, wrapped } of batch) {
      if (!wrapped) throw new Error(`keys: the data key ${id} is wrapped by neither ${previous.id} nor ${current.id}`);
      const dataKey = await previous.unwrap(dataKeyPlace(organization, id, previous.id), wrapped);
      wraps.push({
        dataKeyId: id,
        rootKeyId: current.id,
        wrapped: await current.wrap(dataKeyPlace(organization, id, current.id), dataKey),
      });
    }
    await insertWraps(tx, wraps);
    count += batch.length;
  }
}
