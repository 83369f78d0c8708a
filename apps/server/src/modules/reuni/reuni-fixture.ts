import assert from 'node:assert/strict';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';

/** A long enough password of those who sign up in tests. */
export const reuniPassword = 'quiet lantern over nine hills';

/** An answer as a client of the original reads it. */
export interface ReuniAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read whatever the answer holds
  readonly json: any;
}

/** A node with the layer switched on. */
export interface ReuniFixture extends TestApp {
  /** A request below `/reuni`, with the bearer token and a JSON body when given. */
  call(method: Method, path: string, options?: { token?: string; body?: unknown; raw?: string }): Promise<ReuniAnswer>;
  /** Signs up and in. */
  person(username: string): Promise<{ token: string; refreshToken: string; id: number }>;
  /** An organization with a service, made by a person. */
  shop(token: string, organization: string, service: string): Promise<void>;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Starts the fixture. */
export async function createReuniFixture(options: Parameters<typeof createTestApp>[0] = {}): Promise<ReuniFixture> {
  const node = await createTestApp({ ...options, settings: { modules: ['reuni'], ...options.settings } });
  const call: ReuniFixture['call'] = async (method, path, { token, body, raw } = {}) => {
    const answer = await node.app.inject({
      method,
      url: `/reuni${path}`,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      // Without a content type, as the original's command line sends it.
      ...(raw === undefined && body === undefined ? {} : { payload: raw ?? JSON.stringify(body) }),
    });
    return {
      status: answer.statusCode,
      type: String(answer.headers['content-type']),
      text: answer.body,
      get json() {
        return JSON.parse(answer.body);
      },
    };
  };
  const person: ReuniFixture['person'] = async (username) => {
    const body = { name: `${username} by name`, username, password: reuniPassword, email: `${username}@example.com` };
    const made = await call('POST', '/signup', { body });
    assert.equal(made.status, 201, made.text);
    const session = await call('POST', '/login', { body: { username, password: reuniPassword } });
    assert.equal(session.status, 200, session.text);
    const { token, refresh_token: refreshToken } = session.json;
    const users = (await call('GET', '/users', { token })).json as { id: number; username: string }[];
    return { token, refreshToken, id: users.find((user) => user.username === username)?.id ?? 0 };
  };
  return {
    ...node,
    call,
    person,
    async shop(token, organization, service) {
      for (const [path, name] of [
        ['/organization', organization],
        [`/${organization}/services`, service],
      ] as const) {
        const made = await call('POST', path, { token, body: { name } });
        assert.equal(made.status, 201, made.text);
      }
    },
  };
}
