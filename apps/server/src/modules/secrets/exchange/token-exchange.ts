import type { JsonObject } from '@gatehouse/contracts';
import { type Clock, type Db, epochSeconds, isAppError, type Origin, type Random } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { ExchangeParams } from '../../identity/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { UserSecrets } from '../user-secrets/user-secret-service.ts';
import { type Recipient, type Recipients, sealSecret } from './recipients.ts';
import { ExchangeRefused } from './refusal.ts';
import { extendActors, type Subject } from './subject.ts';
import type { SubjectTokens } from './subject-tokens.ts';

/** The grant type of RFC 8693. */
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** Token types of RFC 8693 §3, and ours for a user secret sealed to the caller. */
export const tokenTypes = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  userSecret: 'urn:gatehouse:params:oauth:token-type:user-secret',
} as const;

/** Longest life of a token that an exchange gives, seconds. It never outlives the subject token. */
const maxSeconds = 600;

/** The answer of RFC 8693 §2.2.1. */
export interface ExchangeResponse {
  readonly access_token: string;
  readonly issued_token_type: string;
  readonly token_type: 'Bearer' | 'N_A';
  readonly expires_in: number;
  readonly scope?: string;
}

interface ExchangeInput {
  client: Recipient;
  params: ExchangeParams;
  origin: Origin;
}

interface TokenExchangeDeps {
  db: Db;
  audit: Pick<Audit, 'append'>;
  clock: Clock;
  random: Random;
  keys: Pick<Keys, 'sign'>;
  publicUrl: string;
  subjectTokens: SubjectTokens;
  recipients: Recipients;
  userSecrets: Pick<UserSecrets, 'releaseSecret'>;
}

/**
 * Token exchange for an authenticated service: its user's token in, the user's secret out, sealed to that service.
 * The steps are in one place and in one order, so that none can be forgotten.
 */
export function createTokenExchange(deps: TokenExchangeDeps) {
  const { db, clock, random, audit, keys, publicUrl, subjectTokens, recipients, userSecrets } = deps;

  const exchange = async (input: ExchangeInput): Promise<ExchangeResponse> => {
    const { client, params, origin } = input;
    const requested = params.requested_token_type || tokenTypes.accessToken;
    // 1 the form
    assertForm(params, requested, client);
    // 2 the subject: a user, of this organization, whose token was meant for this service
    const subject = await subjectTokens.verifyUser(params.subject_token ?? '');
    assertForClient(subject, client, publicUrl);
    if (requested !== tokenTypes.userSecret) await subjectTokens.assertTokenName(subject);
    // 3 the actor, if any
    const actor = params.actor_token ? await subjectTokens.verify(params.actor_token) : undefined;
    if (actor) assertSameOrganization(actor, client);
    const act = actorClaim(subject, actor);
    // 4 the scope: never wider than the subject's
    const scope = narrowScope(subject.scope, params.scope);
    // 5 the key the secret is sealed to
    const target = await recipients.findTarget(client);
    // 6 the release, recorded in the transaction that opens the secret
    const tokenId = random.id('tok');
    const named = requested === tokenTypes.userSecret ? undefined : tokenId;
    const secret = await release(
      subject,
      client,
      { kid: target.key.kid, tokenId: named, reason: params.reason },
      origin,
    );
    const sealed = sealSecret(target, secret);
    // 7 the answer
    const now = epochSeconds(clock);
    const expiresAt = Math.min(subject.expiresAt, now + maxSeconds);
    if (requested === tokenTypes.userSecret) {
      return {
        access_token: sealed,
        issued_token_type: tokenTypes.userSecret,
        token_type: 'N_A',
        expires_in: expiresAt - now,
      };
    }
    const token = await keys.sign({
      keyring: 'tokens-es256',
      header: { typ: 'at+jwt' },
      payload: {
        iss: publicUrl,
        sub: subject.subject,
        aud: client.audience,
        client_id: client.clientId,
        org: client.organization,
        exp: expiresAt,
        iat: now,
        jti: tokenId,
        scope: scope.join(' '),
        // Roles are an organization's to give: a foreign issuer gives none of ours.
        roles: subject.issuer === publicUrl ? [...subject.roles] : [],
        sid: subject.sessionId,
        act,
        secret: { [client.audience]: sealed },
      },
    });
    return {
      access_token: token,
      issued_token_type: tokenTypes.accessToken,
      token_type: 'Bearer',
      expires_in: expiresAt - now,
      scope: scope.join(' '),
    };
  };

  return async function exchangeToken(input: ExchangeInput): Promise<ExchangeResponse> {
    try {
      return await exchange(input);
    } catch (error) {
      if (error instanceof ExchangeRefused) await recordRefusal(input, error);
      throw error;
    }
  };

  /** A refused exchange is a security event: who asked, and why it was refused. Nothing of the token is kept. */
  async function recordRefusal({ client, params, origin }: ExchangeInput, refusal: ExchangeRefused): Promise<void> {
    await db.transaction((tx) =>
      audit.append(tx, {
        action: 'secret.refused',
        organization: client.organization,
        origin,
        target: { type: 'service', id: client.clientId },
        outcome: 'failure',
        ...(params.reason ? { reason: params.reason.slice(0, 500) } : {}),
        details: { error: refusal.error, description: refusal.description },
      }),
    );
  }

  async function release(
    subject: Subject,
    client: Recipient,
    as: { kid: string | undefined; tokenId: string | undefined; reason: string | undefined },
    origin: Origin,
  ) {
    const { kid, tokenId, reason } = as;
    const whose = { organization: client.organization, issuer: subject.issuer, subject: subject.subject };
    const to = {
      service: client.clientId,
      audience: client.audience,
      keyIds: kid === undefined ? [] : [kid],
      tokenId,
      reason,
    };
    try {
      return await userSecrets.releaseSecret(whose, [to], origin);
    } catch (error) {
      if (isAppError(error, 'secrets.destroyed')) {
        throw new ExchangeRefused('invalid_grant', 'The secret of this user is destroyed.', error);
      }
      throw error;
    }
  }
}

/** What {@link createTokenExchange} gives. */
export type ExchangeToken = ReturnType<typeof createTokenExchange>;

function assertForm(params: ExchangeParams, requested: string, client: Recipient): void {
  if (!params.subject_token)
    throw new ExchangeRefused('invalid_request', 'subject_token is missing: send the user’s token.');
  const accepted: readonly string[] = [tokenTypes.accessToken, tokenTypes.jwt];
  if (!accepted.includes(params.subject_token_type ?? '')) {
    throw new ExchangeRefused('invalid_request', `subject_token_type must be one of ${accepted.join(', ')}.`);
  }
  if (!!params.actor_token !== !!params.actor_token_type) {
    throw new ExchangeRefused('invalid_request', 'actor_token and actor_token_type go together.');
  }
  if (params.actor_token_type && !accepted.includes(params.actor_token_type)) {
    throw new ExchangeRefused('invalid_request', `actor_token_type must be one of ${accepted.join(', ')}.`);
  }
  const kinds: readonly string[] = [tokenTypes.accessToken, tokenTypes.jwt, tokenTypes.userSecret];
  if (!kinds.includes(requested)) {
    throw new ExchangeRefused('invalid_request', `requested_token_type must be one of ${kinds.join(', ')}.`);
  }
  if ((params.reason?.length ?? 0) > 500)
    throw new ExchangeRefused('invalid_request', 'reason may have 500 characters at most.');
  for (const audience of [...(params.audience ?? []), ...(params.resource ?? [])].filter(Boolean)) {
    if (audience !== client.audience && audience !== client.clientId) {
      throw new ExchangeRefused(
        'invalid_target',
        `A service gets a secret only for its own audience, ${client.audience}.`,
      );
    }
  }
}

/** A token of another organization, or one that was not meant for this service, is refused. */
function assertForClient(subject: Subject, client: Recipient, publicUrl: string): void {
  assertSameOrganization(subject, client);
  if (subject.issuer !== publicUrl) return; // a foreign issuer does not know our services; its audiences are checked with it
  const meant = subject.audiences.includes(client.audience) || subject.clientId === client.clientId;
  if (!meant)
    throw new ExchangeRefused(
      'invalid_grant',
      `The subject token is not meant for ${client.audience}: its aud does not name it.`,
    );
}

function assertSameOrganization(subject: Subject, client: Recipient): void {
  if (subject.organization !== undefined && subject.organization !== client.organization) {
    throw new ExchangeRefused(
      'invalid_grant',
      'The token is not acceptable: not from a trusted issuer, expired, revoked or not valid.',
    );
  }
}

function actorClaim(subject: Subject, actor: Subject | undefined): JsonObject | undefined {
  if (!actor) return subject.actor;
  const chain = extendActors({ sub: actor.subject, iss: actor.issuer }, subject.actor);
  if (!chain) throw new ExchangeRefused('invalid_request', 'The chain of actors is too long.');
  return chain;
}

function narrowScope(granted: readonly string[], requested: string | undefined): string[] {
  const wanted = (requested ?? '').split(' ').filter(Boolean);
  if (wanted.length === 0) return [...granted];
  const wider = wanted.find((one) => !granted.includes(one));
  if (wider !== undefined)
    throw new ExchangeRefused('invalid_scope', 'The scope is wider than that of the subject token.');
  return wanted;
}
