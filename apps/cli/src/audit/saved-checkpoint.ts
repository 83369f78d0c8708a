import { isJsonObject, parseJsonStrict } from '@gatehouse/crypto';
import { type Checkpoint, type CheckpointKeys, readCheckpointKeys } from './checkpoint.ts';

/** A checkpoint as it is kept away from the server, with the key that verified it then. */
export interface SavedCheckpoint {
  readonly jws: string;
  readonly keys: CheckpointKeys;
}

/** The content of the file: the key goes with it, so that a server with other keys cannot explain it away later. */
export function savedCheckpointText({ jws, key, number, sequence, hash, at }: Checkpoint): string {
  return `${JSON.stringify({ type: 'gatehouse-saved-checkpoint', number, sequence, hash, at, jws, key }, undefined, 2)}\n`;
}

/** Reads what {@link savedCheckpointText} wrote; undefined for anything else. Only `jws` and `key` count. */
export function readSavedCheckpoint(text: string): SavedCheckpoint | undefined {
  try {
    const value = parseJsonStrict(text);
    if (!isJsonObject(value) || value['type'] !== 'gatehouse-saved-checkpoint') return undefined;
    const { jws, key } = value;
    const keys = readCheckpointKeys({ keys: [key ?? null] });
    return typeof jws === 'string' && keys.size === 1 ? { jws, keys } : undefined;
  } catch {
    return undefined;
  }
}
