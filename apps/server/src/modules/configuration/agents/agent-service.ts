import {
  AppError,
  type Changes,
  type Clock,
  type Db,
  type Origin,
  type Random,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Service } from '../../identity/index.ts';
import type { Agent, AgentCaller, AgentKeys, Caller } from './agent.ts';
import { judgeAgentKeys } from './agent-keys.ts';
import {
  countAgents,
  findAgent,
  findAgentByKeys,
  findAgentForUpdate,
  insertAgent,
  revokeAgentRow,
  touchAgent,
  updateAgentKeys,
} from './agent-store.ts';
import type { AgentTokens } from './agent-token.ts';
import { type CheckedAssertion, checkAssertion, claimedAgent, takeAssertion } from './assertion.ts';
import { agentsTopic, maxAgents } from './limits.ts';
import { tokenHash } from './token-service.ts';
import { findUsedEnrolmentToken, takeEnrolmentToken } from './token-store.ts';

/** With what an agent enrols. */
export type EnrolmentCredential =
  | { readonly kind: 'enrolment-token'; readonly token: string }
  | Extract<Caller, { kind: 'service-token' }>;

/** Agents from their enrolment to their revocation. */
export function createAgentService(deps: {
  db: Db;
  clock: Clock;
  random: Pick<Random, 'id'>;
  issuer: string;
  audit: Pick<Audit, 'append'>;
  changes: Pick<Changes, 'touch'>;
  tokens: Pick<AgentTokens, 'issue'>;
  isServiceActive: (serviceId: string) => Promise<boolean>;
}) {
  const { db, clock, random, issuer, audit, changes, tokens, isServiceActive } = deps;

  const record = (tx: Tx, action: string, agent: Agent, origin: Origin, details = {}) =>
    audit.append(tx, {
      action,
      organization: agent.organization,
      origin: { ...origin, organization: agent.organization },
      target: { type: 'agent', id: agent.id },
      details: { service: agent.service, name: agent.name, ...details },
    });

  /** Who brings the credential, if it is good; a one-time token is used with this. */
  const takeCredential = async (tx: Tx, credential: EnrolmentCredential, keys: AgentKeys) => {
    if (credential.kind === 'service-token') {
      return { ...credential, enrolledWith: credential.tokenId, used: false };
    }
    const hash = tokenHash(credential.token);
    const fresh = await takeEnrolmentToken(tx, hash, clock.now());
    if (fresh) return { ...fresh, enrolledWith: fresh.id, used: false };
    // The answer to the first try may have been lost on its way: the same agent, known by its keys, may ask again.
    const used = await findUsedEnrolmentToken(tx, hash);
    const known = used && (await findAgentByKeys(tx, keys));
    if (!used || known?.enrolledWith !== used.id) throw enrolmentRefused();
    return { ...used, enrolledWith: used.id, used: true };
  };

  /** The agent, if it can be told from its assertion that it is asking; what it has to be refused for otherwise. */
  const proveAgent = async (assertion: string): Promise<{ agent: Agent; checked: CheckedAssertion }> => {
    const agentId = claimedAgent(assertion);
    const agent = agentId === undefined ? undefined : await db.read((tx) => findAgent(tx, agentId));
    const expected = agent && { agentId: agent.id, jwk: agent.signatureJwk, issuer, now: clock.now() };
    const checked = expected && (await checkAssertion(assertion, expected));
    if (!agent || !checked) throw agentRefused();
    return { agent, checked };
  };

  return {
    /** Takes in a new agent. An agent that asks again with the same keys and the same token is told the same. */
    async enrolAgent(input: {
      credential: EnrolmentCredential;
      name: string;
      jwks: unknown;
      origin: Origin;
    }): Promise<Agent> {
      const { credential, name, origin } = input;
      const keys = judgeAgentKeys(input.jwks);
      const agent = await db.transaction(async (tx) => {
        const owner = await takeCredential(tx, credential, keys);
        const { organization, serviceId, service, enrolledWith } = owner;
        const known = await findAgentByKeys(tx, keys);
        if (known && known.enrolledWith === enrolledWith && known.revokedAt === undefined) return known;
        if (owner.used) throw enrolmentRefused();
        if ((await countAgents(tx, serviceId, maxAgents)) >= maxAgents) {
          throw new AppError('configuration.too_many_agents', {
            detail: `A service has at most ${maxAgents} agents. Revoke those that are gone.`,
          });
        }
        const now = clock.now();
        const id = random.id('agt');
        const made: Agent = {
          ...keys,
          id,
          organization,
          serviceId,
          service,
          name,
          enrolledWith,
          enrolledAt: now,
          keysSince: now,
          seenAt: now,
          revokedAt: undefined,
          revokedBy: undefined,
        };
        if (!(await insertAgent(tx, made))) throw keysKnown();
        await record(tx, 'agent.enrolled', made, agentOrigin(made.id, origin), {
          enrolled_with: enrolledWith,
          signature_kid: keys.signatureKid,
          encryption_kid: keys.encryptionKid,
        });
        return made;
      });
      return agent;
    },

    /** An access token for an agent that proves itself with an assertion. */
    async issueToken(assertion: string): Promise<string> {
      const { agent, checked } = await proveAgent(assertion);
      if (agent.revokedAt !== undefined) throw agentRevoked();
      if (!(await isServiceActive(agent.serviceId))) throw serviceSuspended();
      const outcome = await db.transaction(async (tx) => {
        if (!(await takeAssertion(tx, checked))) return 'used';
        return (await touchAgent(tx, agent.id, clock.now())) ? 'good' : 'revoked';
      });
      if (outcome === 'used') throw agentRefused();
      if (outcome === 'revoked') throw agentRevoked();
      return tokens.issue(agent);
    },

    /**
     * Puts new keys in the place of an agent's. The present key signs over the thumbprints of the new ones, so that a
     * stolen access token cannot move an agent to a thief's keys; the new key signs, so that it is there. Tokens that the
     * old key got end with it.
     */
    async replaceKeys(input: {
      caller: AgentCaller;
      jwks: unknown;
      assertion: string;
      presentAssertion: string;
      origin: Origin;
    }): Promise<void> {
      const { caller, origin } = input;
      const keys = judgeAgentKeys(input.jwks);
      const { agent, checked: byPresent } = await proveAgent(input.presentAssertion);
      const expected = { agentId: caller.agentId, jwk: keys.signatureJwk, issuer, now: clock.now() };
      const byNew = await checkAssertion(input.assertion, expected);
      const named = byPresent.claims['keys'];
      const signsOver =
        Array.isArray(named) && named.length === 2 && named[0] === keys.signatureKid && named[1] === keys.encryptionKid;
      if (agent.id !== caller.agentId || !byNew || !signsOver) throw agentRefused();
      await db.transaction(async (tx) => {
        if (!(await takeAssertion(tx, byPresent)) || !(await takeAssertion(tx, byNew))) throw agentRefused();
        const present = await findAgentForUpdate(tx, agent.id);
        if (!present || present.revokedAt !== undefined) throw agentRevoked();
        // Two that replace at once: the second proved itself with a key that is no longer the agent's.
        if (present.signatureKid !== agent.signatureKid) throw agentRefused();
        const others = [present.signatureKid, present.encryptionKid];
        if (others.includes(keys.signatureKid) || others.includes(keys.encryptionKid)) throw keysKnown();
        if (!(await updateAgentKeys(tx, agent.id, keys, clock.now()))) throw keysKnown();
        await record(tx, 'agent.keys_rotated', present, agentOrigin(agent.id, origin), {
          signature_kid: keys.signatureKid,
          encryption_kid: keys.encryptionKid,
        });
      });
    },

    /** Revokes an agent of a service: no node serves it from the commit on. Revoking twice is no error. */
    async revokeAgent(
      tx: Tx,
      input: { service: Pick<Service, 'id'>; agentId: string; origin: Origin; reason?: string },
    ): Promise<void> {
      const agent = await findAgentForUpdate(tx, input.agentId);
      if (!agent || agent.serviceId !== input.service.id) {
        throw new AppError('kernel.not_found', { detail: 'The service has no such agent.' });
      }
      if (!(await revokeAgentRow(tx, agent.id, clock.now(), input.origin.actor.id))) return;
      await changes.touch(tx, agentsTopic);
      await record(
        tx,
        'agent.revoked',
        agent,
        input.origin,
        input.reason === undefined ? {} : { reason: input.reason },
      );
    },
  };
}

/** What {@link createAgentService} gives. */
export type AgentService = ReturnType<typeof createAgentService>;

/** An origin whose actor is the agent. */
export function agentOrigin(agentId: string, origin: Origin): Origin {
  return { ...origin, actor: { type: 'agent', id: agentId } };
}

/** 403 for whoever belongs to a service that is suspended, or whose organization is. */
export function serviceSuspended(): AppError {
  return new AppError('configuration.service_suspended', {
    detail: 'The service or its organization is suspended. Nothing is handed out until it is restored.',
  });
}

/** 401 for an enrolment token that is unknown, expired or used, all alike. */
export function enrolmentRefused(): AppError {
  return new AppError('configuration.enrolment_refused', {
    detail: 'The token is unknown, has expired or was used, or may not enrol. Make a new enrolment token.',
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  });
}

function agentRefused(): AppError {
  return new AppError('configuration.agent_refused', {
    detail:
      'The assertion is not of a known agent, not signed by its key, not for this server, expired, or used before.',
  });
}

function agentRevoked(): AppError {
  return new AppError('configuration.agent_revoked', {
    detail: 'The agent was revoked. To use its host again, enrol it with new keys and a new token.',
  });
}

function keysKnown(): AppError {
  return new AppError('configuration.agent_keys_known', {
    detail: 'An agent has or had one of these keys. Make new ones: a key belongs to one agent, once.',
  });
}
