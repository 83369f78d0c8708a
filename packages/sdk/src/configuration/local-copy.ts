/**
 * The last good version of each namespace, encrypted in the state folder, and beside it the highest serial that was seen.
 *
 * `copy.<namespace>` is the last accepted version, `seen.<namespace>.<serial>` the highest version that was verified and
 * which one was accepted last. Both are sealed (AES-256-GCM) under a key derived from the agent's private key and bound
 * to issuer, organization, service, namespace and agent, so that nobody without the key file can make one, and one in
 * another place does not open. A copy older than the accepted serial is refused, and so is one without that record.
 *
 * What cannot be noticed: the whole folder, or copy and record of a namespace together, put back to an earlier state
 * while the server is away. Against that only something outside the folder would help; the server itself does, as soon
 * as it can be reached.
 */
import { randomBytes } from 'node:crypto';
import { canonicalJsonBytes, openBytes, sealBytes, sealedKeyId } from '@gatehouse/crypto';
import type { StorageKey } from './agent-keys.ts';
import type { ConfigurationVersion } from './configuration-version.ts';
import type { PrivateFolder } from './private-folder.ts';

/** Whose copies these are: bound into each. */
export interface CopyOwner {
  readonly issuer: string;
  readonly organization: string;
  readonly service: string;
  readonly agentId: string;
}

/** A version and its place in the chain. */
export interface SeenVersion {
  readonly version: number;
  readonly hash: string;
}

/** What the state folder knows of a namespace. */
export interface KeptState {
  /** The last accepted version, when there is one that may be used. */
  readonly copy?: KeptVersion;
  /** The highest version that was verified, whether it was accepted or not. */
  readonly seen?: SeenVersion;
  /** Why what is there was refused. */
  readonly refused?: string;
}

/** An accepted version as it is kept. */
export type KeptVersion = Omit<ConfigurationVersion, 'changedKeys' | 'source'>;

/** The local copies of one agent. */
export interface LocalCopies {
  load(namespace: string): Promise<KeptState>;
  /** Notes a verified version, before anybody acts on it. */
  saw(namespace: string, seen: SeenVersion): Promise<void>;
  /** Keeps an accepted version in place of the one before. `saw` was called for it. */
  keep(version: KeptVersion): Promise<void>;
}

/** Where the copies are and what seals them. */
export interface LocalCopiesDeps {
  readonly folder: PrivateFolder;
  readonly owner: CopyOwner;
  /** The key to seal with, and all keys that may open. */
  readonly keys: () => { readonly current: StorageKey; readonly all: readonly StorageKey[] };
  /** Runs alone: no rotation of the keys meanwhile. */
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
}

interface SeenRecord extends SeenVersion {
  /** The last accepted version. */
  readonly kept?: SeenVersion;
}

/** Makes the copies of a state folder. */
export function createLocalCopies({ folder, owner, keys, exclusive }: LocalCopiesDeps): LocalCopies {
  const open = (name: string, sealed: Uint8Array) => openFile(name, sealed, owner, keys().all);

  async function write(name: string, value: unknown): Promise<void> {
    await folder.write(name, sealFile(name, Buffer.from(JSON.stringify(value), 'utf8'), owner, keys().current));
  }

  /** The highest record, `undefined` when there is none, or why it cannot be believed. */
  async function readRecord(namespace: string): Promise<SeenRecord | string | undefined> {
    const [highest] = await recordVersions(namespace);
    if (highest === undefined) return undefined;
    const name = recordFile(namespace, highest);
    const sealed = await folder.read(name);
    if (sealed === undefined) return undefined;
    const record = parse<SeenRecord>(open(name, sealed));
    if (record?.version !== highest) {
      return `The record of the last seen serial (${folder.path}/${name}) was changed, or belongs to another agent.`;
    }
    return record;
  }

  async function recordVersions(namespace: string): Promise<number[]> {
    const prefix = recordFile(namespace, '');
    return (await folder.list())
      .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,8}$/.test(name.slice(prefix.length)))
      .map((name) => Number(name.slice(prefix.length)))
      .sort((a, b) => b - a);
  }

  /** Of several records the highest is the truth: lower ones go, and higher ones only when they were not to be believed. */
  async function writeRecord(namespace: string, record: SeenRecord, before: SeenRecord | string | undefined) {
    await write(recordFile(namespace, record.version), record);
    for (const version of await recordVersions(namespace)) {
      const isOld = version < record.version || (version > record.version && typeof before === 'string');
      if (isOld) await folder.remove(recordFile(namespace, version));
    }
  }

  async function load(namespace: string): Promise<KeptState> {
    const record = await readRecord(namespace);
    const name = copyFile(namespace);
    const sealed = await folder.read(name);
    if (typeof record === 'string') return { refused: record };
    const seen = record === undefined ? undefined : { version: record.version, hash: record.hash };
    const known = seen === undefined ? {} : { seen };
    if (sealed === undefined) return known;
    const where = `The local copy (${folder.path}/${name})`;
    if (record === undefined) {
      return { refused: `${where} cannot be trusted: the record of the last seen serial beside it is missing.` };
    }
    const copy = parse<KeptVersion>(open(name, sealed));
    if (copy?.namespace !== namespace) {
      return { ...known, refused: `${where} was changed, or belongs to another agent.` };
    }
    const least = record.kept?.version ?? 1;
    if (copy.version < least) {
      const refused = `${where} is version ${copy.version}, older than the last seen serial ${least}: an earlier copy was put back.`;
      return { ...known, refused };
    }
    const isFork = copy.version === record.kept?.version && copy.hash !== record.kept.hash;
    if (isFork) return { ...known, refused: `${where} is not the version ${copy.version} that was accepted.` };
    return { ...known, copy };
  }

  return {
    load: (namespace) => exclusive(() => load(namespace)),
    saw: (namespace, { version, hash }) =>
      exclusive(async () => {
        const record = await readRecord(namespace);
        const before = typeof record === 'string' ? undefined : record;
        if (before !== undefined && before.version > version) return;
        const kept = before?.kept === undefined ? {} : { kept: before.kept };
        await writeRecord(namespace, { version, hash, ...kept }, record);
      }),
    keep: (accepted) =>
      exclusive(async () => {
        const { namespace, version, hash } = accepted;
        // Copy first: a crash in between leaves a copy newer than the record, which is good; never an older one.
        await write(copyFile(namespace), accepted);
        const record = await readRecord(namespace);
        const highest = record === undefined || typeof record === 'string' ? { version, hash } : record;
        const { version: seenVersion, hash: seenHash } = highest.version > version ? highest : { version, hash };
        await writeRecord(namespace, { version: seenVersion, hash: seenHash, kept: { version, hash } }, record);
      }),
  };
}

/** Seals whatever the old keys seal in this folder under the new one. What does not open stays as it is. */
export async function resealCopies(
  folder: PrivateFolder,
  owner: CopyOwner,
  from: readonly StorageKey[],
  to: StorageKey,
): Promise<void> {
  for (const name of await folder.list()) {
    if (!/^(copy|seen)\./.test(name)) continue;
    const sealed = await folder.read(name);
    if (sealed === undefined || keyIdOf(sealed) === to.kid) continue;
    const plaintext = openFile(name, sealed, owner, from);
    if (plaintext !== undefined) await folder.write(name, sealFile(name, plaintext, owner, to));
  }
}

/** Removes every copy and record: of an agent that was revoked. */
export async function removeCopies(folder: PrivateFolder): Promise<void> {
  for (const name of await folder.list()) if (/^(copy|seen)\./.test(name)) await folder.remove(name);
}

function copyFile(namespace: string): string {
  return `copy.${namespace}`;
}

function recordFile(namespace: string, version: number | ''): string {
  return `seen.${namespace}.${version}`;
}

/** The name of the file is bound too, without the serial of a record, which its content repeats. */
function placeOf(name: string, { issuer, organization, service, agentId }: CopyOwner): Uint8Array {
  const [kind, namespace] = name.split('.', 2);
  return canonicalJsonBytes({
    format: 'gatehouse/local/1',
    kind,
    namespace,
    issuer,
    organization,
    service,
    agent: agentId,
  });
}

function sealFile(name: string, plaintext: Uint8Array, owner: CopyOwner, key: StorageKey): Uint8Array {
  return sealBytes(key.bytes, plaintext, placeOf(name, owner), randomBytes, key.kid);
}

function openFile(
  name: string,
  sealed: Uint8Array,
  owner: CopyOwner,
  keys: readonly StorageKey[],
): Uint8Array | undefined {
  const kid = keyIdOf(sealed);
  const key = keys.find((candidate) => candidate.kid === kid);
  if (key === undefined) return undefined;
  try {
    return openBytes(key.bytes, sealed, placeOf(name, owner));
  } catch {
    return undefined;
  }
}

function keyIdOf(sealed: Uint8Array): string | undefined {
  try {
    return sealedKeyId(sealed);
  } catch {
    return undefined;
  }
}

/** What was sealed by us is what we wrote: only the JSON is parsed again. */
function parse<T>(plaintext: Uint8Array | undefined): T | undefined {
  return plaintext === undefined ? undefined : (JSON.parse(Buffer.from(plaintext).toString('utf8')) as T);
}
