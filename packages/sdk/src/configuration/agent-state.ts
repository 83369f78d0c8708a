/**
 * The identity of an agent on disk: `identity.<revision>.json`. The highest revision is the truth. A revision is written
 * whole and under a name that only one process can take, then the lower ones are removed: a crash at any point leaves a
 * complete identity, and of two processes with one folder none loses the keys of the other.
 */
import {
  importDecryptionKey,
  importSigningKey,
  isJsonObject,
  type PrivateJwk,
  parseJsonObjectStrict,
} from '@gatehouse/crypto';
import type { AgentKeys } from './agent-keys.ts';
import { type PrivateFolder, stateInvalid } from './private-folder.ts';

/** What is known about an agent. */
export interface AgentState {
  readonly format: 1;
  readonly revision: number;
  readonly issuer: string;
  /** The keys in use. */
  readonly keys: AgentKeys;
  /** What the server answered to the enrolment; absent before. */
  readonly enrolled?: { readonly agentId: string; readonly organization: string; readonly service: string };
  /** Made to take the place of `keys`; the server may know them or not. */
  readonly next?: AgentKeys;
  /** Replaced by `keys`, which the server knows; local copies may still be sealed under them. */
  readonly previous?: AgentKeys;
  /** When the server said that the agent is revoked. */
  readonly revokedAt?: string;
}

const revisionFile = /^identity\.([1-9]\d{0,14})\.json$/;

/** Reads and writes the identity. */
export interface AgentStateStore {
  load(): Promise<AgentState | undefined>;
  /** Writes the next revision; undefined when another process was first. */
  save(next: Omit<AgentState, 'format' | 'revision'>, after: AgentState | undefined): Promise<AgentState | undefined>;
}

/** The store of a state folder. */
export function createAgentStateStore(folder: PrivateFolder): AgentStateStore {
  async function revisions(): Promise<number[]> {
    const numbers = (await folder.list()).map((name) => Number(revisionFile.exec(name)?.[1] ?? 0));
    return numbers.filter((number) => number > 0).sort((a, b) => b - a);
  }
  return {
    async load() {
      for (;;) {
        const [highest, ...lower] = await revisions();
        if (highest === undefined) return undefined;
        const name = fileOf(highest);
        const content = await folder.read(name);
        // Another process wrote a higher revision and removed this one meanwhile: look again.
        if (content === undefined) continue;
        const state = parseState(content, highest, `${folder.path}/${name}`);
        // What a crash kept from being removed may hold keys that were replaced.
        for (const revision of lower) await folder.remove(fileOf(revision));
        return state;
      }
    },
    async save(next, after) {
      const revision = (after?.revision ?? 0) + 1;
      const state: AgentState = { format: 1, revision, ...next };
      const [highest = 0] = await revisions();
      if (highest !== revision - 1) return undefined;
      if (!(await folder.writeNew(fileOf(revision), `${JSON.stringify(state, null, 2)}\n`))) return undefined;
      const others = (await revisions()).filter((number) => number !== revision);
      // A slow writer may take a number that was used and removed; then a higher one exists, and it withdraws.
      if (others.some((number) => number > revision)) {
        await folder.remove(fileOf(revision));
        return undefined;
      }
      for (const number of others) await folder.remove(fileOf(number));
      return state;
    },
  };
}

function fileOf(revision: number): string {
  return `identity.${revision}.json`;
}

function parseState(content: Buffer, revision: number, file: string): AgentState {
  const broken = (why: string) =>
    stateInvalid(`${file} ${why}. Restore it from a backup, or remove the folder and enrol this agent again.`);
  let state: Record<string, unknown>;
  try {
    state = parseJsonObjectStrict(content);
  } catch {
    throw broken('is not the identity of an agent');
  }
  const { enrolled } = state;
  const isEnrolled =
    enrolled === undefined ||
    (isJsonObject(enrolled) &&
      ['agentId', 'organization', 'service'].every((name) => typeof enrolled[name] === 'string'));
  if (state.format !== 1) throw broken('was written by another version of this program');
  if (state.revision !== revision || typeof state.issuer !== 'string' || !isEnrolled) throw broken('is incomplete');
  for (const name of ['keys', 'next', 'previous']) {
    if (name !== 'keys' && state[name] === undefined) continue;
    if (!isKeys(state[name])) throw broken(`holds keys that cannot be used (${name})`);
  }
  return state as unknown as AgentState;
}

/** Imports the keys, which checks that the halves belong together. */
function isKeys(value: unknown): value is AgentKeys {
  if (!isJsonObject(value) || typeof value.createdAt !== 'string' || Number.isNaN(Date.parse(value.createdAt))) {
    return false;
  }
  try {
    importSigningKey(value.sig as unknown as PrivateJwk, 'ES256');
    const { kid } = importDecryptionKey(value.enc as unknown as PrivateJwk, 'ECDH-ES+A256KW');
    return kid !== undefined;
  } catch {
    return false;
  }
}
