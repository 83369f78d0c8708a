import { hash } from 'node:crypto';
import { isCryptoError, verifyJwt } from '@gatehouse/crypto';
import { type Clock, epochSeconds, type Random } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Agent } from './agent.ts';
import { agentTokenSeconds, clockSkewSeconds } from './limits.ts';

/** The `typ` of agents' access tokens: they are taken for no other kind of token, and no other for them. */
export const agentTokenType = 'gatehouse-agent+jwt';

/** What an agent's token says. `key` is the thumbprint of the key that asked for it: with that key the token ends. */
export interface AgentClaims {
  readonly sub: string;
  readonly org: string;
  readonly service: string;
  readonly service_id: string;
  readonly key: string;
  readonly exp: number;
}

const maxTokenBytes = 4096;
const maxRemembered = 20_000;

/**
 * Agents' access tokens. One that was verified is remembered by its hash until it expires: the signature is checked once
 * per node. Whether its agent is still good is asked of the database at every use, elsewhere.
 */
export function createAgentTokens(deps: {
  issuer: string;
  clock: Clock;
  random: Pick<Random, 'id'>;
  keys: Pick<Keys, 'sign' | 'findVerificationKey'>;
}) {
  const { issuer, clock, random, keys } = deps;
  const audience = `${issuer}/agents`;
  const remembered = new Map<string, { claims: AgentClaims; kid: string }>();

  const verify = async (token: string): Promise<{ claims: AgentClaims; kid: string } | undefined> => {
    try {
      const { header, claims } = await verifyJwt(token, {
        algorithms: ['ES256'],
        typ: agentTokenType,
        maxBytes: maxTokenBytes,
        findKey: ({ kid }) => (typeof kid === 'string' ? keys.findVerificationKey(kid) : undefined),
        issuer,
        audience,
        now: clock.now(),
        skewSeconds: clockSkewSeconds,
        required: ['sub', 'iat', 'jti', 'org', 'service', 'service_id', 'key'],
      });
      const { sub = '', exp, org, service, service_id, key } = claims;
      const isOurs = [org, service, service_id, key].every((claim) => typeof claim === 'string');
      const good = { sub, exp, org, service, service_id, key } as AgentClaims;
      return isOurs ? { claims: good, kid: header.kid as string } : undefined;
    } catch (error) {
      if (isCryptoError(error)) return undefined;
      throw error;
    }
  };

  return {
    /** A token for an agent that has just proved itself. */
    issue(agent: Pick<Agent, 'id' | 'organization' | 'service' | 'serviceId' | 'signatureKid'>): Promise<string> {
      const iat = epochSeconds(clock);
      return keys.sign({
        keyring: 'tokens-es256',
        header: { typ: agentTokenType },
        payload: {
          iss: issuer,
          aud: audience,
          sub: agent.id,
          org: agent.organization,
          service: agent.service,
          service_id: agent.serviceId,
          key: agent.signatureKid,
          jti: random.id('tok'),
          iat,
          exp: iat + agentTokenSeconds,
        },
      });
    },

    /** The claims of a token of ours that is within its times; undefined for anything else. */
    async verify(token: string): Promise<AgentClaims | undefined> {
      if (token.length > maxTokenBytes) return undefined;
      const name = hash('sha256', token, 'base64url');
      const known = remembered.get(name);
      if (known) {
        if (keys.findVerificationKey(known.kid) && known.claims.exp + clockSkewSeconds > epochSeconds(clock))
          return known.claims;
        remembered.delete(name);
        return undefined;
      }
      const verified = await verify(token);
      if (!verified) return undefined;
      if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value as string);
      remembered.set(name, verified);
      return verified.claims;
    },
  };
}

/** What {@link createAgentTokens} gives. */
export type AgentTokens = ReturnType<typeof createAgentTokens>;
