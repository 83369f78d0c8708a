import type { JsonObject } from '@gatehouse/contracts';
import { CliError, ServerRefusal } from './errors.ts';
import { version } from './version.ts';

/** Longest wait for an answer, milliseconds; applying a large declaration hashes many passwords. */
const answerTimeoutMs = 120_000;

/** One call. */
export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly body?: JsonObject;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
}

/** Sends a request and reads the JSON of its answer; every failure is a {@link CliError}. */
export async function send(
  server: string,
  path: string,
  { method = 'GET', body, query = {} }: Call,
  headers: Readonly<Record<string, string>> = {},
): Promise<JsonObject> {
  const url = new URL(path, server);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
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
    text = await response.text();
  } catch (error) {
    throw unreachable(server, error);
  }
  return readAnswer(server, response, text);
}

/** The bytes of an answer of any length. It may take as long as it takes, while something comes every two minutes. */
export async function* stream(
  server: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new DOMException('silence', 'TimeoutError')), answerTimeoutMs);
  try {
    const response = await fetch(new URL(path, server), {
      redirect: 'error',
      signal: silence.signal,
      headers: { 'user-agent': `gatehouse-cli/${version}`, ...headers },
    });
    if (!response.ok) {
      readAnswer(server, response, await response.text());
      return;
    }
    for await (const chunk of response.body ?? []) {
      timer.refresh();
      yield chunk;
    }
  } catch (error) {
    throw error instanceof CliError ? error : unreachable(server, error);
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

function readAnswer(server: string, { status, headers }: Response, text: string): JsonObject {
  if (status === 204) return {};
  const answer = isJsonType(headers.get('content-type') ?? '') ? readJson(text) : undefined;
  if (!answer) {
    throw new CliError('cli.not_gatehouse', `${server} answered ${status} with something that is not JSON.`, {
      fix: 'check --url; a proxy before the server may have answered in its place',
    });
  }
  if (status >= 400)
    throw new ServerRefusal(status, answer, refusalFix(status, answer['code'], headers.get('retry-after')));
  return answer;
}

function isJsonType(type: string): boolean {
  return /^application\/(problem\+|jwk-set\+)?json\b/.test(type);
}

function readJson(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** What to do about a refusal whose own text cannot know the options of this program. */
const fixes: Readonly<Record<string, string>> = {
  'keys.not_ready': 'wait until then; in an emergency add --force',
  'identity.organization_required': 'add --organization <name>',
  'identity.foreign_account': 'add --organization <name> of that one',
};

function refusalFix(status: number, code: unknown, retryAfter: string | null): string | undefined {
  const fix = typeof code === 'string' && Object.hasOwn(fixes, code) ? fixes[code] : undefined;
  if (fix !== undefined) return fix;
  if (retryAfter !== null && (status === 429 || status === 503)) return `try again in ${retryAfter} s`;
  if (status === 403) return 'ask an administrator for a role that has it, or log in as someone who does';
  if (status >= 500) return 'look for the request in the log of the server';
  return undefined;
}

function unreachable(server: string, error: unknown): CliError {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const code = cause?.code ?? cause?.message ?? (error as Error).name;
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
