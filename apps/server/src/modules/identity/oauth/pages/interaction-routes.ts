import type { FastifyReply, FastifyRequest } from 'fastify';
import type Provider from 'oidc-provider';
import type { App, AppError, Db, Logger } from '../../../../kernel/index.ts';
import { operatorOrganization } from '../../deps.ts';
import { sendPage } from '../../pages/layout.ts';
import { sendProblemPage } from '../../pages/problem-page.ts';
import type { Credentials } from '../../passwords/credentials.ts';
import type { ClientUsers } from '../accounts.ts';
import { audienceOf } from '../audiences.ts';
import { parseForm } from '../client-authentication/form.ts';
import type { ClientCache } from '../clients/client-cache.ts';
import { type CookieRules, forgetInteraction, openCookies } from '../cookies.ts';
import { runWithContext } from '../request-context.ts';
import { defaultResource } from '../token-claims.ts';
import type { FormTokens } from './form-token.ts';
import { consentPage, expiredPage, type InteractionPage, maxUsernameLength, signInPage } from './interaction-pages.ts';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;
type Request = FastifyRequest<{ Params: { uid: string } }>;

export interface InteractionDeps {
  readonly issuer: string;
  readonly log: Logger;
  readonly cookies: CookieRules;
  readonly provider: () => Provider;
  readonly clients: Pick<ClientCache, 'find'>;
  readonly users: Pick<ClientUsers, 'find'>;
  readonly db: Pick<Db, 'transaction'>;
  readonly credentials: Pick<Credentials, 'verifyCredentials' | 'isUnchanged'>;
  readonly formTokens: FormTokens;
}

/** The pages a person sees during an authorization: sign-in and consent. Plain forms, no script. */
export function interactionRoutes(deps: InteractionDeps) {
  const { provider, clients, users, credentials, formTokens, cookies } = deps;

  /** The interaction of the address, if this browser holds its cookie and it is at `prompt`. */
  const find = async (request: Request, reply: FastifyReply, prompt?: string): Promise<Interaction | undefined> => {
    openCookies(request.raw, cookies);
    try {
      const interaction = await provider().interactionDetails(request.raw, reply.raw);
      const fits =
        interaction.uid === request.params.uid && (prompt === undefined || interaction.prompt.name === prompt);
      return fits ? interaction : undefined;
    } catch (error) {
      if ((error as Error).name === 'SessionNotFound') return undefined;
      throw error;
    }
  };

  const pageOf = async (interaction: Interaction): Promise<InteractionPage & { organization: string | undefined }> => {
    const client = await clients.find(String(interaction.params['client_id']));
    const target = interaction.params['redirect_uri'];
    const anyOrganization = client?.organization === operatorOrganization && client.firstParty;
    return {
      uid: interaction.uid,
      formToken: formTokens.make(interaction.uid, interaction.prompt.name),
      clientName: client?.name ?? '',
      clientOrganization: client?.organization ?? '',
      formTargets: typeof target === 'string' ? [target] : [],
      organization: anyOrganization ? undefined : client?.organization,
    };
  };

  /** Whose account the consent is about, for a page that says it. */
  const usernameOf = async ({ session, params }: Interaction): Promise<string | undefined> => {
    const client = await clients.find(String(params['client_id']));
    if (session === undefined || client === undefined) return undefined;
    return (await users.find(session.accountId, client))?.username;
  };

  const show = async (interaction: Interaction, reply: FastifyReply): Promise<FastifyReply> => {
    const page = await pageOf(interaction);
    return interaction.prompt.name === 'consent'
      ? sendPage(reply, consentPage(page, { ...askedOf(interaction), username: await usernameOf(interaction) }))
      : sendPage(reply, signInPage(page));
  };

  /** Ends the step and goes back to the authorization endpoint, with 303: a POST is not to be repeated there. */
  const finish = async (
    request: Request,
    reply: FastifyReply,
    result: Parameters<Provider['interactionResult']>[2],
    merge: boolean,
    stillHolds: () => Promise<boolean> = async () => true,
  ): Promise<FastifyReply> => {
    const returnTo = await provider().interactionResult(request.raw, reply.raw, result, {
      mergeWithLastSubmission: merge,
    });
    if (!(await stillHolds())) {
      await (await find(request, reply))?.destroy();
      return expired(request, reply);
    }
    const { pathname } = new URL(returnTo);
    return reply
      .header('cache-control', 'no-store')
      .header('set-cookie', forgetInteraction(request.params.uid, cookies))
      .redirect(`${deps.issuer}${pathname}`, 303);
  };

  const abort = (request: Request, reply: FastifyReply) =>
    finish(request, reply, { error: 'access_denied', error_description: 'the user has refused' }, false);

  /** A form of ours, from a page of ours: token and, where the browser says it, origin. */
  const readForm = (request: Request, step: string) => {
    const { origin } = request.headers;
    const { single } = parseForm(request.headers['content-type'], request.body as Buffer | undefined);
    const ours = origin === undefined || origin === 'null' ? true : origin === deps.issuer;
    return ours && formTokens.isToken(request.params.uid, step, single['form_token']) ? single : undefined;
  };

  const expired = (request: Request, reply: FastifyReply) =>
    sendPage(reply.header('set-cookie', forgetInteraction(request.params.uid, cookies)), expiredPage());

  const signIn = async (request: Request, reply: FastifyReply): Promise<FastifyReply> => {
    const interaction = await find(request, reply, 'login');
    const form = interaction && readForm(request, 'login');
    if (!interaction || !form) return expired(request, reply);
    const page = await pageOf(interaction);
    const { username = '', password = '' } = form;
    const { origin } = request;
    const verdict = await credentials.verifyCredentials({
      username,
      password,
      organization: page.organization,
      origin,
      recordSuccess: true,
    });
    if (!verdict.ok) {
      const { error } = verdict;
      const { status } = error;
      for (const [name, value] of Object.entries(error.headers)) {
        if (name !== 'www-authenticate') reply.header(name, value);
      }
      const kept = username.length <= maxUsernameLength ? username : '';
      return sendPage(reply, signInPage(page, { problem: problemText(error), status, username: kept }));
    }
    const { user, passwordHash } = verdict;
    // Stored first, then asked: a password change after the question ends what is stored, one before it is seen here.
    const stillHolds = () => deps.db.transaction((tx) => credentials.isUnchanged(tx, { uid: user.uid, passwordHash }));
    return finish(request, reply, { login: { accountId: user.uid, amr: ['pwd'] } }, false, stillHolds);
  };

  const consent = async (request: Request, reply: FastifyReply): Promise<FastifyReply> => {
    const interaction = await find(request, reply, 'consent');
    const form = interaction && readForm(request, 'consent');
    if (!interaction || !form) return expired(request, reply);
    if (form['decision'] !== 'allow') return abort(request, reply);
    const grantId = await saveGrant(provider(), interaction);
    return finish(request, reply, { consent: { grantId } }, true);
  };

  return (app: App): void => {
    const config = { auth: { public: 'the person signs in here' } } as const;
    const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      void sendProblemPage(error, request, reply);
    const options = { config, schema: { hide: true }, errorHandler } as const;
    /** oidc-provider's storage, called from here, learns who asks. */
    const inContext =
      (handler: (request: Request, reply: FastifyReply) => Promise<FastifyReply>) =>
      (request: FastifyRequest, reply: FastifyReply) =>
        runWithContext({ origin: request.origin }, () => handler(request as Request, reply));

    app.get(
      '/interaction/:uid',
      options,
      inContext(async (request, reply) => {
        const interaction = await find(request, reply);
        return interaction ? show(interaction, reply) : expired(request, reply);
      }),
    );
    app.post('/interaction/:uid/sign-in', options, inContext(signIn));
    app.post('/interaction/:uid/consent', options, inContext(consent));
    app.get(
      '/interaction/:uid/cancel',
      options,
      inContext(async (request, reply) =>
        (await find(request, reply)) ? abort(request, reply) : expired(request, reply),
      ),
    );
  };
}

/** The refusal of a sign-in as a person reads it; the details of errors are written for programs. */
function problemText(error: AppError): string {
  if (error.code === 'identity.invalid_credentials') return 'The user name or the password is wrong.';
  return error.detail ?? error.message;
}

/** What is missing in the grant, and so asked for on the consent page. */
function askedOf({ prompt }: Interaction): { scope: string[]; audience: string | undefined } {
  const { missingOIDCScope, missingResourceScopes } = prompt.details as {
    missingOIDCScope?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  const resources = Object.entries(missingResourceScopes ?? {});
  const scope = new Set([...(missingOIDCScope ?? []), ...resources.flatMap(([, names]) => names)]);
  const named = resources.map(([resource]) => resource).find((resource) => resource !== defaultResource);
  return { scope: [...scope], audience: named === undefined ? undefined : audienceOf(named) };
}

/** Writes what the user has allowed into the grant; the session it stands for begins with it. */
async function saveGrant(provider: Provider, interaction: Interaction): Promise<string> {
  const { grantId, params, session, prompt } = interaction;
  const existing = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant =
    existing ?? new provider.Grant({ accountId: session?.accountId as string, clientId: String(params['client_id']) });
  const { missingOIDCScope, missingResourceScopes } = prompt.details as {
    missingOIDCScope?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  for (const [resource, scope] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scope.join(' '));
  }
  return grant.save();
}
