import type { JsonObject } from '@gatehouse/contracts';
import {
  importVerificationKey,
  isCryptoError,
  parseJwtClaims,
  type SignatureAlgorithm,
  type TokenHeader,
  verifyCompactJws,
  verifyJwtClaims,
} from '@gatehouse/crypto';
import { type Clock, type Db, isAppError } from '../../../kernel/index.ts';
import type { TrustedIssuer } from '../issuers/issuer.ts';
import type { Issuers } from '../issuers/issuer-service.ts';
import { type RemoteKeys, RemoteKeysError } from '../remote-keys.ts';
import { ExchangeRefused } from './refusal.ts';
import { audiencesOf, isObject, rolesOfClaims, type Subject, scopeOf } from './subject.ts';

/** Verifies one of Gatehouse's own access tokens with its session and user; undefined when it is not acceptable now. */
export type VerifyOwnToken = (token: string) => Promise<JsonObject | undefined>;

interface SubjectTokenDeps {
  db: Db;
  clock: Clock;
  issuers: Pick<Issuers, 'find'>;
  remoteKeys: RemoteKeys;
  publicUrl: string;
  verifyOwn: VerifyOwnToken;
  /** True for a `sub` of one of our own users or services. */
  isOwnSubject: (subject: string) => Promise<boolean>;
}

/** Kinds of token a trusted issuer may send as `typ`. Others (logout, security event, DPoP …) are not about a caller. */
const foreignTypes: readonly string[] = ['jwt', 'at+jwt', 'application/at+jwt'];
const isForeignType = (typ: unknown) => typeof typ === 'string' && foreignTypes.includes(typ.toLowerCase());
const maxTokenBytes = 16_384;

/** Judges subject and actor tokens: our own through identity, others by the trusted issuers and their published keys. */
export function createSubjectTokens(deps: SubjectTokenDeps) {
  const { db, clock, issuers, remoteKeys, publicUrl, verifyOwn } = deps;
  const verifyForeign = async (token: string, issuer: TrustedIssuer): Promise<JsonObject> => {
    const { header, payload } = await verifyCompactJws(token, {
      algorithms: issuer.algorithms as SignatureAlgorithm[],
      maxBytes: maxTokenBytes,
      findKey: (unverified) => findForeignKey(issuer, unverified),
    });
    if (header.typ !== undefined && !isForeignType(header.typ)) {
      throw new ExchangeRefused('invalid_grant', 'The token is of a kind that is not accepted here.');
    }
    return verifyJwtClaims(parseJwtClaims(payload), {
      issuer: issuer.issuer,
      now: clock.now(),
      required: ['sub', 'iat'],
      ...(issuer.audiences.length === 0 ? {} : { audience: issuer.audiences }),
    });
  };

  /** The issuer's key of this id; asked for again, at a bounded rate, when it is not known. */
  const findForeignKey = async (issuer: TrustedIssuer, { kid }: TokenHeader) => {
    if (typeof kid !== 'string' || kid === '') return undefined;
    for (const fresh of [false, true]) {
      const keys = await remoteKeys.get(issuer.jwksUri, 'sig', { fresh });
      const key = keys.find((one) => one.kid === kid);
      if (key) return importVerificationKey(key.jwk);
    }
    return undefined;
  };

  /**
   * Verifies a token, whoever it is about.
   * @throws ExchangeRefused `invalid_grant` (not acceptable; the reason is not told apart), `temporarily_unavailable`
   */
  const verify = async (token: string): Promise<Subject> => {
    try {
      const issuer = readIssuer(token);
      if (issuer === publicUrl) {
        const claims = await verifyOwn(token);
        if (!claims) throw notAcceptable();
        return toSubject(claims, typeof claims['org'] === 'string' ? claims['org'] : '');
      }
      const trusted = await db.read((tx) => issuers.find(tx, issuer));
      if (!trusted) throw notAcceptable();
      return toSubject(await verifyForeign(token, trusted));
    } catch (error) {
      if (error instanceof RemoteKeysError) {
        throw new ExchangeRefused('temporarily_unavailable', 'The keys of the token’s issuer cannot be had.', error);
      }
      if (isCryptoError(error) || isAppError(error, 'kernel.unauthenticated')) throw notAcceptable(error);
      throw error;
    }
  };

  return {
    /**
     * Verifies a subject token: one about a user. A service's own token is about nobody whose secret it could be.
     * @throws ExchangeRefused as {@link verify}
     */
    async verifyUser(token: string): Promise<Subject> {
      const subject = await verify(token);
      if (subject.issuer === publicUrl && subject.subject === subject.clientId) throw notAcceptable();
      return subject;
    },
    verify,
    /**
     * A token we make about a foreign user says `iss` us and `sub` that user: it must not read as one about a user or a
     * service of ours, who is somebody else. (The user's secret is kept apart by issuer, so that may be released.)
     */
    async assertTokenName(subject: Subject): Promise<void> {
      if (subject.issuer === publicUrl || !(await deps.isOwnSubject(subject.subject))) return;
      throw new ExchangeRefused(
        'invalid_grant',
        'The subject of the foreign token is called as an account of this server, so no token can be made for it. The user secret alone can be asked for.',
      );
    },
  };
}

/** What {@link createSubjectTokens} gives. */
export type SubjectTokens = ReturnType<typeof createSubjectTokens>;

/** The `iss` of a token that is not verified yet: only to choose who verifies it. */
function readIssuer(token: string): string {
  const part = token.length > maxTokenBytes ? undefined : token.split('.')[1];
  if (part === undefined) throw notAcceptable();
  const { iss } = parseJwtClaims(Buffer.from(part, 'base64url'));
  if (typeof iss !== 'string') throw notAcceptable();
  return iss;
}

function notAcceptable(cause?: unknown): ExchangeRefused {
  return new ExchangeRefused(
    'invalid_grant',
    'The token is not acceptable: not from a trusted issuer, expired, revoked or not valid.',
    cause,
  );
}

function toSubject(claims: JsonObject, organization?: string): Subject {
  const text = (name: string) => (typeof claims[name] === 'string' ? claims[name] : undefined);
  const number = (name: string) => (typeof claims[name] === 'number' ? claims[name] : undefined);
  const subject = text('sub');
  const expiresAt = number('exp');
  if (subject === undefined || subject === '' || subject.length > 255 || expiresAt === undefined) throw notAcceptable();
  return {
    issuer: text('iss') ?? '',
    subject,
    audiences: audiencesOf(claims),
    scope: scopeOf(claims),
    roles: rolesOfClaims(claims),
    expiresAt,
    ...optional('organization', organization),
    ...optional('clientId', text('client_id')),
    ...optional('sessionId', text('sid')),
    ...optional('notBefore', number('nbf')),
    ...optional('actor', isObject(claims['act']) ? claims['act'] : undefined),
    ...optional('acr', text('acr')),
    ...(claims['cnf'] === undefined ? {} : { bound: true }),
  };
}

function optional<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]?: V });
}
