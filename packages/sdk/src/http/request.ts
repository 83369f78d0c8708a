/**
 * The one place that talks HTTP: https unless the host is loopback (or the caller allows plain http), no redirects, a
 * time-out over the whole exchange, a bound on the answer.
 */
import { GatehouseError } from '../errors.ts';

/** The part of `fetch` that the SDK uses; replaceable, for proxies and private certificate authorities. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** How requests are made. */
export interface HttpOptions {
  /** Replaces the global `fetch`. */
  fetch?: Fetch;
  /** Time for one exchange, head and body. Default 5000. */
  timeoutMilliseconds?: number;
  /** Accept `http:` for hosts other than loopback. Only for private networks that encrypt below HTTP. Default false. */
  allowInsecureHttp?: boolean;
}

/** A complete answer. */
export interface HttpAnswer {
  status: number;
  headers: Headers;
  text: string;
}

const usualAnswerBytes = 1024 * 1024;
const loopbackHosts = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Parses an address from the configuration, or throws `configuration_invalid` with the name of the option. */
export function parseAddress(option: string, value: string, http: HttpOptions): URL {
  let url: URL;
  try {
    url = new URL(value);
  } catch (cause) {
    throw new GatehouseError('configuration_invalid', `${option} must be an absolute URL.`, { cause });
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new GatehouseError('configuration_invalid', `${option} must be an https URL.`);
  }
  const isPlain = url.protocol === 'http:' && !loopbackHosts.has(url.hostname);
  if (isPlain && http.allowInsecureHttp !== true) {
    throw new GatehouseError(
      'configuration_invalid',
      `${option} must be an https URL. Plain http is accepted for loopback only; set allowInsecureHttp to allow it.`,
    );
  }
  return url;
}

/** Appends a path to the issuer's address, whether or not that ends with a slash (RFC 8414 §3 keeps its path). */
export function issuerUrl(issuer: string, path: string, http: HttpOptions): string {
  const url = parseAddress('issuer', issuer, http);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`;
  return url.toString();
}

/** Bounds of one exchange that differ from the usual ones. */
export interface ExchangeBounds {
  /** Largest answer. Default 1 MiB. */
  maxAnswerBytes?: number;
  /** Ends the exchange: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** One exchange. Rejects with `server_unavailable` when no complete answer arrived; any status is an answer. */
export async function request(
  url: string,
  init: RequestInit,
  http: HttpOptions,
  bounds: ExchangeBounds = {},
): Promise<HttpAnswer> {
  const send = http.fetch ?? fetch;
  const { signal, maxAnswerBytes = usualAnswerBytes } = bounds;
  signal?.throwIfAborted();
  const ending = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    ending.abort();
  }, http.timeoutMilliseconds ?? 5000);
  const end = () => ending.abort();
  signal?.addEventListener('abort', end, { once: true });
  try {
    const response = await send(url, { ...init, redirect: 'manual', signal: ending.signal });
    return { status: response.status, headers: response.headers, text: await readBounded(response, maxAnswerBytes) };
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof GatehouseError) throw cause;
    const host = new URL(url).host;
    const why = isLate ? 'did not answer in time' : 'could not be reached';
    throw new GatehouseError('server_unavailable', `${host} ${why}.`, { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}

async function readBounded(response: Response, maxAnswerBytes: number): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) {
      throw new GatehouseError('answer_invalid', `The answer is larger than ${maxAnswerBytes} bytes.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Parses a JSON object, or throws `answer_invalid`. */
export function parseObject(answer: HttpAnswer, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(answer.text);
  } catch {
    // The parser's message quotes the text, which may be a token: it is not passed on.
    throw new GatehouseError('answer_invalid', `${what}: the answer is not JSON.`, { status: answer.status });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatehouseError('answer_invalid', `${what}: the answer is not a JSON object.`, { status: answer.status });
  }
  return value as Record<string, unknown>;
}

/** OAuth errors that are about the client, not about the user it acts for (RFC 6749 §5.2, RFC 8693 §2.2.2). */
const clientErrors = new Set(['invalid_client', 'unauthorized_client', 'unsupported_grant_type', 'invalid_target']);

/**
 * Turns an answer that is not a success into an error: 429 and 5xx are `server_unavailable`, what is about this service
 * is `service_refused`, any other is `refused`. Reads RFC 9457 problems and OAuth errors (RFC 6749 §5.2).
 */
export function failureOf(
  answer: HttpAnswer,
  refused: 'secret_refused' | 'sign_in_refused' | 'agent_refused',
  what: string,
): GatehouseError {
  let body: Record<string, unknown> = {};
  try {
    body = parseObject(answer, what);
  } catch {
    // A proxy's error page: the status is all there is to tell.
  }
  const serverCode = textOf(body.code) ?? textOf(body.error);
  const detail = textOf(body.detail) ?? textOf(body.error_description) ?? textOf(body.title);
  const retryAfter = Number(answer.headers.get('retry-after') ?? Number.NaN);
  const unavailable = answer.status >= 500 || answer.status === 429 || serverCode === 'temporarily_unavailable';
  const ours = serverCode !== undefined && clientErrors.has(serverCode) ? 'service_refused' : refused;
  const told = [`${answer.status}`, serverCode, detail].filter((part) => part !== undefined).join(' ');
  return new GatehouseError(unavailable ? 'server_unavailable' : ours, `${what}: ${told}`, {
    status: answer.status,
    details: body,
    ...(serverCode === undefined ? {} : { serverCode }),
    ...(Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {}),
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 300) : undefined;
}

/** `max-age` of a Cache-Control header in seconds; 0 for `no-store` and `no-cache`; undefined when it says nothing. */
export function maxAgeSeconds(headers: Headers): number | undefined {
  const directives = (headers.get('cache-control') ?? '').toLowerCase().split(',');
  let seconds: number | undefined;
  for (const directive of directives) {
    const [name, value] = directive.trim().split('=', 2);
    if (name === 'no-store' || name === 'no-cache') return 0;
    if (name === 'max-age' && value !== undefined && /^"?\d{1,9}"?$/.test(value)) {
      seconds = Number(value.replaceAll('"', ''));
    }
  }
  return seconds;
}
