import type { PublicJwk } from '@gatehouse/crypto';

/** The two public keys by which an agent is known. A `kid` is the RFC 7638 thumbprint. */
export interface AgentKeys {
  readonly signatureKid: string;
  readonly signatureJwk: PublicJwk;
  readonly encryptionKid: string;
  readonly encryptionJwk: PublicJwk;
}

/** The process on a host that keeps instances of one service configured. */
export interface Agent extends AgentKeys {
  readonly id: string;
  readonly organization: string;
  readonly serviceId: string;
  /** The service's name, which never changes. */
  readonly service: string;
  readonly name: string;
  /** The enrolment or service token it came with. */
  readonly enrolledWith: string;
  readonly enrolledAt: Date;
  readonly keysSince: Date;
  readonly seenAt: Date;
  readonly revokedAt: Date | undefined;
  readonly revokedBy: string | undefined;
}

/** A service's authorization token; the token itself is sealed. */
export interface ServiceToken {
  readonly id: string;
  readonly organization: string;
  readonly serviceId: string;
  readonly service: string;
  readonly name: string;
  /** Whoever holds it may enrol agents, which get secrets. */
  readonly mayEnrol: boolean;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** A one-time token with which one agent enrols. */
export interface EnrolmentToken {
  readonly id: string;
  readonly organization: string;
  readonly serviceId: string;
  readonly service: string;
  readonly name: string | undefined;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date;
}

/** Who fetches configuration: good at this moment, and for this service only. */
export type Caller =
  | {
      readonly kind: 'agent';
      readonly agentId: string;
      readonly encryptionKid: string;
      readonly serviceId: string;
      readonly organization: string;
      readonly service: string;
    }
  | {
      readonly kind: 'service-token';
      readonly tokenId: string;
      readonly mayEnrol: boolean;
      readonly serviceId: string;
      readonly organization: string;
      readonly service: string;
    };

/** A caller with keys of its own. */
export type AgentCaller = Extract<Caller, { kind: 'agent' }>;
