import type { FastifyRequest } from 'fastify';
import { AppError, type Db, type Origin, unauthenticated } from '../../kernel/index.ts';
import type { Granter, Identity } from '../identity/index.ts';
import { type Level, mayDo, type ReuniRole, roleOf } from './rights.ts';
import { findSessionOfToken, isReuniSession } from './session-store.ts';

/** Who has signed in at this layer. */
export interface Caller {
  readonly uid: string;
  readonly sessionId: string;
  readonly origin: Origin;
}

/** A caller as a member of the organization in the path. */
export interface Member extends Caller {
  readonly organization: string;
  readonly role: ReuniRole;
  readonly granter: Exclude<Granter, 'system'>;
}

/**
 * Finds the caller. Only sessions that began at `/reuni/login` are taken: their owner acts in every organization he is a
 * member of, which a token made for one organization, or for a client, must not. As in the original the refresh token
 * is good wherever the access token is, and the other way round.
 */
export function createAccess({ db, identity }: { db: Db; identity: Identity }) {
  const findUser = async (request: FastifyRequest): Promise<Caller> => {
    const [, token = ''] = /^bearer +([^\s]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token === '') throw unauthenticated('Sign in at /reuni/login and send Authorization: Bearer <token>.');
    const found = token.includes('.') ? await ofAccessToken(request) : await ofRefreshToken(token);
    if (!found) throw unauthenticated('The token is not valid, has expired or was not made by /reuni/login.');
    return { ...found, origin: { ...request.origin, actor: { type: 'user', id: found.uid } } };
  };

  const ofAccessToken = async (request: FastifyRequest) => {
    const principal = await identity.authenticate(request);
    const sessionId = principal?.kind === 'user' ? principal.sessionId : undefined;
    if (!principal || sessionId === undefined) return undefined;
    return (await db.read((tx) => isReuniSession(tx, sessionId))) ? { uid: principal.id, sessionId } : undefined;
  };

  const ofRefreshToken = (token: string) =>
    db.read(async (tx) => {
      const sessionId = await findSessionOfToken(tx, token);
      const living = sessionId === undefined ? undefined : await identity.fixedSessions.find(tx, sessionId);
      return sessionId === undefined || living === undefined ? undefined : { uid: living.uid, sessionId };
    });

  return {
    findUser,
    /**
     * The caller as a member of the organization, if the role there is enough. An organization that is not there and one
     * that the caller is no member of are both 403: whoever asks does not learn which it is.
     */
    async findMember(request: FastifyRequest, organization: string, level: Level): Promise<Member> {
      const caller = await findUser(request);
      const resolved = await db.read(async (tx) => {
        const memberships = await identity.users.listMemberships(tx, caller.uid);
        const membership = memberships.find((one) => one.organization === organization);
        return membership && identity.roles.resolve(tx, organization, membership.role_ids);
      });
      const role = resolved && roleOf(resolved);
      if (!resolved || role === undefined || !mayDo(role, level)) throw forbidden();
      return {
        ...caller,
        organization,
        role,
        granter: { permissions: resolved.permissions, operator: resolved.operator },
        origin: { ...caller.origin, organization },
      };
    },
  };
}

/** Finds callers of this layer. */
export type Access = ReturnType<typeof createAccess>;

export function forbidden(): AppError {
  return new AppError('kernel.forbidden');
}
