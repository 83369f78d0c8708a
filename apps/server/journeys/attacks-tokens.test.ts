/**
 * Tokens that are not what they say, at every door that takes one, over HTTP. Those that carry a good signature are made
 * with the server's own keys, so that it is their content that is refused. Numbers are those of docs/guides/assurance.md.
 */
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import {
  type Administrator,
  accessTokenType,
  administrator,
  authorizePath,
  clientCredentials,
  createBrowser,
  createService,
  createUser,
  jwtPart,
  pkce,
  post,
  redirectUri,
  signIn,
  type TestService,
  type Tokens,
  tokenExchangeGrant,
} from './support/client.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { createForge, type Forge } from './support/forge.ts';
import { call } from './support/http.ts';

const password = 'a long enough passphrase of mine';
const jwtType = 'urn:ietf:params:oauth:token-type:jwt';

describe('tokens that are not what they say', () => {
  let cluster: Cluster;
  let forge: Forge;
  let url: string;
  let admin: Administrator;
  let operatorToken: string;
  let vault: TestService;
  let rival: TestService;
  let web: TestService;
  let alice: { username: string; password: string; uid: string };
  let tokens: Tokens;
  let claims: Record<string, unknown>;
  /** Somewhere that must never be asked. */
  let trap: Server;
  let trapUrl: string;
  let trapped = 0;
  const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  before(async () => {
    trap = createServer((_request, response) => {
      trapped += 1;
      const jwk = { ...attacker.publicKey.export({ format: 'jwk' }), kid: 'evil', alg: 'ES256', use: 'sig' };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
    trapUrl = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`;
    // The trap may be reached: that it is not asked is not the doing of the guard of outgoing requests.
    cluster = await startCluster({ count: 1, env: { GATEHOUSE_ALLOW_PRIVATE_NETWORKS: trapUrl } });
    url = cluster.nodes[0]?.url ?? '';
    operatorToken = (await signIn(url, cluster.operator)).access_token;
    admin = administrator(operatorToken, 'acme');
    const rivalAdmin = administrator(operatorToken, 'rival');
    for (const name of ['acme', 'rival']) {
      const made = await call(`${url}/v1/organizations`, { token: operatorToken, json: { name } });
      assert.equal(made.status, 201, made.body);
    }
    const { publicKey } = await generateKeyPair('RSA-OAEP-256', { extractable: true });
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'enc', use: 'enc', alg: 'RSA-OAEP-256' }] };
    const exchanging = { grants: ['client_credentials', 'token_exchange'], jwks };
    vault = await createService(url, admin, 'vault', exchanging);
    rival = await createService(url, rivalAdmin, 'vault', exchanging);
    web = await createService(url, admin, 'web', {
      grants: ['authorization_code', 'client_credentials'],
      redirect_uris: [redirectUri],
      first_party: true,
    });
    const user = { username: 'alice', password };
    alice = { ...user, uid: await createUser(url, admin, user) };
    tokens = await signIn(url, alice);
    claims = jwtPart(tokens.access_token);
    forge = await createForge(cluster);
  });
  after(async () => {
    trap?.close();
    await forge?.close();
    await cluster?.close();
  });

  /** Where an access token of a user is taken, and the answers that let it in. */
  const doors: Record<string, (token: string) => Promise<boolean>> = {
    'GET /v1/me': async (token) => (await call(`${url}/v1/me`, { token })).status === 200,
    'GET /oauth/userinfo': async (token) => (await call(`${url}/oauth/userinfo`, { token })).status === 200,
    'POST /oauth/introspect': async (token) =>
      (await post(`${url}/oauth/introspect`, { token }, vault)).json<{ active: boolean }>().active,
    subject_token: async (token) => (await exchange({ subject_token: token })).status === 200,
    'subject_token of type jwt': async (token) =>
      (await exchange({ subject_token: token, subject_token_type: jwtType })).status === 200,
    actor_token: async (token) => {
      const actor = { actor_token: token, actor_token_type: accessTokenType };
      return (await exchange({ subject_token: tokens.access_token, ...actor })).status === 200;
    },
    'POST /secret-server/token-exchange': async (token) => {
      const answer = await originalExchange(token);
      return answer.status === 200;
    },
  };
  const originalExchange = (token: string) =>
    call(`${url}/secret-server/token-exchange`, {
      headers: { authorization: `Bearer ${token.replaceAll(/[^\x21-\x7e]/g, '')}` },
      form: {
        grant_type: tokenExchangeGrant,
        subject_token: token,
        subject_token_type: jwtType,
        audience: 'acme.vault',
      },
    });
  const exchange = (form: Record<string, string>, service = vault) =>
    post(
      `${url}/oauth/token`,
      { grant_type: tokenExchangeGrant, subject_token_type: accessTokenType, ...form },
      service,
    );
  async function assertRefused(cases: Iterable<readonly [string, string]>, only = Object.keys(doors)): Promise<number> {
    const let_in: string[] = [];
    let tried = 0;
    for (const [what, token] of cases) {
      for (const door of only) {
        tried += 1;
        if (await doors[door]?.(token)) let_in.push(`${what} at ${door}`);
      }
    }
    assert.deepEqual(let_in, []);
    return tried;
  }

  it('a good token, ours or forged with our keys, is let in at every door', async () => {
    const forged = await forge.sign({ payload: { ...claims, jti: randomUUID() } });
    for (const [door, knock] of Object.entries(doors)) {
      assert.ok(await knock(tokens.access_token), door);
      assert.ok(await knock(forged), `${door}, forged`);
    }
  });

  describe('11 to 13: headers', () => {
    const b64 = (value: unknown) =>
      Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
    const header = () => jwtPart(tokens.access_token, 0);
    const payload = () => tokens.access_token.split('.')[1] ?? '';
    /** Signed by a key of the attacker. */
    const own = (changes: object) => {
      const input = `${b64({ ...header(), ...changes })}.${payload()}`;
      const signature = sign('sha256', Buffer.from(input), { key: attacker.privateKey, dsaEncoding: 'ieee-p1363' });
      return `${input}.${signature.toString('base64url')}`;
    };

    it('alg none in every spelling, and no alg', async () => {
      const [, , signature] = tokens.access_token.split('.');
      const cases: [string, string][] = [];
      for (const alg of ['none', 'None', 'NONE', 'nOnE', 'none ', ' none', '', null, 0, [], undefined]) {
        for (const end of ['', signature]) {
          cases.push([`alg ${JSON.stringify(alg)}`, `${b64({ ...header(), alg })}.${payload()}.${end}`]);
        }
      }
      await assertRefused(cases);
    });

    it('our public key as an HMAC secret', async () => {
      const { keys } = (await call(`${url}/.well-known/jwks.json`)).json<{ keys: Record<string, string>[] }>();
      const cases: [string, string][] = [];
      for (const jwk of keys) {
        const key = createPublicKey({ key: jwk, format: 'jwk' });
        const pem = (await call(`${url}/.well-known/jwks/${jwk['kid']}.pem`)).body;
        const secrets = [
          pem,
          pem.trim(),
          key.export({ type: 'spki', format: 'der' }),
          JSON.stringify(jwk),
          Buffer.from(jwk['x'] ?? jwk['n'] ?? '', 'base64url'),
          jwk['kid'] ?? '',
          '',
        ];
        for (const alg of ['HS256', 'HS384', 'HS512'] as const) {
          for (const secret of secrets) {
            const input = `${b64({ ...header(), alg, kid: jwk['kid'] })}.${payload()}`;
            const mac = createHmac(`sha${alg.slice(2)}`, secret)
              .update(input)
              .digest('base64url');
            cases.push([`${alg} with ${jwk['alg']}`, `${input}.${mac}`]);
          }
        }
      }
      await assertRefused(cases, ['GET /v1/me', 'subject_token']);
    });

    it('keys that the token brings along or points to; nothing is fetched', async () => {
      const jwk = attacker.publicKey.export({ format: 'jwk' });
      const x5c = [Buffer.from(attacker.publicKey.export({ type: 'spki', format: 'der' })).toString('base64')];
      const pointers: object[] = [
        { jwk },
        { jwk, kid: undefined },
        { jku: `${trapUrl}/jwks`, kid: 'evil' },
        { x5u: `${trapUrl}/cert`, kid: 'evil' },
        { x5c },
        { x5c, x5t: 'AAAA', kid: undefined },
        { kid: '../../../../dev/null' },
        { kid: "' or 1=1 --" },
        { kid: `${trapUrl}/jwks` },
        { kid: ['a'] },
        { kid: { $ne: null } },
        { kid: '__proto__' },
        { iss: trapUrl },
      ];
      await assertRefused(pointers.map((one) => [JSON.stringify(one), own(one)] as const));
      // Also when the claims name an issuer whose keys are at the trap: nobody registered it.
      const foreign = `${b64({ alg: 'ES256', typ: 'at+jwt', kid: 'evil' })}.${b64({ ...claims, iss: trapUrl })}`;
      const signature = sign('sha256', Buffer.from(foreign), { key: attacker.privateKey, dsaEncoding: 'ieee-p1363' });
      await assertRefused([['an issuer nobody trusts', `${foreign}.${signature.toString('base64url')}`]]);
      assert.equal(trapped, 0, 'the addresses in the token were asked');
      assert.match(cluster.output(), new RegExp(`"origins":\\["${trapUrl}"\\]`), '34: what is allowed is in the log');
    });

    it('crit, b64, nesting, other serializations, other spellings of a good token', async () => {
      const good = tokens.access_token;
      const [head = '', body = '', signature = ''] = good.split('.');
      const last = signature.at(-1) ?? '';
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const spelling = alphabet[(alphabet.indexOf(last) ^ 1) % 64] ?? 'A';
      const nested = await forge.sign({ header: { typ: 'JWT' }, payload: Buffer.from(good) });
      await assertRefused([
        ['unknown crit', own({ crit: ['evil'], evil: true })],
        ['empty crit', own({ crit: [] })],
        ['crit of exp', own({ crit: ['exp'], exp: 1 })],
        ['b64 false', own({ b64: false, crit: ['b64'] })],
        ['b64 false without crit', own({ b64: false })],
        ['nested', nested],
        ['cty JWT', own({ cty: 'JWT' })],
        ['zip', own({ zip: 'DEF' })],
        ['flattened JSON', JSON.stringify({ protected: head, payload: body, signature })],
        ['general JSON', JSON.stringify({ payload: body, signatures: [{ protected: head, signature }] })],
        ['padding', `${good}=`],
        ['unused bits', good.slice(0, -1) + spelling],
        ['a fourth part', `${good}.`],
        ['an encrypted form', `${good}.AAAA.AAAA`],
        ['no signature', `${head}.${body}.`],
        ['another signature', `${head}.${body}.${'A'.repeat(signature.length)}`],
        ['a zero signature', `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`],
        ['DER instead of P1363', derForm(good)],
        ['the algorithm of another key', `${b64({ ...header(), alg: 'RS256' })}.${body}.${signature}`],
        ['twice', `${good} ${good}`],
        ['URL escapes', good.replace('.', '%2e')],
        ['16 KiB', `${head}.${body}.${'A'.repeat(16_000)}`],
      ]);
    });
  });

  it('14, 15: claims and kinds, signed by our own keys', async (t) => {
    const now = Math.floor(Date.now() / 1000);
    const without = (name: string) => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
    const other = jwtPart((await signIn(url, cluster.operator)).access_token);
    const changed: [string, object][] = [
      ...['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'org'].map((name): [string, object] => [
        `without ${name}`,
        without(name),
      ]),
      ['without sid', without('sid')],
      ...[null, '9999999999', -1, 0, 1e300, [now + 600], { n: now + 600 }, true, now - 61].map(
        (exp): [string, object] => [`exp ${JSON.stringify(exp)}`, { ...claims, exp }],
      ),
      ...['0', null, {}, now + 90].map((nbf): [string, object] => [`nbf ${JSON.stringify(nbf)}`, { ...claims, nbf }]),
      ...['0', null, [], now + 90, 1e300].map((iat): [string, object] => [
        `iat ${JSON.stringify(iat)}`,
        { ...claims, iat },
      ]),
      ...[null, 1, {}, [], '', 'https://evil.example', ['https://evil.example'], [1]].map((aud): [string, object] => [
        `aud ${JSON.stringify(aud)}`,
        { ...claims, aud },
      ]),
      ...[`${cluster.publicUrl}/`, `${cluster.publicUrl}.`, 'http://localhost', [cluster.publicUrl], null, 1].map(
        (iss): [string, object] => [`iss ${JSON.stringify(iss)}`, { ...claims, iss }],
      ),
      ...[null, 1, '', [alice.uid], { uid: alice.uid }, 'nobody', other['sub']].map((sub): [string, object] => [
        `sub ${JSON.stringify(sub)}`,
        { ...claims, sub },
      ]),
      ...['ses_nobody', other['sid'], 1, null].map((sid): [string, object] => [
        `sid ${JSON.stringify(sid)}`,
        { ...claims, sid },
      ]),
      ...['rival', 'gatehouse', 1, null, ['acme']].map((org): [string, object] => [
        `org ${JSON.stringify(org)}`,
        { ...claims, org },
      ]),
      ['jti 1', { ...claims, jti: 1 }],
      ['client_id 1', { ...claims, client_id: 1 }],
      ['scope in a list', { ...claims, scope: ['gatehouse'] }],
      ['roles in a text', { ...claims, roles: 'admin' }],
      ['a user as a client', { ...claims, client_id: claims['sub'] }],
    ];
    const cases: [string, string][] = [];
    for (const [what, payload] of changed) cases.push([what, await forge.sign({ payload })]);
    for (const typ of [
      'JWT',
      'jwt',
      'logout+jwt',
      'client-authentication+jwt',
      'dpop+jwt',
      'gatehouse-checkpoint+jwt',
      '',
    ]) {
      cases.push([`typ ${typ}`, await forge.sign({ header: { typ }, payload: claims })]);
    }
    cases.push(['no typ', await forge.sign({ header: {}, payload: claims })]);
    cases.push(['the audit’s key', await forge.sign({ keyring: 'audit', payload: claims })]);
    for (const payload of ['[]', '"text"', 'null', '{', '', '{"iss":"a","iss":"b"}']) {
      cases.push([`claims ${payload}`, await forge.sign({ payload: Buffer.from(payload) })]);
    }
    const tried = await assertRefused(cases, [
      'GET /v1/me',
      'GET /oauth/userinfo',
      'POST /oauth/introspect',
      'subject_token',
    ]);
    t.diagnostic(`${cases.length} tokens at four doors: ${tried}`);
  });

  it('14: no kind of token is taken for another', async (t) => {
    const { verifier, challenge } = pkce();
    const codeOf = async () => {
      const path = authorizePath({ client_id: web.clientId, code_challenge: challenge });
      const target = await createBrowser(url, cluster.publicUrl).authorize(path, alice);
      return target.searchParams.get('code') ?? '';
    };
    const redeem = (code: string) =>
      post(
        `${url}/oauth/token`,
        { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier },
        web,
      );
    const byCode = (await redeem(await codeOf())).json<Tokens>();
    const exchanged = (await exchange({ subject_token: tokens.access_token })).json<Tokens>().access_token;
    const sealed = Object.values(jwtPart(exchanged)['secret'] as Record<string, string>)[0] ?? '';
    const kinds: Record<string, string> = {
      'access token': tokens.access_token,
      'refresh token of a session': tokens.refresh_token,
      'refresh token of a client': byCode.refresh_token,
      'ID token': byCode.id_token ?? '',
      'authorization code': await codeOf(),
      'exchanged token': exchanged,
      'exchanged token of the original form': (await originalExchange(tokens.access_token)).json<Tokens>().access_token,
      'sealed secret': sealed,
      'token of a service': await clientCredentials(url, vault),
      checkpoint: await forge.sign({
        keyring: 'audit',
        header: { typ: 'gatehouse-checkpoint+jwt' },
        payload: { ...claims, number: 1 },
      }),
      'client secret': vault.secret,
      'session id': String(claims['sid']),
      'token id': String(claims['jti']),
      'request id': 'req_01m828jp5ms3n2hw9qyjjgye1p',
    };
    for (const [kind, value] of Object.entries(kinds)) assert.ok(value, kind);
    const good: Record<string, string[]> = {
      'GET /v1/me': ['access token', 'token of a service'],
      // The token by code has its own door below; that of a session is one of a user who asked for openid.
      'GET /oauth/userinfo': ['access token'],
      subject_token: ['access token', 'exchanged token'],
      'subject_token of type jwt': ['access token', 'exchanged token'],
      actor_token: ['access token', 'exchanged token', 'token of a service'],
      'POST /secret-server/token-exchange': ['access token', 'exchanged token'],
      'POST /oauth/introspect': ['access token', 'exchanged token', 'token of a service'],
    };
    const clientForm = (form: Record<string, string>) => post(`${url}/oauth/token`, form, web);
    const more: Record<string, { takes: string[]; knock: (token: string) => Promise<boolean> }> = {
      'session refresh': {
        takes: ['refresh token of a session'],
        knock: async (token) =>
          (await call(`${url}/v1/sessions/refresh`, { json: { refresh_token: token.slice(0, 256) } })).status === 200,
      },
      'refresh grant': {
        takes: ['refresh token of a client'],
        knock: async (token) =>
          (await clientForm({ grant_type: 'refresh_token', refresh_token: token })).status === 200,
      },
      'code grant': { takes: ['authorization code'], knock: async (token) => (await redeem(token)).status === 200 },
      'client assertion': {
        takes: [],
        knock: async (token) => {
          const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
          const form = { grant_type: 'client_credentials', client_assertion_type: type, client_assertion: token };
          return (await post(`${url}/oauth/token`, form)).status === 200;
        },
      },
      'client secret': {
        takes: ['client secret'],
        knock: async (token) =>
          (await post(`${url}/oauth/token`, { grant_type: 'client_credentials' }, { ...vault, secret: token }))
            .status === 200,
      },
      'sealed credentials': {
        takes: [],
        knock: async (token) => (await call(`${url}/v1/sessions`, { json: { credentials: token } })).status === 200,
      },
      password: {
        takes: [],
        knock: async (token) =>
          (await call(`${url}/v1/sessions`, { json: { username: randomUUID(), password: token.slice(0, 1024) } }))
            .status === 200,
      },
    };
    const wrong: string[] = [];
    let tried = 0;
    const judge = (kind: string, door: string, takes: readonly string[], isIn: boolean) => {
      tried += 1;
      if (isIn !== takes.includes(kind)) wrong.push(`${kind} at ${door}: ${isIn ? 'let in' : 'refused'}`);
    };
    for (const [kind, token] of Object.entries(kinds)) {
      for (const [door, knock] of Object.entries(doors)) judge(kind, door, good[door] ?? [], await knock(token));
    }
    // These use up what they take, so they come last.
    for (const [door, { takes, knock }] of Object.entries(more)) {
      for (const [kind, token] of Object.entries(kinds)) judge(kind, door, takes, await knock(token));
    }
    assert.deepEqual(wrong, []);
    t.diagnostic(`${tried} pairs of kind and door`);
  });

  it('29: a token exchange gives nothing to another tenant, client or audience, nor for an ended or lesser token', async () => {
    const refusal = async (form: Record<string, string>, service = vault) => {
      const answer = await exchange(form, service);
      assert.equal(answer.status, 400, answer.body);
      return answer.json<{ error: string }>().error;
    };
    const now = Math.floor(Date.now() / 1000);
    const subject = tokens.access_token;
    assert.equal(await refusal({ subject_token: subject }, rival), 'invalid_grant', 'a service of another tenant');
    const lying = await forge.sign({ payload: { ...claims, aud: rival.clientId, org: 'acme' } });
    assert.equal(await refusal({ subject_token: lying }, rival), 'invalid_grant', 'whatever its audience');
    const elsewhere = (await signIn(url, alice, { audience: ['acme.web'] })).access_token;
    assert.equal(await refusal({ subject_token: elsewhere }), 'invalid_grant', 'meant for another service');
    assert.equal(await refusal({ subject_token: subject, audience: 'acme.web' }), 'invalid_target');
    assert.equal(await refusal({ subject_token: subject, audience: 'rival.vault' }), 'invalid_target');
    assert.equal(await refusal({ subject_token: subject, resource: 'https://evil.example' }), 'invalid_target');
    const unauthorized = await exchange({ subject_token: subject }, web);
    assert.equal(unauthorized.json<{ error: string }>().error, 'unauthorized_client', 'without the grant');
    assert.equal((await exchange({ subject_token: subject }, { ...vault, secret: rival.secret })).status, 401);
    const expired = await forge.sign({ payload: { ...claims, iat: now - 700, exp: now - 61 } });
    assert.equal(await refusal({ subject_token: expired }), 'invalid_grant', 'expired');
    assert.equal(await refusal({ subject_token: subject, scope: 'openid profile gatehouse admin' }), 'invalid_scope');
    assert.equal(
      await refusal({ subject_token: subject, requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' }),
      'invalid_request',
    );

    // Scope and life never grow, from step to step.
    const narrow = await exchange({ subject_token: subject, scope: 'openid' });
    assert.equal(narrow.json<Tokens>().scope, 'openid');
    const step = narrow.json<Tokens>().access_token;
    assert.equal(await refusal({ subject_token: step, scope: 'openid profile' }), 'invalid_scope', 'wider again');
    const again = jwtPart((await exchange({ subject_token: step })).json<Tokens>().access_token);
    assert.ok(Number(again['exp']) <= Number(claims['exp']), 'no longer life');

    // What ended gives nothing at once, in every way it can end. The token of the step dies with its session too.
    const ways: [string, (token: string, uid: string) => Promise<unknown>][] = [
      ['signed out', (token) => call(`${url}/v1/sessions/current`, { method: 'DELETE', token })],
      ['suspended', (_token, uid) => admin('POST', `${url}/v1/users/${uid}/suspend`)],
      ['archived', (_token, uid) => admin('POST', `${url}/v1/users/${uid}/archive`)],
      [
        'another password',
        (_token, uid) => admin('POST', `${url}/v1/users/${uid}/password`, { password: `${password} too` }),
      ],
      ['session revoked', (token) => admin('DELETE', `${url}/v1/sessions/${String(jwtPart(token)['sid'])}`)],
    ];
    for (const [way, end] of ways) {
      const user = { username: `ends-${randomUUID()}`, password };
      const uid = await createUser(url, admin, user);
      const token = (await signIn(url, user)).access_token;
      const before = await exchange({ subject_token: token });
      assert.equal(before.status, 200, before.body);
      await end(token, uid);
      assert.equal(await refusal({ subject_token: token }), 'invalid_grant', way);
      assert.equal(
        await refusal({ subject_token: before.json<Tokens>().access_token }),
        'invalid_grant',
        `${way}, next step`,
      );
    }

    // A chain of actors has an end.
    let chained = subject;
    let length = 0;
    for (; length < 50; length += 1) {
      const actor = { actor_token: await clientCredentials(url, vault), actor_token_type: accessTokenType };
      const answer = await exchange({ subject_token: chained, ...actor });
      if (answer.status !== 200) break;
      chained = answer.json<Tokens>().access_token;
    }
    assert.ok(length > 1 && length <= 10, `a chain of ${length} actors`);
  });

  it('30: introspection and revocation need a client, and tell nothing of what belongs to others', async () => {
    for (const path of ['/oauth/introspect', '/oauth/revoke']) {
      assert.equal((await post(url + path, { token: tokens.access_token })).status, 401);
      assert.equal(
        (await post(url + path, { token: tokens.access_token }, { ...vault, secret: rival.secret })).status,
        401,
      );
      assert.equal((await call(`${url}${path}?token=x`)).status, 404);
    }
    const ask = async (token: string, service: TestService) =>
      (await post(`${url}/oauth/introspect`, { token }, service)).body;
    assert.equal(await ask(tokens.access_token, rival), '{"active":false}');
    assert.equal(await ask(await clientCredentials(url, vault), rival), '{"active":false}');
    assert.equal(await ask('unknown', rival), '{"active":false}');
    const mine = await clientCredentials(url, vault);
    const byOther = await post(`${url}/oauth/revoke`, { token: mine }, rival);
    const unknown = await post(`${url}/oauth/revoke`, { token: 'unknown' }, rival);
    assert.deepEqual([byOther.status, byOther.body], [unknown.status, unknown.body]);
    assert.match(await ask(mine, vault), /"active":true/);
  });
});

/** The signature of an ES256 token in the other common form, which JWS does not know. */
function derForm(token: string): string {
  const [head, body, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const integer = (part: Buffer) => {
    const padded = (part[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), part]) : part;
    return Buffer.concat([Buffer.from([2, padded.length]), padded]);
  };
  const inside = Buffer.concat([integer(bytes.subarray(0, 32)), integer(bytes.subarray(32))]);
  return `${head}.${body}.${Buffer.concat([Buffer.from([0x30, inside.length]), inside]).toString('base64url')}`;
}
