/**
 * What arrives at the port besides good requests: broken HTTP, smuggling, slow and idle clients, callers without rights,
 * questions about what belongs to others, text made to look like a log. Numbers are those of docs/guides/assurance.md.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  type Administrator,
  administrator,
  authorizePath,
  createBrowser,
  createService,
  createUser,
  jwtPart,
  pkce,
  redirectUri,
  sealCredentials,
  signIn,
} from './support/client.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { until } from './support/conditions.ts';
import { createForge, type Forge } from './support/forge.ts';
import { type Answer, call } from './support/http.ts';
import { openConnection, type RawAnswer, sendRaw } from './support/raw.ts';

const password = 'a long enough passphrase of mine';

describe('hostile requests', () => {
  let cluster: Cluster;
  let forge: Forge;
  let url: string;
  let port: number;
  let host: string;
  let operatorToken: string;
  let acme: Administrator;
  let rival: Administrator;
  /** Sent at the beginning; looked at when its time is over. */
  let slowHead: Promise<RawAnswer>;

  before(async () => {
    cluster = await startCluster({ count: 1, logLevel: 'debug' });
    url = cluster.nodes[0]?.url ?? '';
    port = Number(new URL(url).port);
    host = `127.0.0.1:${port}`;
    operatorToken = (await signIn(url, cluster.operator)).access_token;
    acme = administrator(operatorToken, 'acme');
    rival = administrator(operatorToken, 'rival');
    for (const name of ['acme', 'rival']) {
      assert.equal((await call(`${url}/v1/organizations`, { token: operatorToken, json: { name } })).status, 201);
    }
    forge = await createForge(cluster);
    slowHead = sendRaw(port, `GET /livez HTTP/1.1\r\nHost: ${host}\r\nX-Slow: `, 60);
    slowHead.catch(() => undefined);
  });
  after(async () => {
    await forge?.close();
    await cluster?.close();
  });

  const member = async (admin: Administrator, roles: string[]) => {
    const user = { username: `user-${randomUUID()}`, password };
    const uid = await createUser(url, admin, { ...user, roles });
    return { ...user, uid, token: (await signIn(url, user)).access_token };
  };

  describe('44: broken, smuggling and oversized requests: 4xx within 3 s, never 5xx', () => {
    const json = 'Content-Type: application/json\r\n';
    const head = (first: string, ...lines: string[]) =>
      `${first}\r\nHost: ${host}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
    const inner = () => `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const cases = (): Record<string, string | Buffer> => ({
      'length and chunks': `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\n${json}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner()}`,
      'chunks twice': `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\n${json}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner()}`,
      'chunked, oddly spelled': `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\n${json}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner()}`,
      'chunked, with a space': `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\n${json}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner()}`,
      'two lengths': head('POST /v1/sessions HTTP/1.1', 'Content-Length: 5', 'Content-Length: 6') + 'aaaaaa',
      'a negative length': head('POST /v1/sessions HTTP/1.1', 'Content-Length: -1'),
      'a length with a plus': head('POST /v1/sessions HTTP/1.1', 'Content-Length: +5') + 'aaaaa',
      'a huge length': head('POST /v1/sessions HTTP/1.1', json.trim(), `Content-Length: ${'9'.repeat(30)}`),
      'a length beyond the limit': head('POST /v1/sessions HTTP/1.1', json.trim(), 'Content-Length: 99999999'),
      'a bad chunk size': `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\n${json}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      'a huge chunk size': `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\n${json}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
      'a long chunk extension': `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\n${json}Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(30_000)}\r\na\r\n0\r\n\r\n`,
      'a folded header': `GET /v1/me HTTP/1.1\r\nHost: ${host}\r\nX-A: a\r\n b\r\n\r\n`,
      'line feeds only': `GET /v1/me HTTP/1.1\nHost: ${host}\n\n`,
      'a lone carriage return': `GET /v1/me HTTP/1.1\r\nHost: ${host}\r\nX-A: a\rX-B: b\r\n\r\n`,
      'NUL in a header': `GET /v1/me HTTP/1.1\r\nHost: ${host}\r\nX-A: a\0b\r\n\r\n`,
      'no colon': `GET /v1/me HTTP/1.1\r\nHost: ${host}\r\nnonsense\r\n\r\n`,
      'an empty name': `GET /v1/me HTTP/1.1\r\nHost: ${host}\r\n: x\r\n\r\n`,
      'no Host': 'GET /v1/me HTTP/1.1\r\n\r\n',
      'two Hosts': `GET /v1/me HTTP/1.1\r\nHost: ${host}\r\nHost: evil.example\r\n\r\n`,
      'a foreign Host': 'GET /v1/me HTTP/1.1\r\nHost: evil.example\r\n\r\n',
      'a foreign Host on a page': 'GET /setup HTTP/1.1\r\nHost: evil.example\r\n\r\n',
      'a foreign Host in the address': 'GET http://evil.example/v1/me HTTP/1.1\r\nHost: evil.example\r\n\r\n',
      'a Host with a user': `GET /v1/me HTTP/1.1\r\nHost: ${host}@evil.example\r\n\r\n`,
      'an empty Host': 'GET /v1/me HTTP/1.1\r\nHost:\r\n\r\n',
      'a foreign forwarded host': head(
        'GET /v1/me HTTP/1.1',
        'X-Forwarded-Host: evil.example',
        'Forwarded: host=evil.example',
      ),
      'no version': 'GET /v1/me\r\n\r\n',
      'an unknown version': head('GET /v1/me HTTP/9.9'),
      'HTTP/2 without TLS': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'an unknown method': head('EVIL /v1/me HTTP/1.1'),
      TRACE: head('TRACE /v1/me HTTP/1.1'),
      CONNECT: 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n',
      'an upgrade': head('GET /v1/me HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'),
      'an asterisk': head('OPTIONS * HTTP/1.1'),
      TLS: Buffer.from('16030100c8010000c40303', 'hex'),
      noise: Buffer.from(Array.from({ length: 2048 }, (_, index) => (index * 37) % 256)),
      'a header of 20 KiB': head('GET /v1/me HTTP/1.1', `X-A: ${'a'.repeat(20_000)}`),
      'three thousand headers': head(
        'GET /v1/me HTTP/1.1',
        ...Array.from({ length: 3000 }, (_, index) => `X-${index}: a`),
      ),
      'an address of 30 KiB': head(`GET /${'a'.repeat(30_000)} HTTP/1.1`),
      'a query of 10 KiB': head(`GET /v1/users?cursor=${'a'.repeat(10_000)} HTTP/1.1`),
      'broken escapes': head('GET /v1/users/%zz HTTP/1.1'),
      'NUL in the address': head('GET /v1/users/%00 HTTP/1.1'),
      'broken UTF-8 in the address': head('GET /v1/users/%ff%fe HTTP/1.1'),
      'up and down': head('GET /v1/../../etc/passwd HTTP/1.1'),
      'up and down, escaped': head('GET /docs/static/..%2f..%2f..%2fpackage.json HTTP/1.1'),
      'a backslash': head('GET /v1\\me HTTP/1.1'),
      'a semicolon': head('GET /v1/me;/../users HTTP/1.1'),
      'two slashes': head('GET //v1//me HTTP/1.1'),
      'another case': head('GET /V1/ME HTTP/1.1'),
    });

    it('as bytes', async (t) => {
      const wrong: string[] = [];
      let slowest = 0;
      for (const [what, bytes] of Object.entries(cases())) {
        const answer = await sendRaw(port, bytes, 5);
        slowest = Math.max(slowest, answer.milliseconds);
        const [status] = answer.statuses;
        if (status === undefined ? !answer.closed : status < 400 || status > 499)
          wrong.push(`${what}: ${answer.text.slice(0, 200)}`);
        if (answer.milliseconds > 3000) wrong.push(`${what}: ${answer.milliseconds} ms`);
        if (answer.statuses.length > 1) wrong.push(`${what}: ${answer.statuses.join(' and ')}`);
        const unguarded = unguardedHeaders(answer);
        if (unguarded.length > 0) wrong.push(`${what}: without ${unguarded.join(', ')}`);
      }
      assert.deepEqual(wrong, []);
      t.diagnostic(`${Object.keys(cases()).length} forms, slowest ${Math.round(slowest)} ms`);
    });

    it('as bodies, at every kind of endpoint', async () => {
      const bodies: Record<string, { body: string | Buffer; headers: Record<string, string> }> = {
        '2 MiB': { body: `{"username":"${'x'.repeat(2 << 20)}"}`, headers: { 'content-type': 'application/json' } },
        deep: { body: `${'['.repeat(50_000)}${']'.repeat(50_000)}`, headers: { 'content-type': 'application/json' } },
        'deep objects': {
          body: '{"a":'.repeat(20_000) + '1' + '}'.repeat(20_000),
          headers: { 'content-type': 'application/json' },
        },
        wide: {
          body: JSON.stringify(Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`a${index}`, 1]))),
          headers: { 'content-type': 'application/json' },
        },
        'a long number': {
          body: `{"username":${'9'.repeat(100_000)}}`,
          headers: { 'content-type': 'application/json' },
        },
        'not UTF-8': { body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), headers: { 'content-type': 'application/json' } },
        'UTF-16': {
          body: Buffer.from('{"username":"a"}', 'utf16le'),
          headers: { 'content-type': 'application/json; charset=utf-16' },
        },
        compressed: {
          body: gzipSync('{"username":"a","password":"b"}'),
          headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        },
        'a prototype': {
          body: '{"__proto__":{"admin":true},"constructor":{"prototype":{}}}',
          headers: { 'content-type': 'application/json' },
        },
        'lone surrogates': {
          body: '{"username":"\\ud800","password":"\\udfff"}',
          headers: { 'content-type': 'application/json' },
        },
        NUL: { body: '{"username":"a\\u0000b","password":"c"}', headers: { 'content-type': 'application/json' } },
        XML: {
          body: '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
          headers: { 'content-type': 'application/xml' },
        },
        parts: {
          body: '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--',
          headers: { 'content-type': 'multipart/form-data; boundary=x' },
        },
        'many fields': {
          body: Array.from({ length: 5000 }, (_, index) => `a${index}=b`).join('&'),
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        },
        'nested fields': {
          body: `a${'[b]'.repeat(5000)}=c`,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        },
        'a null type': { body: '{}', headers: { 'content-type': '' } },
        'a strange type': { body: '{}', headers: { 'content-type': 'application/json; charset=evil; boundary="' } },
      };
      const paths = [
        '/v1/sessions',
        '/v1/sessions/refresh',
        '/oauth/token',
        '/oauth/par',
        '/oauth/introspect',
        '/setup',
        '/secret-server/token-exchange',
        '/v1/users',
        '/v1/declaration/apply',
      ];
      const wrong: string[] = [];
      for (const [what, { body, headers }] of Object.entries(bodies)) {
        for (const path of paths) {
          const authorized =
            path.startsWith('/v1/users') || path.startsWith('/v1/decl') ? { token: operatorToken } : {};
          const since = performance.now();
          const answer = await call(url + path, {
            method: 'POST',
            body,
            headers,
            ...authorized,
            timeoutSeconds: 5,
          }).catch(
            // The server may end the connection while a large body is still being sent.
            (error: Error) => error,
          );
          const took = performance.now() - since;
          const isRefused = answer instanceof Error ? what === '2 MiB' : answer.status >= 400 && answer.status < 500;
          if (!isRefused || took > 3000) {
            wrong.push(
              `${what} at ${path}: ${answer instanceof Error ? answer.message : `${answer.status} ${answer.body.slice(0, 150)}`}, ${Math.round(took)} ms`,
            );
          }
        }
      }
      assert.deepEqual(wrong, []);
    });

    it('and the memory returns', async (t) => {
      const before = await residentMegabytes(cluster.nodes[0]?.pid ?? 0);
      const body = `{"username":"${'x'.repeat(1_000_000)}"}`;
      for (let round = 0; round < 10; round += 1) {
        await Promise.all(
          Array.from({ length: 20 }, () =>
            call(`${url}/v1/sessions`, { body, headers: { 'content-type': 'application/json' } }),
          ),
        );
      }
      const after = await residentMegabytes(cluster.nodes[0]?.pid ?? 0);
      t.diagnostic(`${before} MB before, ${after} MB after 200 bodies of 1 MB`);
      assert.ok(after < before + 250, `${before} MB became ${after} MB`);
    });
  });

  it('46: slow clients and 1,000 idle connections leave the health answers at a second or less', async (t) => {
    const sockets: Socket[] = [];
    try {
      for (let batch = 0; batch < 10; batch += 1) {
        sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => openConnection(port)))));
      }
      const slowHead = `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\nX-Slow: `;
      const slowBody = `POST /v1/sessions HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"user`;
      for (const bytes of [slowHead, slowBody]) {
        sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => openConnection(port, bytes)))));
      }
      // Readers that ask and never read.
      const greedy = `GET /docs/json HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(4);
      for (const socket of await Promise.all(Array.from({ length: 20 }, () => openConnection(port, greedy)))) {
        socket.pause();
        sockets.push(socket);
      }
      const drip = setInterval(() => {
        for (const socket of sockets.slice(1000, 1200)) socket.write('a');
      }, 200);
      const times: number[] = [];
      for (let index = 0; index < 30; index += 1) {
        const since = performance.now();
        const answer = await call(`${url}/livez`, { timeoutSeconds: 5 });
        assert.equal(answer.status, 200);
        times.push(performance.now() - since);
      }
      clearInterval(drip);
      times.sort((one, other) => one - other);
      t.diagnostic(`median ${Math.round(times[15] ?? 0)} ms, slowest ${Math.round(times.at(-1) ?? 0)} ms`);
      assert.ok((times[27] ?? 0) <= 1000, `28 of 30 within ${times[27]} ms`);
      const token = (await signIn(url, cluster.operator)).access_token;
      assert.equal((await call(`${url}/v1/me`, { token })).status, 200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it('31: every operation refuses who is not known, not any more, or may not', async (t) => {
    const lowly = await member(acme, []);
    const claims = jwtPart(lowly.token);
    const now = Math.floor(Date.now() / 1000);
    const gone = await member(acme, ['admin']);
    assert.equal((await acme('POST', `${url}/v1/users/${gone.uid}/suspend`)).status, 200);
    const out = await member(acme, ['admin']);
    assert.equal((await call(`${url}/v1/sessions/current`, { method: 'DELETE', token: out.token })).status, 204);
    const callers: Record<string, { token?: string; expected: number[] }> = {
      nobody: { expected: [401] },
      noise: { token: 'abc.def.ghi', expected: [401] },
      expired: { token: await forge.sign({ payload: { ...claims, iat: now - 900, exp: now - 61 } }), expected: [401] },
      'not for us': {
        token: await forge.sign({ payload: { ...claims, aud: 'acme.other', jti: randomUUID() } }),
        expected: [401],
      },
      suspended: { token: gone.token, expected: [401] },
      'signed out': { token: out.token, expected: [401] },
      'without roles': { token: lowly.token, expected: [403] },
      'roles only in the token': {
        token: await forge.sign({ payload: { ...claims, roles: ['admin'], jti: randomUUID() } }),
        expected: [403],
      },
    };
    const { paths } = (await call(`${url}/docs/json`)).json<{
      paths: Record<string, Record<string, { security?: unknown[]; 'x-permission'?: string }>>;
    }>();
    const wrong: string[] = [];
    let tried = 0;
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if ((operation.security ?? []).length === 0) continue;
        for (const [who, { token, expected }] of Object.entries(callers)) {
          if (expected.includes(403) && operation['x-permission'] === undefined) continue;
          const answer = await call(url + path.replaceAll(/\{[a-z_]+\}/gi, 'x'), {
            method: method.toUpperCase(),
            ...(token === undefined ? {} : { token }),
            ...(['post', 'put', 'patch'].includes(method) ? { json: {} } : {}),
          });
          tried += 1;
          if (!expected.includes(answer.status)) wrong.push(`${method} ${path} for ${who}: ${answer.status}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(tried > 250, `${tried}`);
    t.diagnostic(`${tried} pairs of operation and caller`);
  });

  it('32: what another tenant has and what nobody has are answered alike', async () => {
    const asker = administrator((await member(acme, ['admin'])).token);
    const theirs = await member(rival, ['admin']);
    await createService(url, rival, 'hidden', { grants: ['client_credentials'], roles: ['reader'] });
    assert.equal(
      (await rival('POST', `${url}/v1/roles`, { name: 'hidden-role', permissions: ['users:read'] })).status,
      201,
    );
    const session = String(jwtPart(theirs.token)['sid']);
    const pairs: [string, string, string, unknown?][] = [
      ['GET', `/v1/users/${theirs.uid}`, '/v1/users/usr_01m828jp5ms3n2hw9qyjjgye1p'],
      ['PATCH', `/v1/users/${theirs.uid}`, '/v1/users/usr_01m828jp5ms3n2hw9qyjjgye1p', { roles: [] }],
      ['POST', `/v1/users/${theirs.uid}/suspend`, '/v1/users/usr_01m828jp5ms3n2hw9qyjjgye1p/suspend'],
      ['POST', `/v1/users/${theirs.uid}/archive`, '/v1/users/usr_01m828jp5ms3n2hw9qyjjgye1p/archive'],
      ['POST', `/v1/users/${theirs.uid}/restore`, '/v1/users/usr_01m828jp5ms3n2hw9qyjjgye1p/restore'],
      ['POST', `/v1/users/${theirs.uid}/password`, '/v1/users/usr_01m828jp5ms3n2hw9qyjjgye1p/password', { password }],
      ['GET', '/v1/services/hidden', '/v1/services/absent'],
      ['PATCH', '/v1/services/hidden', '/v1/services/absent', { first_party: true }],
      ['DELETE', '/v1/services/hidden', '/v1/services/absent'],
      ['POST', '/v1/services/hidden/secrets', '/v1/services/absent/secrets', {}],
      ['GET', '/v1/roles/hidden-role', '/v1/roles/absent-role'],
      ['DELETE', '/v1/roles/hidden-role', '/v1/roles/absent-role'],
      ['GET', '/v1/organizations/rival', '/v1/organizations/other'],
      ['DELETE', `/v1/sessions/${session}`, '/v1/sessions/ses_01m828jp5ms3n2hw9qyjjgye1p'],
      ['GET', `/v1/sessions?user=${theirs.uid}`, '/v1/sessions?user=usr_01m828jp5ms3n2hw9qyjjgye1p'],
      ['GET', '/v1/keyrings/tokens-es256', '/v1/keyrings/tokens-es255'],
      ['GET', `/v1/audit?target=${theirs.uid}`, '/v1/audit?target=usr_01m828jp5ms3n2hw9qyjjgye1p'],
    ];
    for (const [method, there, nowhere, body] of pairs) {
      const [one, other] = [await asker(method, url + there, body), await asker(method, url + nowhere, body)];
      assert.ok([200, 404].includes(one.status), `${method} ${there}: ${one.status} ${one.body}`);
      // The name that was asked for may be repeated; both are as long.
      const last = (path: string) => path.split('/').at(-1) ?? '';
      assert.deepEqual(visible(one, last(there)), visible(other, last(nowhere)), `${method} ${there}`);
    }
    // Names in bodies and headers.
    const asked = async (name: string) => [
      visible(await asker('POST', `${url}/v1/users`, { username: randomUUID(), roles: [name] })).slice(0, 1),
      visible(
        await call(`${url}/v1/sessions`, {
          json: { username: theirs.username, password: 'wrong wrong wrong', organization: name },
        }),
      ),
    ];
    assert.deepEqual(await asked('hidden-role'), await asked('absent-role'));
    const header = async (organization: string) =>
      visible(
        await call(`${url}/v1/users`, { token: theirs.token, headers: { 'gatehouse-organization': organization } }),
      );
    assert.deepEqual(await header('acme'), await header('nothing'));
    const audience = async (name: string) =>
      visible(await call(`${url}/v1/sessions`, { json: { username: theirs.username, password, audience: [name] } }));
    await createService(url, acme, 'unseen', { grants: ['client_credentials'] });
    assert.deepEqual(await audience('acme.unseen'), await audience('acme.nothing'));
  });

  it('4: a name that exists and one that does not are answered alike, in every form of the sign-in', async () => {
    const known = await member(acme, []);
    // As long as a known name, so that what is shown again on the page is as long.
    const unknown = { username: `user-${randomUUID()}`, password: 'not the password of anybody' };
    const wrong = { username: known.username, password: unknown.password };
    const plain = (user: object) => call(`${url}/v1/sessions`, { json: user });
    assert.deepEqual(visible(await plain(wrong)), visible(await plain(unknown)));
    const sealed = async (user: typeof wrong) => plain({ credentials: await sealCredentials(url, user) });
    assert.deepEqual(visible(await sealed(wrong)), visible(await sealed(unknown)));
    const web = await createService(url, acme, 'web', { grants: ['authorization_code'], redirect_uris: [redirectUri] });
    const onPage = async (user: typeof wrong) => {
      const browser = createBrowser(url, cluster.publicUrl);
      const { page } = await browser.open(authorizePath({ client_id: web.clientId, code_challenge: pkce().challenge }));
      const again = (await browser.submit(page, user)).page;
      return [
        again.status,
        again.body.length,
        again.body.replaceAll(user.username, 'name').replaceAll(/[\w-]{22,}/g, '…'),
      ];
    };
    assert.deepEqual(await onPage(wrong), await onPage(unknown));
  });

  it('43: nothing a caller sends ends a line of the log or of the audit, or steers a terminal', async () => {
    const evil = `evil\r\n{"level":"info","msg":"forged"}\n\u001b[2J\u2028\u202e${randomUUID()}`;
    const token = (await member(acme, ['admin'])).token;
    for (const answer of [
      await call(`${url}/v1/sessions`, { json: { username: evil, password: evil } }),
      await call(`${url}/v1/users`, { token, json: { username: evil } }),
      await call(`${url}/v1/services`, { token, json: { name: evil } }),
      await call(`${url}/v1/users/${encodeURIComponent(evil)}`, { token }),
      await call(`${url}/${encodeURIComponent(evil)}`, { token }),
      await call(`${url}/oauth/token`, { form: { grant_type: evil, client_id: evil, client_secret: evil } }),
      await call(`${url}/v1/me`, { headers: { authorization: 'Bearer \u001b[31m', 'user-agent': 'a\tb' } }).catch(
        () => undefined,
      ),
    ]) {
      assert.ok(answer === undefined || (answer.status >= 400 && answer.status < 500), answer?.body);
    }
    // What may be stored with such text in it: a user agent with what a header can carry.
    const agent = `agent-${randomUUID()} \u00ff{"level":"fatal"}`;
    const noted = await call(`${url}/v1/sessions`, {
      json: { username: 'x', password: evil },
      headers: { 'user-agent': agent },
    });
    assert.equal(noted.status, 401);
    await until('it is in the log', () => cluster.output().includes('"status":401'));
    for (const line of cluster.output().split('\n').filter(Boolean)) {
      if (line.startsWith('Gatehouse is ready')) continue;
      assert.doesNotThrow(() => JSON.parse(line), line);
      assert.doesNotMatch(line, /\p{Cc}/u);
      assert.notEqual((JSON.parse(line) as { msg?: string }).msg, 'forged');
    }
    await until('it is sealed', async () => {
      const page = await call(`${url}/v1/audit?organization=*&limit=1`, { token: operatorToken });
      return page.json<{ items: { sequence?: number }[] }>().items[0]?.sequence !== undefined;
    });
    const { body } = await call(`${url}/v1/audit/export`, { token: operatorToken });
    const lines = body.split('\n').filter(Boolean);
    for (const line of lines) {
      assert.doesNotThrow(() => JSON.parse(line), line);
      assert.doesNotMatch(line, /[\p{Cc}\u2028\u2029\u202a-\u202e]/u);
    }
    const sequences = lines.map((line) => (JSON.parse(line) as { sequence: number }).sequence);
    assert.deepEqual(
      sequences,
      sequences.map((_, index) => index + 1),
    );
  });

  it('46: who sends a head too slowly is told so, and let go', async () => {
    const slow = await slowHead;
    assert.deepEqual(slow.statuses, [408]);
    assert.match(slow.text, /kernel\.request_timeout/);
  });

  it('55: pages and errors of every kind carry the headers that guard them', async () => {
    for (const path of [
      '/',
      '/setup',
      '/nothing',
      '/v1/me',
      '/livez',
      '/docs',
      '/docs/json',
      '/oauth/authorize',
      '/oauth/interaction/x',
      '/oauth/logout',
      '/oauth/token',
      '/oauth/nothing',
      '/.well-known/openid-configuration',
      '/.well-known/jwks.json',
      '/pop',
      '/assets/style.css',
      '/v1/users/%zz',
      '/readyz',
      '/ping',
    ]) {
      const answer = await call(url + path);
      const policy = String(answer.headers['content-security-policy']);
      assert.ok(answer.status < 500, `${path}: ${answer.status}`);
      assert.match(policy, /frame-ancestors 'none'/, path);
      assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/, path);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff', path);
      assert.equal(answer.headers['x-powered-by'], undefined, path);
      assert.equal(answer.headers['server'], undefined, path);
    }
  });

  it('56: through all of this, no 5xx', () => {
    const statuses = [...cluster.output().matchAll(/"status":(\d{3})/g)].map((match) => Number(match[1]));
    assert.ok(statuses.length > 500, `${statuses.length}`);
    assert.deepEqual([...new Set(statuses.filter((status) => status >= 500))], []);
    assert.doesNotMatch(cluster.output(), /"level":"(error|fatal)"/);
  });
});

/** Guarding headers that an answer of the raw port lacks. */
function unguardedHeaders({ statuses, text }: RawAnswer): string[] {
  if (statuses.length === 0) return [];
  const wanted = ['content-security-policy', 'x-content-type-options', 'cache-control'];
  return wanted.filter((name) => !text.toLowerCase().includes(`\r\n${name}: `));
}

/** What a caller can see of an answer, without what is new in each. */
function visible(answer: Answer, name = 'no name'): unknown[] {
  const { date: _date, 'x-request-id': _id, 'set-cookie': _cookie, ...headers } = answer.headers;
  return [answer.status, answer.body.replaceAll(/req_[0-9a-z]{26}/g, 'req').replaceAll(name, 'name'), headers];
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}
