import type { JsonObject } from '@gatehouse/contracts';
import { isJsonObject, parseJsonStrict } from '@gatehouse/crypto';
import type { Credentials, Login } from './credentials.ts';
import { CliError, ServerRefusal, usageError } from './errors.ts';
import { version } from './version.ts';

/** Longest wait for an answer, milliseconds; applying a large declaration hashes many passwords. */
const answerTimeoutMs = 120_000;
/** An access token this near to its end is renewed first, milliseconds. */
const renewBeforeMs = 30_000;
/** Largest answer read, bytes. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** The tokens that `POST /v1/sessions` and its refresh answer with. */
export interface SessionTokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** One call. */
export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly body?: JsonObject;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
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

  const call = async (path: string, request: Call = {}): Promise<JsonObject> => {
    const headers: Record<string, string> =
      organization === undefined ? {} : { 'gatehouse-organization': organization };
    const { value, login } = await accessToken();
    try {
      return await send(server, path, request, { ...headers, authorization: `Bearer ${value}` });
    } catch (error) {
      if (!(error instanceof ServerRefusal) || error.status !== 401) throw error;
      if (!login) {
        throw new CliError('cli.login_needed', `The token in GATEHOUSE_TOKEN is not accepted: ${error.message}`, {
          fix: 'get a new one, or unset GATEHOUSE_TOKEN and run: gatehouse login',
        });
      }
      // The clock of this machine may be wrong, or the signing key be gone: one renewal decides.
      const { access_token } = await renew(login);
      return await send(server, path, request, { ...headers, authorization: `Bearer ${access_token}` });
    }
  };

  return {
    server,
    organization,
    call,
    /** Every item of a list, page by page, at most `limit`. */
    async list(
      path: string,
      { limit = 10_000, query = {} }: { limit?: number; query?: Call['query'] } = {},
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

async function send(
  server: string,
  path: string,
  { method = 'GET', body, query = {} }: Call,
  headers: Readonly<Record<string, string>> = {},
): Promise<JsonObject> {
  const url = new URL(path, server);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
  let status: number;
  let text: string;
  let type: string;
  let retryAfter: string | null;
  try {
    const response = await fetch(url, {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(answerTimeoutMs),
      headers: {
        accept: 'application/json',
        'user-agent': `gatehouse-cli/${version}`,
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    status = response.status;
    type = response.headers.get('content-type') ?? '';
    retryAfter = response.headers.get('retry-after');
    text = await response.text();
  } catch (error) {
    throw unreachable(server, error);
  }
  if (status === 204) return {};
  const answer = isJsonType(type) ? readJson(text) : undefined;
  if (!answer) {
    throw new CliError('cli.not_gatehouse', `${server} answered ${status} with something that is not JSON.`, {
      fix: 'check --url; a proxy before the server may have answered in its place',
    });
  }
  if (status >= 400) throw new ServerRefusal(status, answer, refusalFix(status, retryAfter));
  return answer;
}

function isJsonType(type: string): boolean {
  return /^application\/(problem\+|jwk-set\+)?json\b/.test(type);
}

function readJson(text: string): JsonObject | undefined {
  try {
    const value = parseJsonStrict(text, { maxBytes: maxAnswerBytes });
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function refusalFix(status: number, retryAfter: string | null): string | undefined {
  if (retryAfter !== null && (status === 429 || status === 503)) return `try again in ${retryAfter} s`;
  if (status === 403) return 'ask an administrator for a role that has it, or log in as someone who does';
  if (status >= 500) return 'look for the request in the log of the server';
  return undefined;
}

function unreachable(server: string, error: unknown): CliError {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const code = cause?.code ?? (error as Error).name;
  const fixes: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'is it running there? start it with: npm run dev; or name another by --url or GATEHOUSE_URL',
    ENOTFOUND: 'check the name in --url or GATEHOUSE_URL',
    EAI_AGAIN: 'check the name in --url or GATEHOUSE_URL, and the network',
    TimeoutError: 'the server did not answer in time; what it was doing may still happen',
  };
  const certificate = /CERT|SELF_SIGNED|TLS|SSL|ALTNAME/.test(code);
  const fix = certificate ? 'its certificate is not trusted; for an own CA set NODE_EXTRA_CA_CERTS' : fixes[code];
  return new CliError(
    'cli.unreachable',
    `${server} cannot be reached (${code}${certificate && cause?.message ? `: ${cause.message}` : ''}).`,
    {
      fix: fix ?? 'check the address and the network',
      cause: error,
    },
  );
}
