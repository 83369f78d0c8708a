/** What the journeys ask of a server: administration, sign-in, the OAuth endpoints, and a browser without scripts. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { encryptCompactJwe, judgeJwks } from '@gatehouse/crypto';
import { type Answer, type Call, call } from './http.ts';

/** The answer of a token endpoint. */
export interface Tokens {
  access_token: string;
  refresh_token: string;
  id_token?: string;
  scope: string;
  expires_in: number;
}

/** A service with the secret it was given. */
export interface TestService {
  clientId: string;
  secret: string;
}

export const redirectUri = 'https://app.acme.example/callback';
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
export const userSecretType = 'urn:gatehouse:params:oauth:token-type:user-secret';

/** Signs in; asserts success. */
export async function signIn(
  url: string,
  user: { username: string; password: string },
  more: object = {},
): Promise<Tokens> {
  const { username, password } = user;
  const answer = await call(`${url}/v1/sessions`, { json: { username, password, ...more } });
  assert.equal(answer.status, 200, `${user.username} signs in: ${answer.body}`);
  return answer.json<Tokens>();
}

/** Seals name and password to a `/pop` key of the server. */
export async function sealCredentials(url: string, user: { username: string; password: string }): Promise<string> {
  const keys = judgeJwks((await call(`${url}/pop`)).body, { use: 'enc' }).keys;
  const key = keys.find((one) => one.algorithms.includes('RSA-OAEP-256'));
  assert.ok(key, 'the server publishes an RSA encryption key');
  return encryptCompactJwe({ jwk: key.jwk, alg: 'RSA-OAEP-256', plaintext: JSON.stringify(user), cty: 'json' });
}

/** A caller with a token, acting in an organization. */
export function administrator(token: string | (() => Promise<string>), organization?: string) {
  return async (method: string, url: string, json?: unknown): Promise<Answer> =>
    call(url, {
      method,
      token: typeof token === 'string' ? token : await token(),
      headers: organization === undefined ? {} : { 'gatehouse-organization': organization },
      ...(json === undefined ? {} : { json }),
    });
}
export type Administrator = ReturnType<typeof administrator>;

/** Registers a service; asserts success. */
export async function createService(
  url: string,
  admin: Administrator,
  name: string,
  settings: object,
): Promise<TestService> {
  const answer = await admin('POST', `${url}/v1/services`, { name, ...settings });
  assert.equal(answer.status, 201, `the service ${name}: ${answer.body}`);
  const body = answer.json<{ client_id: string; client_secret?: string }>();
  return { clientId: body.client_id, secret: body.client_secret ?? '' };
}

/** Creates a user; asserts success. Returns the uid. */
export async function createUser(
  url: string,
  admin: Administrator,
  user: { username: string; password?: string; roles?: string[] },
): Promise<string> {
  const answer = await admin('POST', `${url}/v1/users`, user);
  assert.equal(answer.status, 201, `the user ${user.username}: ${answer.body}`);
  return answer.json<{ uid: string }>().uid;
}

/** HTTP Basic as RFC 6749 §2.3.1 has it. */
export function basic({ clientId, secret }: TestService): string {
  const encode = (text: string) => encodeURIComponent(text).replace(/%20/g, '+');
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString('base64')}`;
}

/** A form to an OAuth endpoint, with HTTP Basic when a service is given. */
export function post(url: string, form: NonNullable<Call['form']>, service?: TestService): Promise<Answer> {
  return call(url, { form, headers: service === undefined ? {} : { authorization: basic(service) } });
}

/** A token for the service itself. */
export async function clientCredentials(url: string, service: TestService, more: Record<string, string> = {}) {
  const form = { grant_type: 'client_credentials', scope: 'gatehouse', ...more };
  const answer = await post(`${url}/oauth/token`, form, service);
  assert.equal(answer.status, 200, `client credentials of ${service.clientId}: ${answer.body}`);
  return answer.json<Tokens>().access_token;
}

/** A PKCE pair (RFC 7636). */
export function pkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

/** The path of an authorization request. */
export function authorizePath(parameters: Record<string, string>): string {
  const query = new URLSearchParams({
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile gatehouse',
    state: 'state-1',
    code_challenge_method: 'S256',
    ...parameters,
  });
  return `/oauth/authorize?${query.toString()}`;
}

/** A browser without scripts at one node: it keeps cookies and follows redirects below `/oauth`. */
export function createBrowser(nodeUrl: string, publicUrl: string, seen: (answer: Answer) => void = () => undefined) {
  const cookies = new Map<string, string>();
  const send = async (path: string, options: Call = {}): Promise<Answer> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...options.headers, ...(cookie === '' ? {} : { cookie }) };
    const answer = await call(nodeUrl + path, { ...options, headers });
    seen(answer);
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      const value = pair.slice(at + 1);
      if (value === '' || /expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(pair.slice(0, at));
      else cookies.set(pair.slice(0, at), value);
    }
    return answer;
  };
  /** Until a page comes, or a redirect leads out of `/oauth`. */
  const follow = async (first: Answer): Promise<{ page: Answer; location: string | undefined }> => {
    let current = first;
    for (let hops = 0; hops < 10; hops += 1) {
      const { location } = current.headers;
      if (location === undefined) return { page: current, location: undefined };
      const target = new URL(location, publicUrl);
      if (target.origin !== publicUrl || !target.pathname.startsWith('/oauth/')) return { page: current, location };
      current = await send(target.pathname + target.search);
    }
    throw new Error('too many redirects');
  };
  const submit = async (page: Answer, fields: Record<string, string>) => {
    const action = /<form[^>]* action="([^"]+)"/.exec(page.body)?.[1];
    assert.ok(action, `a form in this page: ${page.status} ${page.body}`);
    const hidden = [...page.body.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
    const form: [string, string][] = [
      ...hidden.map((match): [string, string] => [match[1] ?? '', match[2] ?? '']),
      ...Object.entries(fields),
    ];
    const target = new URL(action, publicUrl);
    return follow(await send(target.pathname + target.search, { form, headers: { origin: publicUrl } }));
  };
  return {
    cookies,
    send,
    submit,
    open: async (path: string) => follow(await send(path)),
    /** Signs in at the page of an authorization request and allows what is asked. Returns the redirect to the client. */
    async authorize(path: string, user: { username: string; password: string }): Promise<URL> {
      let step = await follow(await send(path));
      if (step.page.body.includes('type="password"')) step = await submit(step.page, user);
      if (step.page.body.includes('value="allow"')) step = await submit(step.page, { decision: 'allow' });
      assert.ok(step.location, `a redirect: ${step.page.status} ${step.page.body}`);
      return new URL(step.location);
    },
  };
}

/** A part of a JWT, not verified: 0 is the header, 1 the claims. */
export function jwtPart(token: string, index: 0 | 1 = 1): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString()) as Record<string, unknown>;
}
