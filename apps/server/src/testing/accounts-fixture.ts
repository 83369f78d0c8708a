import assert from 'node:assert/strict';
import type { LightMyRequestResponse } from 'fastify';
import { createTestApp, type TestApp } from './test-app.ts';

/** A long enough password of test users. */
export const testPassword = 'seven quiet herons at dusk';

/** Answers of a request: status and body, whatever it is. */
export interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read whatever the answer holds
  readonly body: any;
  readonly raw: LightMyRequestResponse;
}

/** A node with the organizations `acme` and `globex`, and short ways to act on it. */
export interface AccountsFixture extends TestApp {
  /** A request with a token, on behalf of another organization when an operator names one. */
  call(method: Method, url: string, options?: CallOptions): Promise<Answer>;
  /** The same as the operator, on behalf of `acme`. */
  acme(method: Method, url: string, payload?: object): Promise<Answer>;
  /** Makes a user of an organization and signs it in. */
  member(username: string, roles: string[], organization?: string): Promise<Member>;
  signIn(username: string, password?: string): Promise<Answer>;
  /** Actions in the audit about a target, in the order they were written. */
  actionsOn(targetId: string): Promise<string[]>;
  readonly operator: string;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
interface CallOptions {
  token?: string | undefined;
  organization?: string | undefined;
  payload?: object | undefined;
  node?: Pick<TestApp, 'app'>;
}

/** A signed-in user. */
export interface Member {
  readonly uid: string;
  readonly token: string;
  readonly refreshToken: string;
}

/** Starts the fixture. */
export async function createAccountsFixture(
  options: Parameters<typeof createTestApp>[0] = {},
): Promise<AccountsFixture> {
  const node = await createTestApp(options);
  const operator = await node.operatorToken();

  const call: AccountsFixture['call'] = async (method, url, { token, organization, payload, node: on = node } = {}) => {
    const raw = await on.app.inject({
      method,
      url,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(organization === undefined ? {} : { 'gatehouse-organization': organization }),
      },
      ...(payload === undefined ? {} : { payload }),
    });
    const json = raw.headers['content-type']?.toString().includes('json');
    return { status: raw.statusCode, body: json ? raw.json() : raw.body, raw };
  };
  const signIn = (username: string, password = testPassword) =>
    call('POST', '/v1/sessions', { payload: { username, password } });

  for (const name of ['acme', 'globex']) {
    const made = await call('POST', '/v1/organizations', { token: operator, payload: { name } });
    assert.equal(made.status, 201, made.raw.body);
  }
  return {
    ...node,
    operator,
    call,
    acme: (method, url, payload) => call(method, url, { token: operator, organization: 'acme', payload }),
    async member(username, roles, organization = 'acme') {
      const payload = { username, password: testPassword, roles };
      const made = await call('POST', '/v1/users', { token: operator, organization, payload });
      assert.equal(made.status, 201, made.raw.body);
      const session = await signIn(username);
      assert.equal(session.status, 200, session.raw.body);
      return { uid: made.body.uid, token: session.body.access_token, refreshToken: session.body.refresh_token };
    },
    signIn,
    async actionsOn(targetId) {
      const { rows } = await node.db.pool.query<{ action: string }>(
        'select action from audit.entries where target_id = $1 order by position',
        [targetId],
      );
      return rows.map((row) => row.action);
    },
  };
}
