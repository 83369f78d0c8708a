import type { KeyObject } from 'node:crypto';
import {
  importDecryptionKey,
  importSigningKey,
  importVerificationKey,
  type PrivateJwk,
  type SealPlace,
} from '@gatehouse/crypto';
import type { Db, Reader } from '../../kernel/index.ts';
import type { Keyring, LoadedKey, StoredKey } from './key.ts';
import { listKeyrings, listLiveKeys } from './keyring-store.ts';
import type { Sealing } from './sealing.ts';

/** The keyrings and keys of a node as it last read them. Never changed in place: a reload replaces it. */
export interface KeySnapshot {
  readonly keyrings: ReadonlyMap<string, Keyring>;
  readonly keysOf: ReadonlyMap<string, readonly LoadedKey[]>;
  readonly byKid: ReadonlyMap<string, LoadedKey>;
}

/** What this node knows of keys. Serving public keys, verifying and signing need nothing else, no database. */
export interface KeyMemory {
  current(): KeySnapshot;
  /** Reads everything anew. A reload asked for during one runs after it, so that no change is missed. */
  reload(): Promise<void>;
}

/** Where the private part of a key lies: bound to its organization, keyring and kid. */
export function privateKeyPlace(keyring: Pick<Keyring, 'name' | 'organization'>, kid: string): SealPlace {
  return { organization: keyring.organization, schema: 'keys', table: 'keys', rowId: kid, owner: keyring.name };
}

/** Creates an empty memory. */
export function createKeyMemory(deps: { db: Db; sealing: Pick<Sealing, 'open'> }): KeyMemory {
  let snapshot: KeySnapshot = { keyrings: new Map(), keysOf: new Map(), byKid: new Map() };
  let tail: Promise<void> = Promise.resolve();

  const read = async (tx: Reader): Promise<KeySnapshot> => {
    const keyrings = new Map((await listKeyrings(tx)).map((keyring) => [keyring.name, keyring]));
    const keysOf = new Map<string, LoadedKey[]>([...keyrings.keys()].map((name) => [name, []]));
    const byKid = new Map<string, LoadedKey>();
    for (const stored of await listLiveKeys(tx)) {
      const keyring = keyrings.get(stored.keyring);
      if (!keyring) continue; // made between the two reads: the change that made it brings the next reload
      const loaded = await loadKey(tx, keyring, stored, snapshot.byKid.get(stored.kid));
      keysOf.get(keyring.name)?.push(loaded);
      byKid.set(loaded.kid, loaded);
    }
    return { keyrings, keysOf, byKid };
  };

  /** Opening a private key and building key objects is done once per key, not once per reload. */
  const loadKey = async (tx: Reader, keyring: Keyring, stored: StoredKey, known: LoadedKey | undefined) => {
    const { privateSealed, ...times } = stored;
    const common = { ...times, alg: keyring.algorithm, use: keyring.use };
    const publicKey = known?.publicKey ?? publicKeyOf(keyring, stored);
    if (!privateSealed) return { ...common, publicKey, privateJwk: undefined, privateKey: undefined };
    if (known?.privateKey) {
      return { ...common, publicKey, privateJwk: known.privateJwk, privateKey: known.privateKey };
    }
    const opened = await deps.sealing.open(tx, privateKeyPlace(keyring, stored.kid), privateSealed);
    const privateJwk = JSON.parse(new TextDecoder().decode(opened)) as PrivateJwk;
    opened.fill(0);
    const imported = keyring.use === 'sig' ? importSigningKey(privateJwk) : importDecryptionKey(privateJwk);
    if (imported.kid !== stored.kid) throw new Error(`keys: the private key of ${stored.kid} belongs to another kid`);
    return { ...common, publicKey, privateJwk, privateKey: imported.keyObject };
  };

  return {
    current: () => snapshot,
    reload() {
      const before = tail;
      const load = async () => {
        await before.catch(() => {}); // whoever asked for the reload before has heard of its failure
        snapshot = await deps.db.read(read);
      };
      tail = load();
      return tail;
    },
  };
}

function publicKeyOf(keyring: Keyring, stored: StoredKey): KeyObject | undefined {
  return keyring.use === 'sig' ? importVerificationKey(stored.publicJwk).keyObject : undefined;
}
