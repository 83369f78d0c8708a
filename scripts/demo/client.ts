/** The user's client in the demo: signs in, sends files, asks for them. And the check that everything is as told. */
import { sealTo } from '@gatehouse/sdk';

/** Something was not as the demo tells it. */
export class NotAsTold extends Error {}

/** Fails the demo unless the condition holds. */
export function check(condition: unknown, otherwise: string): asserts condition {
  if (condition === false || condition === undefined || condition === null) throw new NotAsTold(otherwise);
}

/** A complete answer. */
export interface Answer {
  status: number;
  headers: Headers;
  bytes: Buffer;
  json<T = Record<string, unknown>>(): T;
}

/** One request. */
export async function call(url: string, init: RequestInit & { token?: string } = {}): Promise<Answer> {
  const { token, headers, ...rest } = init;
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(url, {
    ...rest,
    headers: { ...authorization, ...(headers as Record<string, string> | undefined) },
    signal: AbortSignal.timeout(20_000),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    json: <T>() => JSON.parse(bytes.toString('utf8')) as T,
  };
}

/** A JSON body. */
export function jsonBody(value: unknown): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

/** The tokens of a session. */
export interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
  scope: string;
}

/** Signs in with sealed credentials and returns the tokens, or the answer if it is a refusal. */
export async function signIn(
  gatehouseUrl: string,
  username: string,
  password: string,
  audience?: string[],
): Promise<Tokens> {
  const credentials = await sealTo(`${gatehouseUrl}/pop`, { username, password });
  const answer = await call(`${gatehouseUrl}/v1/sessions`, jsonBody({ credentials, ...(audience && { audience }) }));
  check([200, 201].includes(answer.status), `${username} could not sign in: ${answer.bytes.toString()}`);
  return answer.json<Tokens>();
}

/** A file as the records service lists it. */
export interface ListedFile {
  id: string;
  name: string;
  size_bytes: number;
}

/** Sends a file sealed to the records service. */
export async function upload(
  recordsUrl: string,
  token: string,
  file: { name: string; bytes: Uint8Array },
): Promise<{ answer: Answer; sealed: string }> {
  const sealed = await sealTo(`${recordsUrl}/pop`, file.bytes);
  const headers = { 'content-type': 'application/jose', 'file-name': encodeURIComponent(file.name) };
  const answer = await call(`${recordsUrl}/files`, { method: 'POST', token, headers, body: sealed });
  return { answer, sealed };
}
