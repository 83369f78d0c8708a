/** Signing a user in, from a client: credentials leave this process only sealed to the server's key. */
import { GatehouseError } from '../errors.ts';
import { failureOf, type HttpOptions, issuerUrl, parseObject, request } from '../http/request.ts';
import { sealTo } from './seal.ts';

/** Tokens of a session, as the server answered. */
export interface Session {
  accessToken: string;
  refreshToken: string;
  /** Seconds the access token lives. */
  expiresIn: number;
  scope: string;
}

/** Who signs in, and where. */
export interface CreateSessionOptions extends HttpOptions {
  issuer: string;
  username: string;
  password: string;
  /** Only for members of several organizations. */
  organization?: string;
  /**
   * Exactly whom the tokens are for. Name the services that will see them: without it they are good for Gatehouse's own
   * API and all services of the organization.
   */
  audience?: readonly string[];
}

/**
 * Signs a user in at `POST /v1/sessions`. Rejects with `sign_in_refused`; `serverCode` is `identity.mfa_required` when a
 * second factor is due, and `details.challenge` is what to answer it with.
 *
 * @example const session = await createSession({ issuer, username: 'alice', password });
 */
export async function createSession(options: CreateSessionOptions): Promise<Session> {
  const { issuer, username, password, organization, audience } = options;
  const credentials = await sealTo(issuerUrl(issuer, '/pop', options), { username, password }, options);
  return postForTokens(issuerUrl(issuer, '/v1/sessions', options), options, {
    credentials,
    ...(organization === undefined ? {} : { organization }),
    ...(audience === undefined ? {} : { audience }),
  });
}

/** Exchanges a refresh token for new tokens. The old one is spent: keep the new one. */
export async function refreshSession(
  options: { issuer: string; refreshToken: string } & HttpOptions,
): Promise<Session> {
  return postForTokens(issuerUrl(options.issuer, '/v1/sessions/refresh', options), options, {
    refresh_token: options.refreshToken,
  });
}

async function postForTokens(url: string, http: HttpOptions, body: Record<string, unknown>): Promise<Session> {
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  const answer = await request(url, { method: 'POST', headers, body: JSON.stringify(body) }, http);
  if (answer.status !== 200 && answer.status !== 201) throw failureOf(answer, 'sign_in_refused', 'Sign-in');
  const tokens = parseObject(answer, 'Sign-in');
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn, scope } = tokens;
  if (typeof accessToken !== 'string' || typeof refreshToken !== 'string' || typeof expiresIn !== 'number') {
    throw new GatehouseError('answer_invalid', 'Sign-in: the answer lacks access_token, refresh_token or expires_in.');
  }
  return { accessToken, refreshToken, expiresIn, scope: typeof scope === 'string' ? scope : '' };
}
