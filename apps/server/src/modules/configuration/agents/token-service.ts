import { createHash } from 'node:crypto';
import type { SealPlace } from '@gatehouse/crypto';
import {
  AppError,
  addSeconds,
  type Changes,
  type Clock,
  invalidField,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Service } from '../../identity/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { EnrolmentToken, ServiceToken } from './agent.ts';
import { agentsTopic, enrolmentSeconds, maxEnrolmentTokens, maxServiceTokens } from './limits.ts';
import {
  deleteEnrolmentTokenRow,
  deleteServiceTokenRow,
  insertEnrolmentToken,
  insertServiceToken,
  listEnrolmentTokens,
  listServiceTokens,
} from './token-store.ts';

/** The service whose tokens are meant. */
type Owner = Pick<Service, 'id' | 'organization' | 'name' | 'clientId'>;

/** Characters of an authorization token: the first 64 of base64, as the original makes them. */
export const serviceTokenLength = 64;
export const serviceTokenPattern = /^[A-Za-z0-9+/]{64}$/;
/** An enrolment token: a prefix that scanners for leaked secrets can look for, and 256 bits of chance. */
export const enrolmentTokenPattern = /^ghe_[A-Za-z0-9_-]{43}$/;

/** By what a token is looked up. It carries at least 256 random bits, so a plain hash cannot be turned back. */
export function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Authorization tokens of services, and one-time tokens with which agents enrol. */
export function createTokens(deps: {
  clock: Clock;
  random: Pick<Random, 'id' | 'bytes'>;
  audit: Pick<Audit, 'append'>;
  changes: Pick<Changes, 'touch'>;
  keys: Pick<Keys, 'seal' | 'open'>;
}) {
  const { clock, random, audit, changes, keys } = deps;

  const record = (tx: Tx, action: string, owner: Owner, origin: Origin, details: Record<string, string | boolean>) =>
    audit.append(tx, {
      action,
      organization: owner.organization,
      origin,
      target: { type: 'service', id: owner.clientId },
      details,
    });

  const open = async (tx: Reader, token: ServiceToken, sealed: Uint8Array): Promise<string> =>
    new TextDecoder().decode(await keys.open(tx, placeOf(token), sealed));

  return {
    /** Makes an authorization token; shown again to those who may. */
    async createServiceToken(
      tx: Tx,
      input: {
        service: Owner;
        name: string;
        mayEnrol: boolean;
        origin: Origin;
        /** One that is in use already: of a service that moves here together with its agents. */
        authorizationToken?: string | undefined;
      },
    ): Promise<{ token: ServiceToken; authorizationToken: string }> {
      const { service, name, mayEnrol, origin } = input;
      if ((await listServiceTokens(tx, service.id)).length >= maxServiceTokens) {
        throw new AppError('configuration.too_many_tokens', {
          detail: `A service has at most ${maxServiceTokens} authorization tokens. Delete one first.`,
        });
      }
      const authorizationToken =
        input.authorizationToken ?? Buffer.from(random.bytes(64)).toString('base64').slice(0, 64);
      if (!serviceTokenPattern.test(authorizationToken)) {
        throw invalidField('authorization_token', 'is not 64 characters of base64', 'let a new one be made');
      }
      const token: ServiceToken = {
        id: random.id('svt'),
        organization: service.organization,
        serviceId: service.id,
        service: service.name,
        name,
        mayEnrol,
        createdAt: clock.now(),
        createdBy: origin.actor.id,
      };
      const sealed = await keys.seal(tx, placeOf(token), new TextEncoder().encode(authorizationToken));
      await insertServiceToken(tx, token, { hash: tokenHash(authorizationToken), sealed });
      await record(tx, 'service.token_created', service, origin, { token_id: token.id, name, may_enrol: mayEnrol });
      return { token, authorizationToken };
    },

    /** The tokens of a service, oldest first, without what makes them tokens. */
    listServiceTokens: async (tx: Reader, service: Pick<Owner, 'id'>): Promise<ServiceToken[]> =>
      (await listServiceTokens(tx, service.id)).map(({ token }) => token),

    /** Shows one authorization token, or with no id the service's first, one that may enrol before others. Audited. */
    async showServiceToken(
      tx: Tx,
      input: { service: Owner; id?: string | undefined; origin: Origin },
    ): Promise<{ token: ServiceToken; authorizationToken: string }> {
      const all = await listServiceTokens(tx, input.service.id);
      const found =
        input.id === undefined
          ? (all.find(({ token }) => token.mayEnrol) ?? all[0])
          : all.find(({ token }) => token.id === input.id);
      if (!found) throw noToken();
      const authorizationToken = await open(tx, found.token, found.sealed);
      await record(tx, 'service.token_shown', input.service, input.origin, { token_id: found.token.id });
      return { token: found.token, authorizationToken };
    },

    /** Deletes an authorization token: it is refused from the commit on. */
    async deleteServiceToken(tx: Tx, input: { service: Owner; id: string; origin: Origin }): Promise<void> {
      const name = await deleteServiceTokenRow(tx, input.service.id, input.id);
      if (name === undefined) throw noToken();
      await changes.touch(tx, agentsTopic);
      await record(tx, 'service.token_deleted', input.service, input.origin, { token_id: input.id, name });
    },

    /** Makes a one-time token with which one agent can enrol; shown this once. */
    async createEnrolmentToken(
      tx: Tx,
      input: { service: Owner; name?: string | undefined; expiresInSeconds?: number | undefined; origin: Origin },
    ): Promise<{ token: EnrolmentToken; enrolmentToken: string }> {
      const { service, name, expiresInSeconds = enrolmentSeconds, origin } = input;
      const now = clock.now();
      if ((await listEnrolmentTokens(tx, service.id, now)).length >= maxEnrolmentTokens) {
        throw new AppError('configuration.too_many_tokens', {
          detail: `A service has at most ${maxEnrolmentTokens} unused enrolment tokens. Use, delete or outlive one first.`,
        });
      }
      const enrolmentToken = `ghe_${Buffer.from(random.bytes(32)).toString('base64url')}`;
      const token: EnrolmentToken = {
        id: random.id('enr'),
        organization: service.organization,
        serviceId: service.id,
        service: service.name,
        name,
        createdAt: now,
        createdBy: origin.actor.id,
        expiresAt: addSeconds(now, expiresInSeconds),
      };
      await insertEnrolmentToken(tx, token, tokenHash(enrolmentToken));
      await record(tx, 'service.enrolment_token_created', service, origin, {
        token_id: token.id,
        expires_at: token.expiresAt.toISOString(),
        ...(name === undefined ? {} : { name }),
      });
      return { token, enrolmentToken };
    },

    /** Enrolment tokens that can still be used. */
    listEnrolmentTokens: (tx: Reader, service: Pick<Owner, 'id'>): Promise<EnrolmentToken[]> =>
      listEnrolmentTokens(tx, service.id, clock.now()),

    /** Takes an unused enrolment token back. */
    async deleteEnrolmentToken(tx: Tx, input: { service: Owner; id: string; origin: Origin }): Promise<void> {
      if (!(await deleteEnrolmentTokenRow(tx, input.service.id, input.id))) throw noToken();
      await record(tx, 'service.enrolment_token_deleted', input.service, input.origin, { token_id: input.id });
    },
  };
}

/** What {@link createTokens} gives. */
export type Tokens = ReturnType<typeof createTokens>;

function placeOf({ id, organization, serviceId }: ServiceToken): SealPlace {
  return { organization, schema: 'configuration', table: 'service_tokens', rowId: id, owner: serviceId };
}

function noToken(): AppError {
  return new AppError('kernel.not_found', { detail: 'The service has no such token.' });
}
