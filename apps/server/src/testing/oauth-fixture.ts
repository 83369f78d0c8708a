import { createHash, randomBytes } from 'node:crypto';
import { createFakeClock } from '@gatehouse/testkit';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import type { App } from '../kernel/index.ts';
import { createTestApp, type TestApp } from './test-app.ts';

/** A service made for a test. */
export interface TestService {
  clientId: string;
  secret: string;
}

/** An organization `acme` with users and services, on a node whose clock starts at the machine's time. */
export interface OauthFixture extends TestApp {
  readonly issuer: string;
  /** A JSON request of the operator, on behalf of `acme`. */
  admin(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): Promise<LightMyRequestResponse>;
  createService(name: string, settings: object): Promise<TestService>;
  createUser(username: string, roles?: string[]): Promise<{ uid: string; password: string }>;
  /** A form post to an OAuth endpoint, with HTTP Basic when a service is given. */
  post(
    path: string,
    form: Record<string, string> | URLSearchParams,
    service?: TestService,
    app?: App,
  ): Promise<LightMyRequestResponse>;
  /** Rows of the audit with this action, newest last. */
  audit(action: string): Promise<{ outcome: string; details: Record<string, unknown>; reason: string | null }[]>;
}

export const userPassword = 'a long enough passphrase of mine';
export const redirectUri = 'https://app.acme.example/callback';

export async function createOauthFixture(options: Parameters<typeof createTestApp>[0] = {}): Promise<OauthFixture> {
  const app = await createTestApp({ clock: createFakeClock(new Date()), ...options });
  let token = await app.operatorToken();
  let renewAt = app.clock.now().getTime() + 300_000;
  const admin: OauthFixture['admin'] = async (method, url, payload) => {
    if (app.clock.now().getTime() > renewAt) {
      token = await app.operatorToken();
      renewAt = app.clock.now().getTime() + 300_000;
    }
    const answer = await app.app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${token}`, 'gatehouse-organization': 'acme' },
      ...(payload === undefined ? {} : { payload }),
    });
    return answer;
  };
  const made = await app.app.inject({
    method: 'POST',
    url: '/v1/organizations',
    headers: { authorization: `Bearer ${token}` },
    payload: { name: 'acme' },
  });
  assertStatus(made, 201);
  return {
    ...app,
    issuer: app.settings.publicUrl,
    admin,
    async createService(name, settings) {
      const answer = await admin('POST', '/v1/services', { name, ...settings });
      assertStatus(answer, 201);
      const body = answer.json<{ client_id: string; client_secret?: string }>();
      return { clientId: body.client_id, secret: body.client_secret ?? '' };
    },
    async createUser(username, roles = []) {
      const answer = await admin('POST', '/v1/users', { username, password: userPassword, roles });
      assertStatus(answer, 201);
      return { uid: answer.json<{ uid: string }>().uid, password: userPassword };
    },
    post: (path, form, service, on = app.app) =>
      on.inject({
        method: 'POST',
        url: path,
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          ...(service === undefined ? {} : { authorization: basic(service) }),
        },
        payload: new URLSearchParams(form).toString(),
      }),
    async audit(action) {
      const { rows } = await app.db.pool.query<{
        outcome: string;
        details: Record<string, unknown>;
        reason: string | null;
      }>('select outcome, details, reason from audit.entries where action = $1 order by position', [action]);
      return rows;
    },
  };
}

/** HTTP Basic as RFC 6749 §2.3.1 has it. */
export function basic({ clientId, secret }: TestService): string {
  const encode = (text: string) => encodeURIComponent(text).replace(/%20/g, '+');
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString('base64')}`;
}

/** A PKCE pair (RFC 7636). */
export function pkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

/** A browser without scripts: it keeps cookies and follows redirects inside our origin. */
export function createBrowser(first: App, origin = 'http://127.0.0.1:8400') {
  const cookies = new Map<string, string>();
  let app = first;
  const send = async (request: InjectOptions): Promise<LightMyRequestResponse> => {
    const header = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await app.inject({
      ...request,
      headers: { ...request.headers, ...(header === '' ? {} : { cookie: header }) },
    });
    for (const cookie of answer.cookies) {
      if (cookie.value === '' || (cookie.expires && cookie.expires.getTime() < 1000)) cookies.delete(cookie.name);
      else cookies.set(cookie.name, cookie.value);
    }
    return answer;
  };
  /** Follows redirects until a page, or until one leads out of `/oauth`. */
  const follow = async (
    answer: LightMyRequestResponse,
  ): Promise<{ page: LightMyRequestResponse; location: string | undefined }> => {
    let current = answer;
    for (let hops = 0; hops < 10; hops += 1) {
      const { location } = current.headers;
      if (typeof location !== 'string') return { page: current, location: undefined };
      const url = new URL(location, 'http://127.0.0.1:8400');
      if (!url.pathname.startsWith('/oauth/')) return { page: current, location };
      current = await send({ method: 'GET', url: url.pathname + url.search });
    }
    throw new Error('too many redirects');
  };
  const submit = async (page: LightMyRequestResponse, fields: Record<string, string>) => {
    const action = /<form[^>]* action="([^"]+)"/.exec(page.body)?.[1];
    if (action === undefined) throw new Error(`no form in this page: ${page.statusCode} ${page.body}`);
    const hidden = [...page.body.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
    const form = new URLSearchParams([
      ...hidden.map((match) => [match[1] ?? '', match[2] ?? '']),
      ...Object.entries(fields),
    ] as [string, string][]);
    return follow(
      await send({
        method: 'POST',
        url: new URL(action, 'http://127.0.0.1:8400').pathname,
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin },
        payload: form.toString(),
      }),
    );
  };
  return {
    cookies,
    send,
    submit,
    /** From now on the requests go to another node. */
    use(other: App) {
      app = other;
    },
    open: async (path: string) => follow(await send({ method: 'GET', url: path })),
    /** Signs in at the page of an authorization request and allows what is asked. Returns the redirect to the client. */
    async authorize(path: string, user: { username: string; password: string }): Promise<URL> {
      let step = await follow(await send({ method: 'GET', url: path }));
      if (step.page.body.includes('type="password"')) step = await submit(step.page, user);
      if (step.page.body.includes('value="allow"')) step = await submit(step.page, { decision: 'allow' });
      if (step.location === undefined) throw new Error(`no redirect: ${step.page.statusCode} ${step.page.body}`);
      return new URL(step.location);
    },
  };
}

/** The path of an authorization request. */
export function authorizePath(parameters: Record<string, string>): string {
  return `/oauth/authorize?${new URLSearchParams({
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile',
    state: 'state-1',
    code_challenge_method: 'S256',
    ...parameters,
  }).toString()}`;
}

/** The payload of a JWT, not verified. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

function assertStatus(answer: LightMyRequestResponse, status: number): void {
  if (answer.statusCode !== status) throw new Error(`expected ${status}: ${answer.statusCode} ${answer.body}`);
}
