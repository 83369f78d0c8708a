/** A web application that signs people in with Gatehouse, by a library nobody here wrote (`openid-client`). */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as openid from 'openid-client';

/** What came back to the application. */
export interface Arrival {
  tokens?: openid.TokenEndpointResponse & openid.TokenEndpointResponseHelpers;
  error?: string;
}

export interface RelyingParty {
  readonly url: string;
  readonly redirectUri: string;
  readonly signedOutUri: string;
  /** Everything that came back so far, oldest first. */
  readonly arrivals: readonly Arrival[];
  /** After it is registered: the client it is. */
  connect(client: { issuer: string; innerUrl: string; clientId: string; secret: string }): Promise<void>;
  /** The client library's configuration, for calls without a browser. */
  configuration(): openid.Configuration;
  close(): Promise<void>;
}

/** Starts it: `/login` begins, `/callback` ends (by GET or form_post), `/logout` signs out, `/signed-out` comes after. */
export async function startRelyingParty(): Promise<RelyingParty> {
  const arrivals: Arrival[] = [];
  const pending = new Map<string, { verifier: string; nonce: string }>();
  let configuration: openid.Configuration | undefined;
  const connected = () => {
    if (!configuration) throw new Error('the relying party has no client yet');
    return configuration;
  };
  let url = '';

  const login = async (query: URLSearchParams): Promise<string> => {
    const verifier = openid.randomPKCECodeVerifier();
    const [state, nonce] = [openid.randomState(), openid.randomNonce()];
    pending.set(state, { verifier, nonce });
    const target = openid.buildAuthorizationUrl(connected(), {
      redirect_uri: `${url}/callback`,
      scope: 'openid profile gatehouse',
      state,
      nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...Object.fromEntries(query),
    });
    return target.href;
  };

  const arrive = async (current: URL): Promise<Arrival> => {
    const state = current.searchParams.get('state') ?? '';
    const begun = pending.get(state);
    pending.delete(state);
    if (!begun) return { error: 'unknown state' };
    try {
      const tokens = await openid.authorizationCodeGrant(connected(), current, {
        pkceCodeVerifier: begun.verifier,
        expectedState: state,
        expectedNonce: begun.nonce,
      });
      return { tokens };
    } catch (error) {
      return { error: (error as { error?: string }).error ?? String(error) };
    }
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const current = new URL(request.url ?? '/', url);
    const redirect = (location: string) => response.writeHead(302, { location }).end();
    const page = (text: string) =>
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<!doctype html><link rel="icon" href="data:,">${text}`);
    switch (current.pathname) {
      case '/login':
        return void redirect(await login(current.searchParams));
      case '/callback': {
        if (request.method === 'POST') current.search = await readText(request);
        const arrival = await arrive(current);
        arrivals.push(arrival);
        return void page(
          `<h1>${arrival.tokens ? `Welcome ${arrival.tokens.claims()?.sub}` : `Refused: ${arrival.error}`}</h1>`,
        );
      }
      case '/logout': {
        const hint = arrivals.findLast((arrival) => arrival.tokens)?.tokens?.id_token ?? '';
        const target = openid.buildEndSessionUrl(connected(), {
          id_token_hint: hint,
          post_logout_redirect_uri: `${url}/signed-out`,
          state: 'bye',
        });
        return void redirect(target.href);
      }
      case '/signed-out':
        return void page('<h1>Good bye</h1>');
      default:
        return void response.writeHead(404).end();
    }
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    redirectUri: `${url}/callback`,
    signedOutUri: `${url}/signed-out`,
    arrivals,
    configuration: connected,
    async connect({ issuer, innerUrl, clientId, secret }) {
      // The library talks to the server itself: fetch cannot be told to trust the certificate of the front.
      const behindFront: openid.CustomFetch = (target, options) =>
        fetch(target.replace(issuer, innerUrl), options as RequestInit);
      configuration = await openid.discovery(new URL(issuer), clientId, secret, openid.ClientSecretBasic(secret), {
        execute: [openid.allowInsecureRequests],
        [openid.customFetch]: behindFront,
      });
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
