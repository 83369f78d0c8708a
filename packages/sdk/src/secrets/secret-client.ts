/**
 * The secret server's client: exchanges a user's access token for that user's secret (RFC 8693), sealed to this
 * service's own key, and opens it.
 */
import { createHash } from 'node:crypto';
import { parseJsonObjectStrict, tryDecodeBase64Url } from '@gatehouse/crypto';
import { createBoundedCache } from '../bounded-cache.ts';
import { type Clock, systemClock } from '../clock.ts';
import { GatehouseError } from '../errors.ts';
import { failureOf, type HttpOptions, issuerUrl, parseAddress, parseObject, request } from '../http/request.ts';
import type { Pop } from '../pop/pop.ts';
import { type ClientCredentials, createClientAuthentication } from './client-authentication.ts';

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const userSecretType = 'urn:gatehouse:params:oauth:token-type:user-secret';

/** Who asks, and how. */
export type SecretClientOptions = HttpOptions &
  ClientCredentials & {
    /** The server's public address. */
    issuer: string;
    /** This service's client id, `<organization>.<service>`. */
    clientId: string;
    /** This service's audience. Default: the client id. */
    audience?: string;
    /** Opens the answer; its public keys are at the `pop_url` the service is registered with. */
    pop: Pick<Pop, 'open' | 'sign'>;
    /** Default `<issuer>/oauth/token`. */
    tokenEndpoint?: string;
    cache?: {
      /** Secrets kept at the same time. Default 1000; 0 asks the server every time. */
      maxEntries?: number;
      /**
       * Longest time a secret is kept, never beyond the token's own end. Default 60. It is also how long a suspended
       * user may go on here; 0 asks the server every time.
       */
      maxSeconds?: number;
    };
    clock?: Clock;
  };

/** Fetches user secrets. */
export interface SecretClient {
  /**
   * The secret of the user whose (verified) access token this is: 256 bits in base64url. Hand it to `encryptForUser`
   * and `decryptForUser`, and store it nowhere. `reason` goes into the server's audit trail when the server is asked.
   * Rejects with `secret_refused` (this user), `service_refused` (this service) or `server_unavailable` (try later).
   */
  secretFor(accessToken: string, options?: { reason?: string }): Promise<string>;
  /** Forgets all secrets kept in memory. */
  clear(): void;
}

/**
 * Makes the client. Make one and keep it: it holds the cache.
 *
 * @example
 * const secrets = createSecretClient({ issuer, clientId: 'acme.records', clientSecret, pop });
 * const secret = await secrets.secretFor(accessToken);
 */
export function createSecretClient(options: SecretClientOptions): SecretClient {
  const { issuer, clientId, pop, clock = systemClock } = options;
  const audience = options.audience ?? clientId;
  const tokenEndpoint = options.tokenEndpoint ?? issuerUrl(issuer, '/oauth/token', options);
  parseAddress('tokenEndpoint', tokenEndpoint, options);
  const maxSeconds = options.cache?.maxSeconds ?? 60;
  const authenticate = createClientAuthentication({ ...options, clock });
  const kept = createBoundedCache<string>({
    maxEntries: maxSeconds > 0 ? (options.cache?.maxEntries ?? 1000) : 0,
    now: () => clock.now(),
  });
  const inFlight = new Map<string, Promise<string>>();

  async function exchange(
    accessToken: string,
    reason: string | undefined,
  ): Promise<{ secret: string; expiresIn: number | undefined }> {
    const client = await authenticate();
    const form = new URLSearchParams({
      grant_type: grantType,
      subject_token: accessToken,
      subject_token_type: accessTokenType,
      audience,
      requested_token_type: userSecretType,
      ...(reason === undefined ? {} : { reason }),
      ...client.parameters,
    });
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      ...client.headers,
    };
    const answer = await request(tokenEndpoint, { method: 'POST', headers, body: form.toString() }, options);
    if (answer.status !== 200) throw failureOf(answer, 'secret_refused', 'Release of the user secret');
    const body = parseObject(answer, 'Release of the user secret');
    if (body.issued_token_type !== userSecretType || typeof body.access_token !== 'string') {
      throw new GatehouseError('answer_invalid', 'Release of the user secret: the answer carries no user secret.');
    }
    const { plaintext } = await pop.open(body.access_token);
    const secret = Buffer.from(plaintext).toString('latin1');
    if (tryDecodeBase64Url(secret)?.byteLength !== 32) {
      throw new GatehouseError('answer_invalid', 'Release of the user secret: it is not 256 bits in base64url.');
    }
    return { secret, expiresIn: typeof body.expires_in === 'number' ? body.expires_in : undefined };
  }

  async function fetchAndKeep(accessToken: string, key: string, reason: string | undefined): Promise<string> {
    const { secret, expiresIn } = await exchange(accessToken, reason);
    const nowMs = clock.now().getTime();
    const ends = [nowMs + maxSeconds * 1000, tokenEndMs(accessToken)];
    if (expiresIn !== undefined) ends.push(nowMs + expiresIn * 1000);
    kept.set(key, secret, new Date(Math.min(...ends)));
    return secret;
  }

  return {
    async secretFor(accessToken, { reason } = {}) {
      const key = createHash('sha256').update(accessToken).digest('base64');
      const known = kept.get(key);
      if (known !== undefined) return known;
      const running = inFlight.get(key);
      if (running !== undefined) return running;
      const started = fetchAndKeep(accessToken, key, reason).finally(() => inFlight.delete(key));
      inFlight.set(key, started);
      return started;
    },
    clear: () => kept.clear(),
  };
}

/** `exp` of a token, unverified: the server has just verified it. A token without one is not kept. */
function tokenEndMs(token: string): number {
  try {
    const claims = parseJsonObjectStrict(tryDecodeBase64Url(token.split('.')[1] ?? '') ?? new Uint8Array());
    return typeof claims.exp === 'number' ? claims.exp * 1000 : 0;
  } catch {
    return 0;
  }
}
