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

  async function assertionBy(keys: AgentKeys): Promise<string> {
    const { issuer, enrolled } = holder.current();
    return signAssertion(keys, { agentId: enrolled.agentId, issuer, now: clock.now() });
  }

  async function tokenBy(keys: AgentKeys): Promise<AgentToken> {
    return requests.token(await assertionBy(keys));
  }

  /** Step 2. */
  async function tellServer(token: AgentToken, next: AgentKeys): Promise<void> {
    const assertion = await assertionBy(next);
    await requests.replaceKeys(token.accessToken, { jwks: publicKeysOf(next), assertion });
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

  /** After an interruption between steps 1 and 3: whose side is the server on? */
  async function settle(): Promise<AgentToken> {
    const { keys, next } = holder.current();
    if (next === undefined) return tokenBy(keys);
    try {
      const token = await tokenBy(next);
      await promote(next);
      return token;
    } catch (error) {
      if (!isGatehouseError(error, 'agent_refused')) throw error;
    }
    const token = await tokenBy(keys);
    try {
      await tellServer(token, next);
    } catch (error) {
      // Not now: the present keys serve, and the next token tries again. Refused for good: they are of no use.
      if (isGatehouseError(error, 'agent_refused')) {
        await holder.change(({ issuer, enrolled }) => ({ issuer, enrolled, keys }));
      } else if (!isGatehouseError(error)) throw error;
      return token;
    }
    await promote(next);
    return tokenBy(next);
  }

  return {
    fetchToken: () => (holder.current().next === undefined ? tokenBy(holder.current().keys) : oneRotation(settle)),
    rotate: () =>
      oneRotation(async () => {
        if (holder.current().next !== undefined) await settle();
        const token = await tokenBy(holder.current().keys);
        const next = await makeAgentKeys(clock.now());
        await holder.change(({ issuer, enrolled, keys }) => ({ issuer, enrolled, keys, next }));
        await tellServer(token, next);
        await promote(next);
      }),
    finish: () => exclusive(dropPrevious),
  };
}
