/**
 * Replacing an agent's keys so that a crash at any point leaves a working identity:
 * 1. the new keys are written beside the present ones (`next`);
 * 2. the server is told, by a request with the present ones that holds a statement signed by the new ones;
 * 3. the new ones take the place of the present ones, which stay as `previous`;
 * 4. the local copies are sealed under the new ones, and `previous` is dropped.
 * A start that finds `next` asks the server which keys it knows; one that finds `previous` goes on with step 4.
 */
import type { Clock } from '../clock.ts';
import { isGatehouseError } from '../errors.ts';
import { type AgentKeys, makeAgentKeys, publicKeysOf, signAssertion, storageKeyOf } from './agent-keys.ts';
import type { AgentRequests } from './agent-requests.ts';
import type { AgentState } from './agent-state.ts';
import type { AgentToken } from './agent-tokens.ts';
import type { EnrolledState } from './enrolment.ts';
import { type CopyOwner, resealCopies } from './local-copy.ts';
import { createOneAtATime } from './one-at-a-time.ts';
import type { PrivateFolder } from './private-folder.ts';

/** The state in memory, and on disk. */
export interface StateHolder {
  current(): EnrolledState;
  /** Reads what is on disk; tells whether it was newer. */
  reload(): Promise<boolean>;
  /** Writes what `edit` makes of the state. */
  change(edit: (state: EnrolledState) => Omit<AgentState, 'format' | 'revision'>): Promise<void>;
}

/** What rotation needs. */
export interface KeyRotationDeps {
  readonly holder: StateHolder;
  readonly requests: Pick<AgentRequests, 'token' | 'replaceKeys'>;
  readonly folder: PrivateFolder;
  readonly owner: CopyOwner;
  readonly clock: Clock;
  /** Runs alone among all that writes local copies. */
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Rotation, and tokens by whichever keys the server knows. */
export interface KeyRotation {
  /** A token by the keys in use; settles a rotation that was interrupted. */
  fetchToken(): Promise<AgentToken>;
  rotate(): Promise<void>;
  /** Step 4, after a crash before its end. Asks nobody. */
  finish(): Promise<void>;
}

/** Makes it for one agent. */
export function createKeyRotation(deps: KeyRotationDeps): KeyRotation {
  const { holder, requests, folder, owner, clock, exclusive } = deps;
  const oneRotation = createOneAtATime();

  async function assertionBy(keys: AgentKeys, successor?: AgentKeys): Promise<string> {
    const { issuer, enrolled } = holder.current();
    const claims = { agentId: enrolled.agentId, issuer, now: clock.now() };
    return signAssertion(keys, successor === undefined ? claims : { ...claims, successor });
  }

  async function tokenBy(keys: AgentKeys): Promise<AgentToken> {
    return requests.token(await assertionBy(keys));
  }

  /** Step 2. */
  async function tellServer(token: AgentToken, next: AgentKeys): Promise<void> {
    const assertion = await assertionBy(next);
    const presentAssertion = await assertionBy(holder.current().keys, next);
    await requests.replaceKeys(token.accessToken, { jwks: publicKeysOf(next), assertion, presentAssertion });
  }

  /** Steps 3 and 4. */
  function promote(next: AgentKeys): Promise<void> {
    return exclusive(async () => {
      await holder.change(({ issuer, enrolled, keys }) => ({ issuer, enrolled, keys: next, previous: keys }));
      await dropPrevious();
    });
  }

  async function dropPrevious(): Promise<void> {
    const { keys, previous } = holder.current();
    if (previous === undefined) return;
    await resealCopies(folder, owner, [storageKeyOf(previous)], storageKeyOf(keys));
    await holder.change(({ issuer, enrolled }) => ({ issuer, enrolled, keys }));
  }

  /** A token by the new keys, which take over, if the server knows them. */
  async function tryNext(next: AgentKeys): Promise<AgentToken | undefined> {
    try {
      const token = await tokenBy(next);
      await promote(next);
      return token;
    } catch (error) {
      if (isGatehouseError(error, 'agent_refused')) return undefined;
      throw error;
    }
  }

  /** After an interruption between steps 1 and 3: whose side is the server on? */
  async function settle(): Promise<AgentToken> {
    const { keys, next } = holder.current();
    if (next === undefined) return tokenBy(keys);
    const settled = await tryNext(next);
    if (settled !== undefined) return settled;
    const token = await tokenBy(keys);
    try {
      await tellServer(token, next);
    } catch (error) {
      // The request before the interruption may have arrived only now.
      const late = isGatehouseError(error, 'agent_refused') ? await tryNext(next) : undefined;
      if (late !== undefined) return late;
      if (!isGatehouseError(error)) throw error;
      // These keys will never do. Anything else may change: the present keys serve, and the next token tries again.
      const isFinal = error.status === 400 || error.status === 409;
      if (isFinal) await holder.change(({ issuer, enrolled }) => ({ issuer, enrolled, keys }));
      return token;
    }
    await promote(next);
    return tokenBy(next);
  }

  /** What is on disk, if another process with this folder has rotated; what was sealed here meanwhile goes along. */
  async function adoptNewer(): Promise<boolean> {
    const { keys: before } = holder.current();
    return exclusive(async () => {
      if (!(await holder.reload())) return false;
      await resealCopies(folder, owner, [storageKeyOf(before)], storageKeyOf(holder.current().keys));
      return true;
    });
  }

  return {
    async fetchToken() {
      if (holder.current().next !== undefined) return oneRotation(settle);
      try {
        return await tokenBy(holder.current().keys);
      } catch (error) {
        if (!isGatehouseError(error, 'agent_refused') || !(await adoptNewer())) throw error;
        return tokenBy(holder.current().keys);
      }
    },
    rotate: () =>
      oneRotation(async () => {
        const { next: interrupted } = holder.current();
        if (interrupted !== undefined) {
          await settle();
          if (holder.current().keys.sig.kid === interrupted.sig.kid) return;
        }
        const token = await tokenBy(holder.current().keys);
        const next = await makeAgentKeys(clock.now());
        await holder.change(({ issuer, enrolled, keys }) => ({ issuer, enrolled, keys, next }));
        await tellServer(token, next);
        await promote(next);
      }),
    finish: () => exclusive(dropPrevious),
  };
}
