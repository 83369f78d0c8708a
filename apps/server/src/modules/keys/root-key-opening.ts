import type { SealPlace } from '@gatehouse/crypto';
import { type Settings, SettingsError } from '../../config.ts';
import type { Clock, Db, Logger, Random, Tx } from '../../kernel/index.ts';
import { wrapMissing } from './data-key-wrapping.ts';
import { platformOrganization } from './key.ts';
import { createRootKey, type RootKey, type RootKeys } from './root-key.ts';
import { createRootKeyFile, parseRootKey, previousRootKeyPath, readRootKeyFile, rootKeyPath } from './root-key-file.ts';
import {
  hasDataKeys,
  insertRootKey,
  listRootKeys,
  listUnwrapped,
  lockRootKeys,
  type RootKeyRow,
  retireOtherRootKeys,
} from './root-key-store.ts';

/** What opening the root key needs. */
export interface OpenRootKeysDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly settings: Pick<Settings, 'rootKeyProvider' | 'rootKey' | 'rootKeyPrevious' | 'dataDir'>;
}

/**
 * Finds the root key and proves it against the store before anything else may use it.
 * Invariants: a key that does not open the store's canary is refused with both names; a missing key is refused; a key is
 * made in one case only, provider `file` on a store that has never had one. Nothing is ever written unsealed instead.
 *
 * @throws SettingsError saying which key the store needs
 */
export async function openRootKeys(deps: OpenRootKeysDeps): Promise<RootKeys> {
  const { db, clock, log } = deps;
  return db.transaction(async (tx) => {
    await lockRootKeys(tx);
    const rows = await listRootKeys(tx);
    const found = await findKeys(deps);
    if (rows.length === 0) {
      if (await hasDataKeys(tx))
        throw new SettingsError(
          'The table keys.root_keys is empty although the store holds data keys. Restore the database from a backup.',
        );
      const current = found.current ?? (await makeKey(deps));
      await insertCanary(tx, current, clock.now());
      return { current, previous: undefined };
    }
    const { current, previous } = found;
    if (!current) throw new SettingsError(missingText(deps, rows));
    const row = rows.find((one) => one.id === current.id);
    if (row) await assertOpens(current, row);
    if (row?.retired) throw new SettingsError(retiredText(current, rows));
    const before = previous && previous.id !== current.id ? rows.find((one) => one.id === previous.id) : undefined;
    if (before && previous) await assertOpens(previous, before);
    if (before && previous && !before.retired) {
      if (!row) await insertCanary(tx, current, clock.now());
      const count = await wrapMissing(tx, { current, previous });
      if (!row)
        log.warn({ root_key: current.id, previous: previous.id, data_keys: count }, 'the root key is being replaced');
      return { current, previous };
    }
    if (!row) throw new SettingsError(wrongText(deps, current, rows));
    await finishReplacement(tx, deps, current, rows);
    return { current, previous: undefined };
  });
}

/** A node that starts with the new key alone declares the replacement done. */
async function finishReplacement(
  tx: Tx,
  { clock, log }: OpenRootKeysDeps,
  current: RootKey,
  rows: RootKeyRow[],
): Promise<void> {
  const others = rows.filter((row) => row.id !== current.id && !row.retired);
  if (others.length === 0) return;
  const [missing] = await listUnwrapped(tx, current.id, undefined, 1);
  if (missing) {
    throw new SettingsError(
      `The root key is not wholly replaced: the data key of organization "${missing.organization}" is still under ${others.map((row) => row.id).join(', ')} only. Start once more with the previous root key beside the new one.`,
    );
  }
  await retireOtherRootKeys(tx, current.id, clock.now());
  log.warn(
    { root_key: current.id, retired: others.map((row) => row.id) },
    'the root key was replaced; the previous one opens nothing here any more',
  );
}

async function findKeys(
  deps: OpenRootKeysDeps,
): Promise<{ current: RootKey | undefined; previous: RootKey | undefined }> {
  const { settings, random } = deps;
  const make = (secret: Uint8Array | undefined) =>
    secret ? createRootKey(secret, (count) => random.bytes(count)) : undefined;
  if (settings.rootKeyProvider === 'file') {
    return {
      current: make(await readRootKeyFile(rootKeyPath(settings.dataDir))),
      previous: make(await readRootKeyFile(previousRootKeyPath(settings.dataDir))),
    };
  }
  const parse = (text: string | undefined, name: string) => (text === undefined ? undefined : parseRootKey(text, name));
  return {
    current: make(parse(settings.rootKey, 'GATEHOUSE_ROOT_KEY')),
    previous: make(parse(settings.rootKeyPrevious, 'GATEHOUSE_ROOT_KEY_PREVIOUS')),
  };
}

/** The first start of a store with the provider `file`. Another process on this machine may have been first. */
async function makeKey({ settings, random, log }: OpenRootKeysDeps): Promise<RootKey> {
  if (settings.rootKeyProvider !== 'file')
    throw new SettingsError('GATEHOUSE_ROOT_KEY is missing: set it to 32 random bytes in base64url.');
  const path = rootKeyPath(settings.dataDir);
  const made = await createRootKeyFile(path, random.bytes(32), random.uuid());
  const secret = await readRootKeyFile(path);
  if (!secret) throw new SettingsError(`The root key ${path} was written but is not there. Check the disk.`);
  const key = createRootKey(secret, (count) => random.bytes(count));
  if (made)
    log.warn(
      { path, root_key: key.id },
      'made the root key; without a copy of this file a backup of the database cannot be opened',
    );
  return key;
}

const canary = new TextEncoder().encode('gatehouse: this root key opens this store');

function canaryPlace(id: string): SealPlace {
  return { organization: platformOrganization, schema: 'keys', table: 'root_keys', rowId: id, owner: 'root' };
}

async function insertCanary(tx: Tx, key: RootKey, now: Date): Promise<void> {
  await insertRootKey(tx, { id: key.id, verifier: await key.wrap(canaryPlace(key.id), canary), createdAt: now });
}

async function assertOpens(key: RootKey, row: RootKeyRow): Promise<void> {
  try {
    await key.unwrap(canaryPlace(row.id), row.verifier);
  } catch (cause) {
    throw new SettingsError(
      `The canary of root key ${row.id} in keys.root_keys was changed: the database is damaged. Restore it from a backup. (${(cause as Error).message})`,
    );
  }
}

function activeIds(rows: RootKeyRow[]): string {
  return rows.flatMap((row) => (row.retired ? [] : [row.id])).join(' or ');
}

function missingText({ settings }: OpenRootKeysDeps, rows: RootKeyRow[]): string {
  return `The root key is missing: this store was sealed with ${activeIds(rows)}, but ${rootKeyPath(settings.dataDir)} does not exist. Put the file back from your backup (or set GATEHOUSE_DATA_DIR to where it is). Gatehouse does not make a new one: it would open nothing.`;
}

function wrongText({ settings }: OpenRootKeysDeps, current: RootKey, rows: RootKeyRow[]): string {
  const where = settings.rootKeyProvider === 'file' ? rootKeyPath(settings.dataDir) : 'GATEHOUSE_ROOT_KEY';
  return `The root key is wrong: ${where} holds ${current.id}, this store was sealed with ${activeIds(rows)}. Give the right key, or the right database. To replace the key, give the previous one beside it (docs/guides/keys-and-rotation.md).`;
}

function retiredText(current: RootKey, rows: RootKeyRow[]): string {
  return `The root key ${current.id} was replaced by ${activeIds(rows)} and opens nothing here any more. Give the new one.`;
}
