import type { JsonObject } from '@gatehouse/contracts';
import type { Credentials, Login } from './credentials.ts';
import { CliError, ServerRefusal, usageError } from './errors.ts';
import { type Call, send, stream } from './http.ts';

/** An access token this near to its end is renewed first, milliseconds. */
const renewBeforeMs = 30_000;

/** The tokens that `POST /v1/sessions` and its refresh answer with. */
export interface SessionTokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** The origin of a server's address; http only to this machine, because passwords and tokens travel on it. */
export function serverOrigin(address: string): string {
  const url = URL.parse(address);
  if (
    !url ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.username !== '' ||
    url.search !== '' ||
    url.pathname !== '/'
  ) {
    throw usageError(`"${address}" is not the address of a server.`, 'use a form such as https://id.example.com');
  }
  const loopback = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(url.hostname);
  if (url.protocol === 'http:' && !loopback) {
    throw usageError(
      `${url.origin} is http, and not on this machine: passwords and tokens would be readable on the way.`,
      'use https',
    );
  }
  return url.origin;
}

/**
 * Calls of the HTTP API of one server, in the name of a login (kept and renewed in `credentials`) or of `token`.
 * Every failure is a {@link CliError} that says what to do.
 */
export function createApi({
  server,
  token,
  organization,
  credentials,
  now,
}: {
  server: string;
  token: string | undefined;
  organization: string | undefined;
  credentials: Credentials;
  now: () => number;
}) {
  const renew = async (login: Login): Promise<Login> => {
    try {
      const tokens = (await send(server, '/v1/sessions/refresh', {
        method: 'POST',
        body: { refresh_token: login.refresh_token },
      })) as unknown as SessionTokens;
      const renewed = loginOf(login.username, tokens, now());
      await credentials.save(server, renewed);
      return renewed;
    } catch (error) {
      if (!(error instanceof ServerRefusal) || error.status >= 500 || error.status === 429) throw error;
      throw loginNeeded(server, `The login of ${login.username} at ${server} has ended.`);
    }
  };

  const accessToken = async (): Promise<{ value: string; login?: Login }> => {
    if (token !== undefined) return { value: token };
    const login = await credentials.find(server);
    if (!login) throw loginNeeded(server, `There is no login at ${server}.`);
    const fresh = Date.parse(login.expires_at) - now() < renewBeforeMs ? await renew(login) : login;
    return { value: fresh.access_token, login: fresh };
  };

  const chosenOrganization: Record<string, string> =
    organization === undefined ? {} : { 'gatehouse-organization': organization };

  const call = async (path: string, request: Call = {}): Promise<JsonObject> => {
    const { value, login } = await accessToken();
    try {
      return await send(server, path, request, { ...chosenOrganization, authorization: `Bearer ${value}` });
    } catch (error) {
      if (!(error instanceof ServerRefusal) || error.status !== 401) throw error;
      if (!login) {
        throw new CliError('cli.login_needed', `The token in GATEHOUSE_TOKEN is not accepted: ${error.message}`, {
          fix: 'get a new one, or unset GATEHOUSE_TOKEN and run: gatehouse login',
        });
      }
      // The clock of this machine may be wrong, or the signing key be gone: one renewal decides.
      const { access_token } = await renew(login);
      return await send(server, path, request, { ...chosenOrganization, authorization: `Bearer ${access_token}` });
    }
  };

  return {
    server,
    organization,
    call,
    /** Every item of a list, page by page; at most `limit` when given. */
    async list(
      path: string,
      { limit = Number.POSITIVE_INFINITY, query = {} }: { limit?: number; query?: Call['query'] } = {},
    ): Promise<JsonObject[]> {
      const items: JsonObject[] = [];
      let cursor: string | undefined;
      do {
        const page = await call(path, { query: { ...query, limit: Math.min(200, limit - items.length), cursor } });
        items.push(...((page['items'] ?? []) as unknown as JsonObject[]));
        cursor = typeof page['next_cursor'] === 'string' ? page['next_cursor'] : undefined;
      } while (cursor !== undefined && items.length < limit);
      return items;
    },
    /** The bytes of an answer of any length, as they come. */
    async *stream(path: string): AsyncGenerator<Uint8Array> {
      const { value } = await accessToken();
      yield* stream(server, path, { ...chosenOrganization, authorization: `Bearer ${value}` });
    },
    /** A call without a login: signing in. */
    open: (path: string, request: Call = {}) => send(server, path, request),
  };
}

/** What {@link createApi} gives. */
export type Api = ReturnType<typeof createApi>;

/** The login that an answer of the token endpoint makes. */
export function loginOf(username: string, tokens: SessionTokens, nowMs: number): Login {
  return {
    username,
    access_token: tokens.access_token,
    refresh_token: tokens.refresh_token,
    expires_at: new Date(nowMs + tokens.expires_in * 1000).toISOString(),
  };
}

function loginNeeded(server: string, detail: string): CliError {
  return new CliError('cli.login_needed', detail, { fix: `run: gatehouse login --url ${server}` });
}
