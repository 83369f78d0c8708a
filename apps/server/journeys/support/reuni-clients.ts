/** Stands in for reuni-cli (Go) and reuni-ui (Rails): the same requests, byte for byte where it matters. */
import assert from 'node:assert/strict';
import { createServer, request, type Server } from 'node:http';

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read whatever the answer holds
  readonly json: any;
}

/** One request; the body is sent as it is, with the headers given and no others. */
export function send(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { ...headers, 'content-length': Buffer.byteLength(body) } }, (got) => {
      let text = '';
      got.setEncoding('utf8');
      got.on('data', (chunk: string) => {
        text += chunk;
      });
      got.on('end', () =>
        resolve({
          status: got.statusCode ?? 0,
          type: got.headers['content-type'] ?? '',
          body: text,
          get json() {
            return JSON.parse(text);
          },
        }),
      );
      got.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/**
 * The command line program. It sends no content type, always sends `Authorization: Bearer …` (empty before the first
 * sign-in), and at a 401 asks for a new token once and repeats the request, by then without its body.
 */
export function createReuniCli(host: string) {
  const files = { token: '', refresh: '' };
  const agent = { 'user-agent': 'Go-http-client/1.1', 'accept-encoding': 'gzip' };
  const bearer = (token: string) => ({ ...agent, authorization: `Bearer ${token}` });

  const call = async (method: string, path: string, payload?: unknown, token = files.token): Promise<Answer> => {
    const body = payload === undefined ? '' : JSON.stringify(payload);
    const answer = await send(method, host + path, bearer(token), body);
    if (answer.status !== 401) return answer;
    const renewed = await send('POST', `${host}/generateToken`, bearer(files.refresh));
    files.token = String(renewed.json.token ?? '');
    return send(method, host + path, bearer(files.token));
  };
  /** Of reads only 200 is accepted. */
  const fetchData = async (method: string, path: string, payload?: unknown, token?: string) => {
    const answer = await call(method, path, payload, token);
    assert.equal(answer.status, 200, `${path}: ${answer.body}`);
    return answer.json;
  };
  /** What the program prints for a write: a word of its own, or status and message of the error. */
  const write = async (method: string, path: string, payload: unknown, good: number): Promise<string> => {
    const answer = await call(method, path, payload);
    return answer.status === good ? 'done' : `HTTP Error ${answer.json.status}: ${answer.json.message}`;
  };

  return {
    files,
    signUp: (user: { name: string; username: string; password: string; email: string }) =>
      write('POST', '/signup', user, 201),
    async login(username: string, password: string) {
      const tokens = await fetchData('POST', '/login', { username, password }, '');
      Object.assign(files, { token: tokens.token, refresh: tokens.refresh_token });
    },
    organizationCreate: (name: string) => write('POST', '/organization', { name }, 201),
    organizationList: () => fetchData('GET', '/organization'),
    serviceCreate: (organization: string, name: string) => write('POST', `/${organization}/services`, { name }, 201),
    serviceList: (organization: string) => fetchData('GET', `/${organization}/services`),
    serviceDelete: (organization: string, name: string) => write('DELETE', `/${organization}/services`, { name }, 200),
    serviceToken: async (organization: string, service: string): Promise<string> =>
      (await fetchData('GET', `/${organization}/${service}/token`)).authorization_token,
    namespaceCreate: (path: string, namespace: string, configurations: Record<string, string>) =>
      write('POST', `/${path}/namespaces`, { namespace, configurations }, 201),
    namespaceList: (path: string) => fetchData('GET', `/${path}/namespaces`),
    configurationList: async (path: string): Promise<number[]> =>
      (await fetchData('GET', `/${path}/versions`)).versions,
    async configurationShow(path: string, version?: number) {
      const number = version ?? (await fetchData('GET', `/${path}/latest`)).version;
      return fetchData('GET', `/${path}/${number}`);
    },
    /** `configuration set`, and with no value `unset`: read the newest, change it, write all of it, name no parent. */
    async configurationSet(path: string, key: string, value?: string): Promise<string> {
      const { version } = await fetchData('GET', `/${path}/latest`);
      const { configuration } = await fetchData('GET', `/${path}/${version}`);
      if (value === undefined) delete configuration[key];
      else configuration[key] = value;
      return write('POST', `/${path}`, { configuration }, 201);
    },
  };
}

/** The web pages' server side: JSON content type on everything, tokens in cookies, the access token's for a minute. */
export function createReuniUi(host: string) {
  const cookies: { token?: string | undefined; refresh?: string | undefined } = {};
  const json = { 'content-type': 'application/json', 'user-agent': 'Ruby' };
  const headers = (more: Readonly<Record<string, string>> = {}) => ({
    ...json,
    authorization: `Bearer ${cookies.token ?? ''}`,
    ...more,
  });
  const get = (path: string) => send('GET', host + path, headers());
  const post = (path: string, body: unknown) => send('POST', host + path, headers(), JSON.stringify(body));
  /** As its `get_…` before each page: at a 401 a new token, which has to come with 201, and once more. */
  const page = async (path: string): Promise<Answer> => {
    const answer = await get(path);
    if (answer.status !== 401) return answer;
    const renewed = await send('POST', `${host}/generateToken`, {
      ...json,
      authorization: `Bearer ${cookies.refresh ?? ''}`,
    });
    if (renewed.status !== 201) throw new Error('redirect to the login page');
    cookies.token = renewed.json.token;
    return page(path);
  };
  return {
    /** The browser forgets the access token's cookie after a minute. */
    aMinutePasses: () => {
      cookies.token = undefined;
    },
    page,
    post,
    signUp: (user: object) => send('POST', `${host}/signup`, json, JSON.stringify(user)),
    async login(username: string, password: string): Promise<Answer> {
      const answer = await send('POST', `${host}/login`, json, JSON.stringify({ username, password }));
      Object.assign(cookies, { token: answer.json.token, refresh: answer.json.refresh_token });
      return answer;
    },
    changeMember: (method: 'PATCH' | 'DELETE', organization: string, body: unknown) =>
      send(
        method,
        `${host}/${organization}/member`,
        headers({ 'refresh-token': `Bearer ${cookies.refresh ?? ''}` }),
        JSON.stringify(body),
      ),
  };
}

/**
 * What the guide has a proxy do for the command line program, whose address is fixed: every path of it below `/reuni` of
 * the server.
 */
export async function startPrefixProxy(port: number, target: string): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, host: new URL(target).host };
    const forwarded = request(
      `${target}/reuni${incoming.url ?? ''}`,
      { method: incoming.method, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}
