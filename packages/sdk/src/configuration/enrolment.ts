/** The first start of an agent: keys, then the server's answer, each on disk before the next step. */
import type { Clock } from '../clock.ts';
import { GatehouseError, isGatehouseError } from '../errors.ts';
import { makeAgentKeys, publicKeysOf } from './agent-keys.ts';
import type { AgentRequests, Enrolled } from './agent-requests.ts';
import type { AgentState, AgentStateStore } from './agent-state.ts';
import { type BackOffOptions, createBackOff, sleep } from './back-off.ts';
import { stateInvalid } from './private-folder.ts';

/** Who the agent is to be. */
export interface WantedAgent {
  readonly issuer: string;
  /** Absent when only the service was named. */
  readonly organization: string | undefined;
  readonly service: string;
  readonly name: string;
}

/** A state with the server's answer in it. */
export type EnrolledState = AgentState & { readonly enrolled: Enrolled };

/** What enrolment needs. */
export interface EnrolmentDeps {
  readonly store: AgentStateStore;
  readonly requests: Pick<AgentRequests, 'enrol'>;
  readonly wanted: WantedAgent;
  readonly stateDir: string;
  readonly token: string | undefined;
  readonly enrolSeconds: number;
  readonly backOff: BackOffOptions;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/** The agent that lives in the folder, or a new one. Asks the server only when there is none. */
export async function ensureEnrolled(deps: EnrolmentDeps): Promise<EnrolledState> {
  const { store, wanted, stateDir } = deps;
  for (;;) {
    const found = await store.load();
    if (found !== undefined) assertSameIssuer(found, wanted, stateDir);
    if (found?.revokedAt !== undefined) throw revoked(stateDir, found.revokedAt);
    if (isEnrolled(found)) {
      assertWanted(found.enrolled, wanted, stateDir);
      return found;
    }
    if (deps.token === undefined) {
      throw new GatehouseError(
        'agent_not_enrolled',
        `There is no agent in ${stateDir} yet, and no token to enrol one. Give an enrolmentToken or the serviceToken.`,
      );
    }
    const keys = found?.keys ?? (await makeAgentKeys(deps.clock.now()));
    const before = found ?? (await store.save({ issuer: wanted.issuer, keys }, undefined));
    // Another process with this folder was first: its keys count.
    if (before === undefined) continue;
    const jwks = publicKeysOf(before.keys);
    const enrolled = await enrolPatiently(deps, deps.token, jwks);
    assertWanted(enrolled, wanted, stateDir);
    const { issuer } = wanted;
    const after = await store.save({ issuer, keys: before.keys, enrolled }, before);
    if (isEnrolled(after)) return after;
  }
}

/** The error of an agent whose folder says that it was revoked. */
export function revoked(stateDir: string, at: string): GatehouseError {
  return new GatehouseError(
    'agent_revoked',
    `This agent was revoked (noticed ${at}). To use this host again, remove ${stateDir} and give a new enrolment token.`,
  );
}

async function enrolPatiently(
  { requests, wanted, enrolSeconds, backOff, clock, signal }: EnrolmentDeps,
  token: string,
  jwks: ReturnType<typeof publicKeysOf>,
): Promise<Enrolled> {
  const waiting = createBackOff(backOff);
  const endMs = clock.now().getTime() + enrolSeconds * 1000;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await requests.enrol(token, { name: wanted.name, jwks });
    } catch (error) {
      if (!isGatehouseError(error, 'server_unavailable')) throw error;
      const milliseconds = waiting.next(error.retryAfterSeconds);
      if (clock.now().getTime() + milliseconds >= endMs) throw error;
      await sleep(milliseconds, signal);
    }
  }
}

function isEnrolled(state: AgentState | undefined): state is EnrolledState {
  return state?.enrolled !== undefined;
}

function assertSameIssuer(found: AgentState, { issuer }: WantedAgent, stateDir: string): void {
  if (found.issuer === issuer) return;
  throw stateInvalid(`${stateDir} belongs to an agent of ${found.issuer}, not of ${issuer}. Name another stateDir.`);
}

function assertWanted(enrolled: Enrolled, { organization, service }: WantedAgent, stateDir: string): void {
  const isWanted =
    enrolled.service === service && (organization === undefined || enrolled.organization === organization);
  if (isWanted) return;
  const asked = organization === undefined ? service : `${organization}.${service}`;
  throw stateInvalid(
    `The agent in ${stateDir} belongs to ${enrolled.organization}.${enrolled.service}, not to ${asked}. ` +
      `Name another service or stateDir, or use a token of ${asked}.`,
  );
}
