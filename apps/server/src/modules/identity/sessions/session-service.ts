import { isCryptoError, isJsonObject, parseJsonStrict } from '@gatehouse/crypto';
import {
  AppError,
  addSeconds,
  type Clock,
  type Db,
  invalidField,
  isAppError,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import { listAudiences } from '../oauth/clients/client-store.ts';
import { issueEntry } from '../oauth/issue-recorder.ts';
import { sessionScope } from '../oauth/scopes.ts';
import type { Credentials } from '../passwords/credentials.ts';
import type { Roles } from '../roles/role-service.ts';
import type { AccessTokenClaims, AccessTokens } from '../tokens/access-token.ts';
import { accessTokenSeconds, maxAudiences, sessionAbsoluteSeconds } from '../tokens/limits.ts';
import { idleEnd, issueRefreshToken, refreshTokenHash } from '../tokens/refresh-rotation.ts';
import type { RefreshSession } from '../tokens/refresh-service.ts';
import { findRefreshToken } from '../tokens/refresh-store.ts';
import { findMember, type MemberRow } from '../tokens/subject-store.ts';
import type { SessionEnding } from './session-ending.ts';
import { findSession, insertSession, type SessionRow, touchSession } from './session-store.ts';

/** The client of headless sessions: Gatehouse itself. */
export const headlessClientId = 'gatehouse';

/** What a sign-in hands in: name and password, in the clear or sealed to a `/pop` key. */
export interface SignIn {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** A compact JWE whose plaintext is `{"username": …, "password": …}`. */
  readonly credentials?: string | undefined;
  readonly organization?: string | undefined;
  readonly audience?: readonly string[] | undefined;
}

/** A session that has just begun. */
export interface BegunSession {
  readonly id: string;
  readonly uid: string;
  readonly now: Date;
  readonly absoluteExpiresAt: Date;
}

/** The answer, as a token endpoint gives it (RFC 6749 §5.1). */
export interface SessionTokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
}

/** Creates the headless sessions: sign-in and refresh without a browser. */
export function createSessionService(deps: {
  issuer: string;
  db: Db;
  clock: Clock;
  random: Random;
  audit: Pick<Audit, 'append'>;
  keys: Pick<Keys, 'decrypt'>;
  roles: Pick<Roles, 'resolve'>;
  credentials: Pick<Credentials, 'verifyCredentials' | 'isUnchanged' | 'recordRefusal'>;
  tokens: AccessTokens;
  refresh: RefreshSession;
  ending: Pick<SessionEnding, 'endSession'>;
}) {
  const { issuer, db, clock, random, audit, roles, tokens } = deps;

  /** Name and password of either form; exactly one of the two is allowed. */
  const read = async (input: SignIn): Promise<{ username: string; password: string }> => {
    const { username, password, credentials } = input;
    if (credentials === undefined) {
      if (username === undefined)
        throw invalidField('username', 'is missing', 'send username and password, or credentials');
      if (password === undefined)
        throw invalidField('password', 'is missing', 'send username and password, or credentials');
      return { username, password };
    }
    if (username !== undefined || password !== undefined) {
      throw invalidField('credentials', 'stands beside username or password', 'send one of the two forms');
    }
    const plaintext = await deps.keys.decrypt(credentials);
    const parsed = parseSealed(plaintext);
    if (!parsed) {
      throw invalidField('credentials', 'does not hold {"username": "…", "password": "…"}', 'seal exactly this object');
    }
    return parsed;
  };

  /**
   * The audiences of the session's tokens: exactly those asked for, so that a token that is shown to a backend can be
   * one that our own API does not take; without a wish our own API and all services of the organization.
   */
  const audienceFor = async (organization: string, wanted: readonly string[] | undefined): Promise<string[]> => {
    const known = await db.read((tx) => listAudiences(tx, organization, wanted ? 10_000 : maxAudiences));
    if (!wanted) return [issuer, ...known];
    const unknown = wanted.findIndex((one) => one !== issuer && !known.includes(one));
    if (unknown >= 0) {
      throw invalidField(`audience.${unknown}`, 'is no active service of the organization', 'see GET /v1/services');
    }
    return [...new Set(wanted)];
  };

  /** Our own API is reached with the scope `gatehouse` and its audience together: a token without one has neither. */
  const scopeFor = (audience: readonly string[], scope: readonly string[]) =>
    audience.includes(issuer) ? [...scope] : scope.filter((one) => one !== 'gatehouse');

  const answer = async (claims: AccessTokenClaims, refreshToken: string): Promise<SessionTokens> => ({
    access_token: await tokens.sign(claims),
    refresh_token: refreshToken,
    token_type: 'Bearer',
    expires_in: accessTokenSeconds,
    scope: claims.scope,
  });

  /** Begins a session of at most `absoluteSeconds`; `also` runs in its transaction, for what belongs to it. */
  const begin = async <T>(
    input: SignIn,
    origin: Origin,
    options: {
      absoluteSeconds: number;
      anyOrganization?: boolean;
      also: (tx: Tx, session: BegunSession) => Promise<T>;
    },
  ): Promise<{ claims: AccessTokenClaims; result: T }> => {
    const { username, password } = await read(input);
    const verdict = await deps.credentials.verifyCredentials({
      username,
      password,
      organization: input.organization,
      anyOrganization: options.anyOrganization ?? false,
      origin,
    });
    if (!verdict.ok) throw verdict.error;
    const { user, membership, passwordHash } = verdict;
    const { organization } = membership;
    const refuse = (tx: Tx, reason: string) => deps.credentials.recordRefusal(tx, origin, reason, user);
    const audience = await audienceFor(organization, input.audience).catch(async (error: unknown) => {
      // The password was right: an attempt, whatever else was wrong with the request.
      if (isAppError(error)) await db.transaction((tx) => refuse(tx, 'unknown_audience'));
      throw error;
    });
    const now = clock.now();
    const sessionId = random.id('ses');
    const claims = tokens.claimsOf({
      subject: user.uid,
      clientId: headlessClientId,
      audience,
      organization,
      roles: verdict.roles.names,
      scope: scopeFor(audience, sessionScope),
      sessionId,
      authenticatedAt: now,
    });
    const signedIn: Origin = { ...origin, actor: { type: 'user', id: user.uid }, organization };
    const absoluteExpiresAt = addSeconds(now, options.absoluteSeconds);
    const begun = await db.transaction(async (tx) => {
      if (!(await deps.credentials.isUnchanged(tx, { uid: user.uid, passwordHash }))) {
        await refuse(tx, 'password_changed');
        return undefined;
      }
      await insertSession(tx, {
        id: sessionId,
        kind: 'headless',
        userId: user.uid,
        organization,
        clientId: headlessClientId,
        grantHash: null,
        scope: sessionScope.join(' '),
        audience,
        address: origin.address ?? null,
        userAgent: origin.userAgent ?? null,
        authenticatedAt: now,
        now,
        expiresAt: idleEnd(now, absoluteExpiresAt),
        absoluteExpiresAt,
      });
      await audit.append(tx, {
        action: 'session.created',
        organization,
        origin: signedIn,
        target: { type: 'session', id: sessionId },
        details: {
          kind: 'headless',
          user: user.uid,
          client_id: headlessClientId,
          sealed: input.credentials !== undefined,
        },
      });
      await audit.append(tx, issueEntry({ claims, grant: 'session', origin: signedIn }));
      return { result: await options.also(tx, { id: sessionId, uid: user.uid, now, absoluteExpiresAt }) };
    });
    if (!begun) throw new AppError('identity.invalid_credentials', { detail: 'Check both and try again.' });
    return { claims, result: begun.result };
  };

  return {
    /** Signs in. A new session with each: its id is never one that was there before (N 7.1). */
    async createSession(input: SignIn, origin: Origin): Promise<SessionTokens> {
      const { claims, result } = await begin(input, origin, {
        absoluteSeconds: sessionAbsoluteSeconds,
        also: (tx, { id, now, absoluteExpiresAt }) =>
          issueRefreshToken(tx, { sessionId: id, clientId: headlessClientId, random, now, absoluteExpiresAt }),
      });
      return answer(claims, result);
    },

    /**
     * Signs in for a layer that renews by credentials of its own, which `also` stores in the session's transaction: a
     * session for our own API of a fixed length, without a refresh token.
     */
    async createFixedSession<T>(
      input: {
        username: string;
        password: string;
        seconds: number;
        also: (tx: Tx, session: BegunSession) => Promise<T>;
      },
      origin: Origin,
    ): Promise<{ accessToken: string; result: T }> {
      const { username, password, seconds, also } = input;
      const signIn = { username, password, audience: [issuer] };
      const { claims, result } = await begin(signIn, origin, { absoluteSeconds: seconds, anyOrganization: true, also });
      return { accessToken: await tokens.sign(claims), result };
    },

    /** Another access token of a fixed session, with the roles of now; undefined when the session has ended. */
    async renewFixedSession(sessionId: string, origin: Origin): Promise<string | undefined> {
      const claims = await db.transaction(async (tx) => {
        const session = await findSession(tx, sessionId);
        const member = session && (await findLivingMember(tx, session, clock.now()));
        if (!session || !member) return undefined;
        const renewed = tokens.claimsOf({
          subject: session.user_id,
          clientId: headlessClientId,
          audience: session.audience,
          organization: session.organization,
          roles: (await roles.resolve(tx, session.organization, member.role_ids ?? [])).names,
          scope: scopeFor(session.audience, session.scope.split(' ').filter(Boolean)),
          sessionId,
          authenticatedAt: session.authenticated_at,
        });
        await touchSession(tx, sessionId, clock.now(), session.absolute_expires_at);
        await audit.append(tx, {
          action: 'session.refreshed',
          organization: session.organization,
          origin: { ...origin, actor: { type: 'user', id: session.user_id } },
          target: { type: 'session', id: sessionId },
          details: { client_id: headlessClientId, token_id: renewed.jti },
        });
        return renewed;
      });
      return claims && tokens.sign(claims);
    },

    /** Whose fixed session it is, if it has not ended. */
    async findLivingSession(tx: Reader, sessionId: string): Promise<{ uid: string } | undefined> {
      const session = await findSession(tx, sessionId);
      const member = session && (await findLivingMember(tx, session, clock.now()));
      return member && { uid: member.uid };
    },

    /** Refreshes: the next refresh token, and an access token with the roles of now. One error for every refusal. */
    async refreshSession(value: string, origin: Origin, wanted?: readonly string[]): Promise<SessionTokens> {
      const tokenId = random.id('tok');
      const result = await deps.refresh({ value, clientId: headlessClientId, tokenId, origin });
      if ('refused' in result) throw refreshRefused();
      const { session } = result;
      const wider = wanted?.findIndex((one) => !session.audience.includes(one)) ?? -1;
      if (wider >= 0) {
        throw invalidField(`audience.${wider}`, 'is none of the session’s', 'name some that the session was made for');
      }
      const audience = wanted ?? session.audience;
      const resolved = await db.read(async (tx) => {
        const member = await findMember(tx, session.user_id, session.organization);
        return member?.active && member.role_ids ? roles.resolve(tx, session.organization, member.role_ids) : undefined;
      });
      if (!resolved) throw refreshRefused();
      const claims = tokens.claimsOf({
        subject: session.user_id,
        clientId: headlessClientId,
        audience: [...new Set(audience)],
        organization: session.organization,
        roles: resolved.names,
        scope: scopeFor(audience, session.scope.split(' ').filter(Boolean)),
        sessionId: session.id,
        authenticatedAt: session.authenticated_at,
      });
      return answer({ ...claims, jti: tokenId }, result.refreshToken);
    },

    /** Signs out with the refresh token: for clients whose access tokens our own API does not take. Tells nothing. */
    async endSession(value: string, origin: Origin): Promise<void> {
      await db.transaction(async (tx) => {
        const token = await findRefreshToken(tx, refreshTokenHash(value));
        if (!token || token.client_id !== headlessClientId || token.session_ended) return;
        const signedOut: Origin = { ...origin, actor: { type: 'user', id: token.user_id } };
        await deps.ending.endSession(tx, { id: token.session_id, reason: 'signed out', origin: signedOut });
      });
    },
  };
}

export type SessionService = ReturnType<typeof createSessionService>;

/** The user of a session, while the session, the account, the membership and the organization live. */
async function findLivingMember(tx: Reader, session: SessionRow, now: Date): Promise<MemberRow | undefined> {
  if (session.revoked_at || session.expires_at <= now || session.absolute_expires_at <= now) return undefined;
  const member = await findMember(tx, session.user_id, session.organization);
  return member?.active && member.role_ids ? member : undefined;
}

function refreshRefused(): AppError {
  return new AppError('identity.refresh_refused', { detail: 'Sign in again.' });
}

function parseSealed(plaintext: Uint8Array): { username: string; password: string } | undefined {
  try {
    const value = parseJsonStrict(plaintext, { maxBytes: 8192, maxDepth: 1 });
    if (!isJsonObject(value) || Object.keys(value).length !== 2) return undefined;
    const { username, password } = value;
    return typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined;
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
}
