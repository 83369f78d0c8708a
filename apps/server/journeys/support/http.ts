/** Requests as a program outside makes them: over a socket, one connection each unless an agent is given. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  json<T = Record<string, unknown>>(): T;
}

/** One request. At most one of `json`, `form` and `body`. */
export interface Call {
  method?: string;
  token?: string;
  headers?: Record<string, string | string[]>;
  json?: unknown;
  form?: Record<string, string> | [string, string][] | URLSearchParams;
  body?: string | Uint8Array;
  agent?: Agent;
  timeoutSeconds?: number;
}

const oneConnectionEach = new Agent({ keepAlive: false });

/** The connection broke; `sawAnswer` tells whether a part of an answer had come. */
export class BrokenConnection extends Error {
  readonly code: string;
  readonly sawAnswer: boolean;
  readonly reusedSocket: boolean;
  constructor(url: string, cause: NodeJS.ErrnoException, details: { sawAnswer: boolean; reusedSocket: boolean }) {
    super(`${url}: ${cause.message}`, { cause });
    this.code = cause.code ?? 'unknown';
    this.sawAnswer = details.sawAnswer;
    this.reusedSocket = details.reusedSocket;
  }
}

/** Sends it; rejects with {@link BrokenConnection} when no whole answer came. */
export function call(url: string, options: Call = {}): Promise<Answer> {
  const { token, json, form, timeoutSeconds = 30 } = options;
  const payload =
    json !== undefined
      ? JSON.stringify(json)
      : form === undefined
        ? options.body
        : new URLSearchParams(form).toString();
  const type =
    json !== undefined ? 'application/json' : form === undefined ? undefined : 'application/x-www-form-urlencoded';
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(type === undefined ? {} : { 'content-type': type }),
    ...(payload === undefined ? {} : { 'content-length': String(Buffer.byteLength(payload)) }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    let sawAnswer = false;
    const sent = request(url, {
      method: options.method ?? (payload === undefined ? 'GET' : 'POST'),
      headers,
      agent: options.agent ?? oneConnectionEach,
    });
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new BrokenConnection(url, error, { sawAnswer, reusedSocket: sent.reusedSocket }));
    sent.setTimeout(timeoutSeconds * 1000, () => sent.destroy(new Error(`no answer in ${timeoutSeconds} s`)));
    sent.on('error', fail);
    sent.on('response', (response) => {
      sawAnswer = true;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          json: <T>() => JSON.parse(body) as T,
        });
      });
    });
    sent.end(payload);
  });
}
