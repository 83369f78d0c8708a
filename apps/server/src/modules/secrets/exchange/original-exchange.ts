import type { JsonObject } from '@gatehouse/contracts';
import { type Clock, type Db, epochSeconds, isAppError, type Origin, type Random } from '../../../kernel/index.ts';
import type { Audit, NewEntry } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { UserSecrets } from '../user-secrets/user-secret-service.ts';
import type { OriginalForm } from './original-form.ts';
import { type Recipient, type Recipients, type SealTarget, sealSecret } from './recipients.ts';
import { ExchangeRefused } from './refusal.ts';
import { extendActors, type Subject } from './subject.ts';
import type { SubjectTokens } from './subject-tokens.ts';
import { tokenTypes } from './token-exchange.ts';

/** Registered services by audience: in one organization, or, for a foreign subject, in the only one that knows it. */
export type FindRecipients = (organization: string | undefined, audiences: readonly string[]) => Promise<Recipient[]>;

interface OriginalExchangeDeps {
  db: Db;
  audit: Pick<Audit, 'append'>;
  clock: Clock;
  random: Random;
  keys: Pick<Keys, 'sign'>;
  publicUrl: string;
  subjectTokens: SubjectTokens;
  recipients: Recipients;
  findRecipients: FindRecipients;
  userSecrets: Pick<UserSecrets, 'releaseSecret'>;
}

/** Longest life of such a token, seconds: it must not outlive the key that signs it, whatever a foreign issuer allows. */
const maxSeconds = 3600;

/** The answer of the original STS; `refresh_token` is always written. */
export interface OriginalResponse {
  readonly access_token: string;
  readonly issued_token_type: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
  readonly refresh_token: null;
}

/**
 * The exchange as the original STS did it: whoever holds a user's token gets a token that carries the user's secret,
 * sealed to each of the audiences it names. What is sealed opens only for those services, so the caller needs no
 * credentials of its own. Signed with RS256: the original's clients know no elliptic curves.
 */
export function createOriginalExchange(deps: OriginalExchangeDeps) {
  const { db, audit, clock, random, keys, publicUrl, subjectTokens, recipients, findRecipients, userSecrets } = deps;

  /** What is not on record by a release: a token without a secret, or a refusal to a user who was verified. */
  const record = (
    subject: Subject,
    origin: Origin,
    entry: Pick<NewEntry, 'action' | 'outcome' | 'target' | 'details'>,
  ) =>
    db.transaction((tx) =>
      audit.append(tx, {
        organization: subject.organization ?? 'gatehouse',
        origin,
        ...entry,
        details: { issuer: subject.issuer, subject: subject.subject, ...entry.details },
      }),
    );

  const sealAll = async (
    subject: Subject,
    form: OriginalForm,
    { tokenId, origin }: { tokenId: string; origin: Origin },
  ): Promise<Record<string, string>> => {
    const known = await findRecipients(subject.organization, form.audiences);
    const shared = known.find((one, index) => known.findIndex(({ audience }) => audience === one.audience) < index);
    if (shared) {
      throw new ExchangeRefused(
        'invalid_target',
        `The audience ${shared.audience} is known in several organizations, and a foreign user belongs to none. Name a service by an audience that only one has.`,
      );
    }
    const targets: SealTarget[] = [];
    for (const recipient of known) targets.push(await recipients.findTarget(recipient));
    const sealed: Record<string, string> = {};
    for (const [organization, group] of Map.groupBy(targets, (target) => target.recipient.organization)) {
      const whose = { organization, issuer: subject.issuer, subject: subject.subject };
      const releases = group.map(({ recipient, key }) => ({
        service: recipient.clientId,
        audience: recipient.audience,
        keyIds: key.kid === undefined ? [] : [key.kid],
        tokenId,
      }));
      const secret = await userSecrets.releaseSecret(whose, releases, origin);
      for (const target of group) sealed[target.recipient.audience] = sealSecret(target, secret);
    }
    return sealed;
  };

  return async function exchangeOriginal(
    form: OriginalForm,
    options: { secrets: boolean; origin: Origin },
  ): Promise<OriginalResponse> {
    const subject = await subjectTokens.verifyUser(form.subjectToken);
    // Nobody proves here to hold the key: who found such a token would get one that is not bound.
    if (subject.bound) throw new ExchangeRefused('invalid_grant', 'A token bound to a key is not exchanged here.');
    await subjectTokens.assertTokenName(subject);
    const actor = form.actorToken === undefined ? undefined : await subjectTokens.verify(form.actorToken);
    const act = actor && extendActors({ sub: actor.subject, iss: actor.issuer }, actor.actor);
    if (actor && !act) throw new ExchangeRefused('invalid_request', 'The chain of actors is too long.');
    const scope =
      form.scope.length === 0 ? [...subject.roles] : form.scope.filter((one) => subject.roles.includes(one));
    const { origin } = options;
    const tokenId = random.uuid();
    const secret = options.secrets
      ? await sealAll(subject, form, { tokenId, origin }).catch(async (error: unknown) => {
          if (error instanceof ExchangeRefused || isAppError(error, 'secrets.destroyed')) {
            const target = { type: 'audience', id: form.audiences.join(' ') };
            const details = { description: error.message };
            await record(subject, origin, { action: 'secret.refused', outcome: 'failure', target, details });
          }
          throw error;
        })
      : undefined;
    if (Object.keys(secret ?? {}).length === 0) {
      await record(subject, origin, { action: 'token.exchanged', details: { token_id: tokenId } });
    }
    const now = epochSeconds(clock);
    const expiresAt = Math.min(subject.expiresAt, now + maxSeconds);
    const payload: JsonObject = {
      sub: subject.subject,
      exp: expiresAt,
      nbf: subject.notBefore,
      iss: publicUrl,
      iat: now,
      jti: tokenId,
      typ: 'Bearer',
      acr: subject.acr,
      role: 'USER',
      scp: scope.length === 0 ? undefined : scope,
      secret,
      act,
    };
    return {
      access_token: await keys.sign({ keyring: 'tokens-rs256', header: { typ: 'JWT' }, payload }),
      issued_token_type: tokenTypes.accessToken,
      token_type: 'Bearer',
      expires_in: expiresAt - now,
      scope: scope.join(' '),
      refresh_token: null,
    };
  };
}

/** What {@link createOriginalExchange} gives. */
export type ExchangeOriginal = ReturnType<typeof createOriginalExchange>;
