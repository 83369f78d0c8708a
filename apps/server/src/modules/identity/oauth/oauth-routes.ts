import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App, Random } from '../../../kernel/index.ts';
import { answerOAuthError } from './answer.ts';
import { type AuthenticateClient } from './client-authentication/authenticate-client.ts';
import { parseForm } from './client-authentication/form.ts';
import { makeTicket, withTicket } from './client-authentication/ticket.ts';
import { allowOrigin, answerPreflight } from './cors.ts';
import { type HandOver, mountPath } from './hand-over.ts';
import { type InteractionDeps, interactionRoutes } from './pages/interaction-routes.ts';
import { routes } from './provider.ts';

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

export interface OAuthRouteDeps extends InteractionDeps {
  readonly random: Random;
  readonly authenticateClient: AuthenticateClient;
  readonly handOver: HandOver;
  readonly token: Handler;
  readonly introspect: Handler;
  readonly revoke: Handler;
  readonly userinfo: Handler;
}

const maxFormBytes = 64 * 1024;
const open = { config: { auth: { public: 'an OAuth endpoint authenticates by its own protocol' } } } as const;
const options = { ...open, schema: { hide: true } } as const;

/**
 * The endpoints below `/oauth` and the two discovery documents. Each is named here: what is not named does not reach
 * oidc-provider, whose router is looser about spelling than ours.
 */
export function oauthRoutes(deps: OAuthRouteDeps) {
  const { handOver } = deps;

  /** Endpoints of oidc-provider that a client calls: our front authenticates it first. */
  const withClient =
    (path: string): Handler =>
    async (request, reply) => {
      const form = parseForm(request.headers['content-type'], request.body as Buffer | undefined);
      const client = await deps.authenticateClient({
        authorization: request.headers.authorization,
        params: form.single,
        url: `${deps.issuer}${mountPath}${path}`,
        origin: request.origin,
      });
      allowOrigin(request, reply, client);
      const ticket = makeTicket(client, deps.random);
      return handOver(request, reply, { ticket, form: withTicket(form.all, client, ticket) });
    };
  const direct: Handler = async (request, reply) => handOver(request, reply);

  /** OpenID Connect Core §3.1.2.1 asks for POST too; it leads to the same request by GET, so that cookies are sent. */
  const authorizeByPost: Handler = async (request, reply) => {
    const { all } = parseForm(request.headers['content-type'], request.body as Buffer | undefined);
    return reply
      .header('cache-control', 'no-store')
      .redirect(`${deps.issuer}${mountPath}${routes.authorization}?${all.toString()}`, 303);
  };

  const discovery =
    (document: string): Handler =>
    async (request, reply) => {
      request.raw.url = `${mountPath}/.well-known/${document}`;
      return handOver(request, reply);
    };

  return async (app: App): Promise<void> => {
    for (const document of ['openid-configuration', 'oauth-authorization-server']) {
      app.get(`/.well-known/${document}`, options, discovery(document));
    }
    await app.register(
      async (child) => {
        const mounted = child as unknown as App;
        takeRawForms(mounted);
        mounted.setErrorHandler((error, request, reply) => void answerOAuthError(error, request, reply));

        mounted.get(routes.authorization, options, direct);
        mounted.post(routes.authorization, options, authorizeByPost);
        mounted.get(`${routes.authorization}/:uid`, options, direct);
        mounted.get(routes.code_verification, options, direct);
        mounted.post(routes.code_verification, options, direct);
        mounted.get(`${routes.code_verification}/:uid`, options, direct);
        mounted.get(routes.end_session, options, direct);
        mounted.post(`${routes.end_session}/confirm`, options, direct);
        mounted.get(`${routes.end_session}/success`, options, direct);

        mounted.post(routes.pushed_authorization_request, options, withClient(routes.pushed_authorization_request));
        mounted.post(routes.device_authorization, options, withClient(routes.device_authorization));
        mounted.post(routes.token, options, deps.token);
        mounted.post('/introspect', options, deps.introspect);
        mounted.post('/revoke', options, deps.revoke);
        mounted.get('/userinfo', options, deps.userinfo);
        mounted.post('/userinfo', options, deps.userinfo);
        for (const path of [
          routes.token,
          '/revoke',
          '/userinfo',
          routes.pushed_authorization_request,
          routes.device_authorization,
        ]) {
          mounted.options(path, options, async (request, reply) => answerPreflight(request, reply));
        }
        interactionRoutes(deps)(mounted);
      },
      { prefix: mountPath },
    );
  };
}

/** Bodies arrive as bytes, bounded: oidc-provider and our own parser read the same ones. */
function takeRawForms(app: App): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxFormBytes }, (_request, body, done) =>
    done(null, body),
  );
}
