import { Name, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import type { Agent, EnrolmentToken, ServiceToken } from './agent.ts';
import { maxEnrolmentSeconds } from './limits.ts';

/** A name that people give to a token or an agent: a host name, mostly. */
export const Label = Type.String({ minLength: 1, maxLength: 100, description: 'for people: a host name, a purpose' });

/** The keys of an agent; their rules are those of `judgeAgentKeys`. */
export const AgentJwks = strictObject(
  { keys: Type.Array(Type.Record(Type.String({ maxLength: 64 }), Type.Unknown()), { minItems: 2, maxItems: 2 }) },
  { description: 'two P-256 public keys (RFC 7517): "sig" with ES256, "enc" with ECDH-ES+A256KW' },
);

/** A signed statement of an agent. */
export const Assertion = Type.String({ minLength: 1, maxLength: 4096, description: 'gatehouse-agent-assertion+jwt' });

export const NewServiceTokenBody = strictObject({
  name: Type.Optional(Label),
  may_enrol: Type.Optional(
    Type.Boolean({ description: 'its holder may enrol agents, which get secrets; true if left out' }),
  ),
});

const serviceTokenFields = {
  id: Type.String(),
  name: Type.String(),
  may_enrol: Type.Boolean(),
  created_at: Timestamp,
  created_by: Type.String(),
};
export const ServiceTokenBody = strictObject(serviceTokenFields);
export const ShownServiceTokenBody = strictObject({ ...serviceTokenFields, authorization_token: Type.String() });

export const NewEnrolmentTokenBody = strictObject({
  name: Type.Optional(Label),
  expires_in: Type.Optional(
    Type.Integer({ minimum: 60, maximum: maxEnrolmentSeconds, description: 'seconds; 900 if left out' }),
  ),
});

const enrolmentTokenFields = {
  id: Type.String(),
  name: Type.Optional(Type.String()),
  created_at: Timestamp,
  created_by: Type.String(),
  expires_at: Timestamp,
};
export const EnrolmentTokenBody = strictObject(enrolmentTokenFields);
export const ShownEnrolmentTokenBody = strictObject({
  ...enrolmentTokenFields,
  enrolment_token: Type.String({ description: 'shown this once; good for one agent' }),
});

export const EnrolledBody = strictObject({ agent_id: Type.String(), organization: Name, service: Name });

export const AgentTokenBody = strictObject({
  access_token: Type.String(),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer(),
});

export const AgentBody = strictObject({
  id: Type.String(),
  name: Type.String(),
  status: Type.Enum(['active', 'revoked']),
  enrolled_at: Timestamp,
  enrolled_with: Type.String({ description: 'the enrolment or service token it came with' }),
  keys_since: Timestamp,
  seen_at: Type.String({ format: 'date-time', description: 'when it last asked for an access token' }),
  signature_kid: Type.String(),
  encryption_kid: Type.String(),
  revoked_at: Type.Optional(Timestamp),
  revoked_by: Type.Optional(Type.String()),
});

/** Shapes a service token for the wire. */
export function serviceTokenToWire(token: ServiceToken): Static<typeof ServiceTokenBody> {
  return {
    id: token.id,
    name: token.name,
    may_enrol: token.mayEnrol,
    created_at: token.createdAt.toISOString(),
    created_by: token.createdBy,
  };
}

/** Shapes an enrolment token for the wire. */
export function enrolmentTokenToWire(token: EnrolmentToken): Static<typeof EnrolmentTokenBody> {
  return {
    id: token.id,
    ...(token.name === undefined ? {} : { name: token.name }),
    created_at: token.createdAt.toISOString(),
    created_by: token.createdBy,
    expires_at: token.expiresAt.toISOString(),
  };
}

/** Shapes an agent for the wire. */
export function agentToWire(agent: Agent): Static<typeof AgentBody> {
  return {
    id: agent.id,
    name: agent.name,
    status: agent.revokedAt === undefined ? 'active' : 'revoked',
    enrolled_at: agent.enrolledAt.toISOString(),
    enrolled_with: agent.enrolledWith,
    keys_since: agent.keysSince.toISOString(),
    seen_at: agent.seenAt.toISOString(),
    signature_kid: agent.signatureKid,
    encryption_kid: agent.encryptionKid,
    ...(agent.revokedAt === undefined ? {} : { revoked_at: agent.revokedAt.toISOString() }),
    ...(agent.revokedBy === undefined ? {} : { revoked_by: agent.revokedBy }),
  };
}
