/**
 * Secrets go in, and are looked for everywhere they must not come out: logs of the server and of a backend at level
 * debug, answers, the audit trail, every table, and the bytes of the database's files with its write-ahead log.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type CryptoKey, compactDecrypt, exportJWK, generateKeyPair } from 'jose';
import { createGatehouse } from '../src/app.ts';
import { readSettings } from '../src/config.ts';
import { createLog, createSystemClock, createSystemRandom } from '../src/kernel/index.ts';
import { createCanaryWatch, type Sighting } from './support/canaries.ts';
import {
  accessTokenType,
  authorizePath,
  basic,
  createBrowser,
  pkce,
  redirectUri,
  sealCredentials,
  type TestService,
  type Tokens,
  tokenExchangeGrant,
  userSecretType,
} from './support/client.ts';
import { until } from './support/conditions.ts';
import { type Answer, type Call, call } from './support/http.ts';
import { freePort, type Program, processesOf, runProgram, startProgram } from './support/programs.ts';
import { connectionOf, findInTables } from './support/stored-data.ts';

describe('canaries', () => {
  const canaries = createCanaryWatch();
  /** A secret that somebody sends us: seen nowhere afterwards. */
  const canary = (what: string) => canaries.watch(what, randomBytes(24).toString('base64url'));
  /** Answers, and which values each one exists to hand out. */
  const answers: { label: string; text: string; gives: Set<string> }[] = [];
  const visible = `visible-${randomBytes(12).toString('hex')}`;
  const rootKey = randomBytes(32);
  const rootKeyText = rootKey.toString('base64url');
  let folder: string;
  let url: string;
  let recordsUrl: string;
  let server: Program;
  let records: Program;
  let serverEnv: Record<string, string>;
  let operatorToken: string;
  const operator = { username: 'root-operator', password: canary('password of the operator') };
  const alice = { username: 'alice', password: canary('password of alice') };

  const keep = (label: string, answer: Answer, gives: readonly string[] = []) => {
    answers.push({ label, text: `${JSON.stringify(answer.headers)}\n${answer.body}`, gives: new Set(gives) });
    return answer;
  };
  const ask = async (label: string, path: string, options: Call = {}, gives: readonly string[] = []) =>
    keep(label, await call(path.startsWith('http') ? path : url + path, options), gives);
  /** A value that this answer, and no other, may show. */
  const given = (what: string, value: string | undefined, answer: Answer): string => {
    assert.ok(value, `${what}: ${answer.status} ${answer.body}`);
    canaries.watch(what, value);
    answers.find(({ text }) => text.endsWith(answer.body))?.gives.add(what);
    return value;
  };
  const tokensOf = (whose: string, answer: Answer): Tokens => {
    assert.equal(answer.status, 200, `tokens ${whose}: ${answer.body}`);
    const tokens = answer.json<Tokens>();
    for (const name of ['access_token', 'id_token', 'refresh_token'] as const) {
      const value = tokens[name];
      if (value === undefined) continue;
      // Of a JWT its signature: what comes before it is alike in all tokens of a user, and is no secret without it.
      given(`${name} ${whose}`, value.split('.').at(-1), answer);
    }
    return tokens;
  };
  const asOperator = (more: Call = {}): Call => ({
    ...more,
    token: operatorToken,
    headers: { 'gatehouse-organization': 'acme', ...more.headers },
  });
  const asService = (service: TestService, form: Record<string, string>): Call => ({
    form,
    headers: { authorization: basic(service) },
  });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-canaries-'));
    const [port, recordsPort] = [await freePort(), await freePort()];
    url = `http://127.0.0.1:${port}`;
    recordsUrl = `http://127.0.0.1:${recordsPort}`;
    canaries.watch('root key', rootKey);
    canaries.watch('root key as text', rootKeyText);
    serverEnv = {
      GATEHOUSE_PORT: String(port),
      GATEHOUSE_DATA_DIR: join(folder, 'data'),
      GATEHOUSE_ROOT_KEY: rootKeyText,
      GATEHOUSE_ALLOW_PRIVATE_NETWORKS: recordsUrl,
      GATEHOUSE_LOG_LEVEL: 'debug',
    };
    server = await startProgram({
      name: 'The server',
      script: 'apps/server/src/main.ts',
      cwd: folder,
      env: serverEnv,
      readyText: /^Gatehouse is ready/m,
    });
  });
  after(async () => {
    if (records?.isRunning()) await records.kill();
    if (server?.isRunning()) await server.kill();
    await until('nothing is left running', async () => (await processesOf(folder)).size === 0, 60);
    await rm(folder, { recursive: true, force: true });
  });

  it('the first operator, by the one-time link', async () => {
    await until('the link is printed', () => server.output().includes('/setup#'));
    const code = canaries.watch('set-up code', /\/setup#([\w-]+)/.exec(server.output())?.[1] ?? '');
    const wrong = {
      code: canary('wrong set-up code'),
      username: 'x',
      password: canary('password with a wrong set-up code'),
    };
    // The form is shown again with what was typed into it, except the password.
    assert.equal((await ask('set-up with a wrong code', '/setup', { form: wrong }, ['wrong set-up code'])).status, 403);
    const weak = { code, username: 'root', password: 'password' };
    assert.equal((await ask('set-up with a weak password', '/setup', { form: weak }, ['set-up code'])).status, 400);
    assert.equal((await ask('set-up', '/setup', { form: { code, ...operator } })).status, 201);
    assert.equal((await ask('set-up again', '/setup', { form: { code, ...operator } })).status, 410);
    const answer = await ask('sign-in of the operator', '/v1/sessions', { json: operator });
    operatorToken = tokensOf('of the operator', answer).access_token;
  });

  it('a declaration with secrets, in both ways', async () => {
    const recordsSecret = canary('client secret of records');
    const declaration = {
      organizations: {
        acme: {
          services: {
            records: {
              pop_url: `${recordsUrl}/pop`,
              client_secret: recordsSecret,
              grants: ['client_credentials', 'token_exchange'],
            },
          },
          users: { alice: { password: alice.password }, [visible]: {} },
        },
      },
    };
    for (const step of ['plan', 'apply', 'apply']) {
      const answer = await ask(`declaration: ${step}`, `/v1/declaration/${step}`, {
        token: operatorToken,
        json: { declaration },
      });
      assert.equal(answer.status, 200, answer.body);
    }
    const broken = {
      organizations: {
        acme: {
          services: { other: { client_secret: `${canary('client secret in a broken declaration')} with a space` } },
          users: { bob: { password: [canary('password in a broken declaration')] } },
        },
      },
      trusted_issuers: { x: { issuer: canary('something in a broken declaration') } },
    };
    const refused = await ask('broken declaration', '/v1/declaration/apply', {
      token: operatorToken,
      json: { declaration: broken },
    });
    assert.equal(refused.status, 400);

    await writeFile(join(folder, 'records.secret'), recordsSecret, { mode: 0o600 });
    await writeFile(join(folder, 'operator.password'), operator.password, { mode: 0o600 });
    await writeFile(join(folder, 'bob.password'), canary('password of bob, by the command line'), { mode: 0o600 });
    await writeFile(
      join(folder, 'gatehouse.yaml'),
      'organizations:\n  acme:\n    users:\n      bob: { password_file: ./bob.password }\n',
    );
    for (const args of [
      ['login', '--username', operator.username, '--password-file', 'operator.password'],
      ['apply', '-f', 'gatehouse.yaml'],
      ['--json', 'apply', '-f', 'gatehouse.yaml'],
    ]) {
      const run = await runProgram('apps/cli/src/main.ts', args, {
        cwd: folder,
        env: { GATEHOUSE_URL: url, GATEHOUSE_CONFIG_DIR: join(folder, 'cli') },
      });
      assert.equal(run.exitCode, 0, run.output);
      answers.push({ label: `gatehouse ${args.join(' ')}`, text: run.output, gives: new Set() });
    }
    await mkdir(join(folder, 'records'));
    records = await startProgram({
      name: 'The records service',
      script: 'examples/records/src/main.ts',
      cwd: folder,
      env: {
        GATEHOUSE_ISSUER: url,
        GATEHOUSE_CLIENT_ID: 'acme.records',
        GATEHOUSE_CLIENT_SECRET_FILE: join(folder, 'records.secret'),
        RECORDS_PORT: new URL(recordsUrl).port,
        RECORDS_DATA_DIR: join(folder, 'records'),
        RECORDS_LOG_LEVEL: 'debug',
      },
      readyText: /^records: ready/m,
    });
  });

  const services: Record<'web' | 'vault', TestService> = {
    web: { clientId: '', secret: '' },
    vault: { clientId: '', secret: '' },
  };
  let vaultKey: CryptoKey;

  it('users, services and roles', async () => {
    const carol = { username: 'carol', password: canary('password of carol') };
    const made = await ask('create a user', '/v1/users', asOperator({ json: carol }));
    assert.equal(made.status, 201, made.body);
    const { uid } = made.json<{ uid: string }>();
    const path = `/v1/users/${uid}`;
    const fresh = { password: canary('new password of carol') };
    assert.equal((await ask('set a password', `${path}/password`, asOperator({ json: fresh }))).status, 204);
    const signedIn = await ask('sign-in of carol', '/v1/sessions', { json: { username: 'carol', ...fresh } });
    const tokens = tokensOf('of carol', signedIn);
    const own = { current_password: fresh.password, new_password: canary('own new password of carol') };
    const changed = await ask('change the own password', '/v1/me/password', {
      method: 'PUT',
      token: tokens.access_token,
      json: own,
    });
    assert.equal(changed.status, 204, changed.body);
    const wrong = {
      current_password: canary('wrong current password'),
      new_password: canary('new password not taken'),
    };
    const unchanged = await ask('change it with a wrong one', '/v1/me/password', {
      method: 'PUT',
      token: tokens.access_token,
      json: wrong,
    });
    assert.equal(unchanged.status, 401, unchanged.body);
    for (const [label, password] of [
      ['short', 'Zq9'],
      ['common', 'password123'],
      ['with the name', `acme-${carol.username}-2026`],
      ['too long', `${canary('password that is too long')}${'x'.repeat(1100)}`],
    ] as const) {
      const answer = await ask(
        `a password that is ${label}`,
        '/v1/users',
        asOperator({ json: { username: 'dave', password } }),
      );
      assert.equal(answer.status, 400, answer.body);
    }
    const both = {
      username: 'dave',
      password: canary('password beside a hash'),
      password_hash: canary('hash beside a password'),
    };
    assert.equal((await ask('password and hash', '/v1/users', asOperator({ json: both }))).status, 400);
    const noHash = { username: 'dave', password_hash: canary('password sent as a hash') };
    assert.equal((await ask('a hash that is none', '/v1/users', asOperator({ json: noHash }))).status, 400);

    const { publicKey, privateKey } = await generateKeyPair('RSA-OAEP-256', { extractable: true });
    vaultKey = privateKey;
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'vault-key', use: 'enc', alg: 'RSA-OAEP-256' }] };
    for (const [name, settings] of [
      ['web', { grants: ['authorization_code'], redirect_uris: [redirectUri] }],
      ['vault', { grants: ['client_credentials', 'token_exchange'], jwks }],
    ] as const) {
      const answer = await ask(
        `create the service ${name}`,
        '/v1/services',
        asOperator({ json: { name, ...settings } }),
      );
      assert.equal(answer.status, 201, answer.body);
      const body = answer.json<{ client_id: string; client_secret: string }>();
      services[name] = {
        clientId: body.client_id,
        secret: given(`client secret of ${name}`, body.client_secret, answer),
      };
      const added = await ask(`another secret for ${name}`, `/v1/services/${name}/secrets`, asOperator({ json: {} }));
      given(`second client secret of ${name}`, added.json<{ client_secret?: string }>().client_secret, added);
    }
    const privateJwk = await exportJWK(privateKey);
    canaries.watch('private key sent to us by mistake', privateJwk.d ?? '');
    const mistaken = { name: 'mistaken', jwks: { keys: [{ ...privateJwk, kid: 'x', use: 'enc' }] } };
    assert.equal((await ask('a private key in jwks', '/v1/services', asOperator({ json: mistaken }))).status, 400);
    for (const path of [
      '/v1/users?limit=200',
      '/v1/services?limit=200',
      '/v1/services/web',
      '/v1/roles',
      '/v1/keyrings',
    ]) {
      assert.equal((await ask(`GET ${path}`, path, asOperator())).status, 200);
    }
  });

  it('sign-in: plain, sealed, refreshed, wrong and broken', async () => {
    const plain = tokensOf('of alice', await ask('plain sign-in', '/v1/sessions', { json: alice }));
    const credentials = canaries.watch('sealed credentials', await sealCredentials(url, alice));
    const sealed = tokensOf('of alice, sealed', await ask('sealed sign-in', '/v1/sessions', { json: { credentials } }));
    const form = { refresh_token: plain.refresh_token };
    tokensOf('of alice, refreshed', await ask('refresh', '/v1/sessions/refresh', { json: form }));
    assert.equal(
      (await ask('sign out', '/v1/sessions/current', { method: 'DELETE', token: sealed.access_token })).status,
      204,
    );
    await ask('after the sign-out', '/v1/me', { token: sealed.access_token });
    await ask('refresh after it', '/v1/sessions/refresh', { json: { refresh_token: sealed.refresh_token } });
    await ask('sessions', '/v1/sessions', { token: plain.access_token });

    const c = (what: string) => canary(`${what}, refused`);
    const json = { 'content-type': 'application/json' };
    const refused: [string, Call][] = [
      ['wrong password', { json: { username: 'alice', password: c('wrong password') } }],
      ['unknown user', { json: { username: `nobody-${randomUUID()}`, password: c('password of nobody') } }],
      ['the password as the name', { json: { username: c('password typed as the name'), password: c('and again') } }],
      [
        'sealed, wrong',
        { json: { credentials: await sealCredentials(url, { username: 'alice', password: c('sealed') }) } },
      ],
      ['no JWE', { json: { credentials: c('password as credentials') } }],
      [
        'both forms',
        { json: { username: 'alice', password: c('beside credentials'), credentials: c('beside a password') } },
      ],
      ['an unknown member', { json: { username: 'alice', password: c('beside an unknown member'), x: c('unknown') } }],
      ['an array', { json: { username: ['alice'], password: [c('in an array')] } }],
      ['an object', { json: { username: 'alice', password: { value: c('in an object') } } }],
      ['cut off', { body: `{"username":"alice","password":"${c('in a body cut off')}`, headers: json }],
      ['no quotes', { body: `{"username":"alice","password":${c('without quotes')}}`, headers: json }],
      ['twice', { body: `{"password":"${c('twice')}","password":"${c('twice, second')}"}`, headers: json }],
      ['not an object', { body: `"${c('not an object')}"`, headers: json }],
      ['a raw line break', { body: `{"password":"\n${c('after a line break')}"}`, headers: json }],
      ['as text', { body: `alice ${c('as text')}`, headers: { 'content-type': 'text/plain' } }],
      ['as a form', { form: { username: 'alice', password: c('as a form'), x: c('as a form, unknown') } }],
      ['a wrong length', { body: `{"password":"${c('too long')}${'x'.repeat(2000)}"}`, headers: json }],
    ];
    for (const [label, options] of refused) {
      const answer = await ask(`sign-in: ${label}`, '/v1/sessions', { method: 'POST', ...options });
      assert.ok(answer.status >= 400 && answer.status < 500, `${label}: ${answer.status} ${answer.body}`);
    }
    await ask('an unknown refresh token', '/v1/sessions/refresh', { json: { refresh_token: c('refresh token') } });
    const headers: Record<string, string>[] = [
      { authorization: `Bearer ${c('bearer token')}` },
      { authorization: `Bearer eyJhbGciOiJub25lIn0.${c('token payload')}.` },
      { authorization: `Basic ${Buffer.from(`alice:${c('basic password')}`).toString('base64')}` },
      { authorization: c('authorization') },
      { authorization: `DPoP ${c('dpop token')}`, dpop: c('dpop proof') },
      { cookie: `session=${c('cookie')}`, 'x-api-key': c('api key'), 'x-request-id': c('request id') },
      { 'gatehouse-organization': c('organization') },
    ];
    for (const header of headers) {
      for (const path of [
        '/v1/me',
        `/v1/users?cursor=${c('cursor')}`,
        `/v1/me?access_token=${c('token in a query')}`,
      ]) {
        const answer = await ask(`headers ${Object.keys(header).join()}`, path, { headers: header });
        assert.ok([400, 401].includes(answer.status), `${path}: ${answer.status} ${answer.body}`);
      }
    }
    const withToken = { ...asOperator(), headers: { 'gatehouse-organization': c('organization of an operator') } };
    assert.equal((await ask('an organization that is none', '/v1/users', withToken)).status, 404);
    for (const path of [`/v1/users/${c('uid')}`, `/${c('path')}`, `/v1/audit?action=${c('query')}&limit=x`]) {
      const answer = await ask('a secret in the address', path, asOperator());
      assert.ok([400, 404].includes(answer.status), `${answer.status} ${answer.body}`);
    }
  });

  it('OAuth: code, refresh, introspection, revocation, logout, and what is refused', async () => {
    const { web, vault } = services;
    const { verifier, challenge } = pkce();
    canaries.watch('code verifier', verifier);
    const browser = createBrowser(url, url, (answer) => keep('in the browser', answer));
    const path = authorizePath({
      client_id: web.clientId,
      code_challenge: challenge,
      scope: 'openid profile offline_access',
      prompt: 'consent',
    });
    const first = await browser.open(path);
    const wrong = await browser.submit(first.page, {
      username: 'alice',
      password: canary('wrong password on the page'),
    });
    assert.ok(wrong.page.body.includes('type="password"'), 'asked again');
    let step = await browser.submit(wrong.page, alice);
    if (step.page.body.includes('value="allow"')) step = await browser.submit(step.page, { decision: 'allow' });
    for (const [name, value] of browser.cookies) {
      if (value.length < 16) continue;
      canaries.watch(`cookie ${name}`, value);
      for (const answer of answers) if (answer.text.includes(value)) answer.gives.add(`cookie ${name}`);
    }
    const code = new URL(step.location ?? url).searchParams.get('code') ?? '';
    canaries.watch('authorization code', code);
    for (const answer of answers) if (answer.text.includes(code)) answer.gives.add('authorization code');
    const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier };
    const redeemed = await ask('code', '/oauth/token', asService(web, form));
    const tokens = tokensOf('by code', redeemed);
    const again = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
    const refreshed = tokensOf('by refresh', await ask('refresh', '/oauth/token', asService(web, again)));
    await ask('userinfo', '/oauth/userinfo', { token: refreshed.access_token });
    for (const token of [
      tokens.access_token,
      refreshed.access_token,
      refreshed.refresh_token,
      canary('introspected'),
    ]) {
      await ask('introspection', '/oauth/introspect', asService(web, { token }));
      await ask('revocation', '/oauth/revoke', asService(web, { token }));
    }
    await ask('code again', '/oauth/token', asService(web, form));
    const idToken = { id_token_hint: tokens.id_token ?? '', state: 'x' };
    await ask('logout', `/oauth/logout?${new URLSearchParams(idToken).toString()}`);
    tokensOf(
      'of vault',
      await ask('client credentials', '/oauth/token', asService(vault, { grant_type: 'client_credentials' })),
    );

    const c = (what: string) => canary(`${what}, refused by OAuth`);
    const wrongSecret = { clientId: vault.clientId, secret: c('client secret') };
    const forms: [string, Call][] = [
      ['wrong secret', asService(wrongSecret, { grant_type: 'client_credentials' })],
      [
        'secret in the form',
        { form: { grant_type: 'client_credentials', client_id: vault.clientId, client_secret: c('posted secret') } },
      ],
      [
        'unknown client',
        asService({ clientId: 'acme.nobody', secret: c('secret of nobody') }, { grant_type: 'client_credentials' }),
      ],
      [
        'assertion',
        {
          form: {
            grant_type: 'client_credentials',
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
            client_assertion: `${c('a')}.${c('b')}.${c('c')}`,
          },
        },
      ],
      [
        'code',
        asService(web, {
          grant_type: 'authorization_code',
          code: c('code'),
          redirect_uri: redirectUri,
          code_verifier: c('verifier'),
        }),
      ],
      ['refresh token', asService(web, { grant_type: 'refresh_token', refresh_token: c('refresh token') })],
      ['grant', asService(web, { grant_type: c('grant type') })],
      ['password grant', asService(web, { grant_type: 'password', username: 'alice', password: c('password') })],
      [
        'subject token',
        asService(vault, {
          grant_type: tokenExchangeGrant,
          subject_token: c('subject token'),
          subject_token_type: accessTokenType,
        }),
      ],
      [
        'token type',
        asService(vault, {
          grant_type: tokenExchangeGrant,
          subject_token: c('subject'),
          subject_token_type: c('type'),
        }),
      ],
      ['scope', asService(vault, { grant_type: 'client_credentials', scope: `"${c('scope')}` })],
      [
        'twice',
        {
          ...asService(vault, {}),
          form: [
            ['grant_type', 'client_credentials'],
            ['grant_type', c('grant twice')],
          ],
        },
      ],
      [
        'JSON',
        {
          ...asService(vault, {}),
          body: JSON.stringify({ client_secret: c('in JSON') }),
          headers: { 'content-type': 'application/json' },
        },
      ],
    ];
    for (const [label, options] of forms) {
      const answer = await ask(`token endpoint: ${label}`, '/oauth/token', { method: 'POST', ...options });
      assert.ok([400, 401, 415].includes(answer.status), `${label}: ${answer.status} ${answer.body}`);
    }
    for (const parameters of [
      { client_id: c('client id') },
      { client_id: web.clientId, redirect_uri: `https://evil.example/${c('redirect')}` },
      { client_id: web.clientId, response_type: c('response type') },
      { client_id: web.clientId, request: c('request object') },
      { client_id: web.clientId, id_token_hint: c('hint'), prompt: 'none' },
    ]) {
      await ask('authorization refused', authorizePath({ code_challenge: challenge, ...parameters }));
    }
    const original = { subject_token: c('subject token, original form'), audience: 'acme.records' };
    await ask('the original exchange', '/secret-server/token-exchange', { json: original });
    await ask('the original exchange, form', '/secret-server/token-exchange', { form: original });
  });

  let secret: string;

  it('token exchange, and a backend that uses the secret', async () => {
    const signedIn = tokensOf('of alice, for the backend', await ask('sign-in', '/v1/sessions', { json: alice }));
    const form = {
      grant_type: tokenExchangeGrant,
      subject_token: signedIn.access_token,
      subject_token_type: accessTokenType,
    };
    const released = await ask(
      'release',
      '/oauth/token',
      asService(services.vault, { ...form, requested_token_type: userSecretType }),
    );
    assert.equal(released.status, 200, released.body);
    const { plaintext } = await compactDecrypt(released.json<Tokens>().access_token, vaultKey);
    secret = canaries.watch('user secret as text', Buffer.from(plaintext).toString());
    canaries.watch('user secret', Buffer.from(secret, 'base64url'));
    given('sealed user secret', released.json<Tokens>().access_token, released);
    tokensOf('by exchange', await ask('exchange', '/oauth/token', asService(services.vault, form)));

    const content = canary('content of a file');
    const upload: Call = {
      token: signedIn.access_token,
      body: content,
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', 'file-name': 'letter.txt' },
    };
    const stored = await ask('upload', `${recordsUrl}/files`, upload);
    assert.equal(stored.status, 201, stored.body);
    const { id } = stored.json<{ id: string }>();
    const read = await ask('download', `${recordsUrl}/files/${id}`, { token: signedIn.access_token });
    assert.equal(read.body, content);
    given('content of a file', content, read);
    for (const token of [canary('token at the backend'), `${signedIn.access_token.slice(0, -8)}AAAAAAAA`, undefined]) {
      const answer = await ask('refused by the backend', `${recordsUrl}/files`, token === undefined ? {} : { token });
      assert.equal(answer.status, 401);
    }
    const garbage: Call = {
      token: signedIn.access_token,
      body: canary('body that is no JWE'),
      headers: { 'content-type': 'application/jose' },
    };
    assert.ok((await ask('no JWE at the backend', `${recordsUrl}/files`, garbage)).status >= 400);
  });

  it('keys are rotated, a user is suspended, secrets are listed', async () => {
    for (const keyring of ['tokens-es256', 'pop']) {
      const rotated = await ask('rotate', `/v1/keyrings/${keyring}/rotate`, {
        token: operatorToken,
        json: { force: true },
      });
      assert.equal(rotated.status, 200, rotated.body);
    }
    for (const path of ['/.well-known/jwks.json', '/pop', '/v1/audit/keys', '/v1/keyrings']) {
      assert.equal((await ask(path, path, { token: operatorToken })).status, 200);
    }
    const users = (await ask('users', '/v1/users?limit=200', asOperator())).json<{
      items: { uid: string; username: string }[];
    }>();
    const uid = users.items.find((user) => user.username === 'bob')?.uid;
    assert.equal((await ask('suspend', `/v1/users/${uid}/suspend`, asOperator({ method: 'POST' }))).status, 200);
    await ask('secrets', '/v1/secrets', asOperator());
  });

  it('none in what the programs wrote, answered, or recorded', async (t) => {
    await until('everything is sealed', async () => {
      const page = await call(`${url}/v1/audit?organization=*&limit=1`, { token: operatorToken });
      return page.json<{ items: { sequence?: number }[] }>().items[0]?.sequence !== undefined;
    });
    const audit = await call(`${url}/v1/audit/export`, { token: operatorToken });
    assert.equal(audit.status, 200);
    assert.ok(audit.body.split('\n').length > 40, 'the export is there');
    const listed = await call(`${url}/v1/audit?organization=*&limit=200`, { token: operatorToken });
    assert.ok(listed.body.includes(visible), 'what may be seen is seen');
    assert.match(server.output(), /"level":"debug"/, 'the log is at level debug');
    assert.match(records.output(), /"level":20|incoming request/, 'the backend logs too');
    const printed = server.output().replace(/\/setup#[\w-]+/, '/setup#…');
    const sightings = [
      ...canaries.find(printed, 'output of the server'),
      ...canaries.find(records.output(), 'output of the records service'),
      ...canaries.find(audit.body, 'audit export'),
      ...canaries.find(listed.body, 'audit list'),
      ...answers.flatMap(({ label, text, gives }) =>
        canaries.find(text, `answer: ${label}`).filter(({ what }) => !gives.has(what)),
      ),
    ];
    assertNone(sightings);
    t.diagnostic(`${canaries.size()} values looked for in ${answers.length} answers`);
  });

  it('none in any table, and no private key in any of these places', async (t) => {
    const connectionString = await connectionOf(join(folder, 'data/postgres'));
    for (const [what, value] of await privateValues(connectionString, serverEnv)) canaries.watch(what, value);
    const { sightings, ...seen } = await findInTables(connectionString, canaries, visible);
    assert.ok(seen.tables > 20 && seen.rows > 100 && seen.sawVisible, JSON.stringify(seen));
    sightings.push(
      ...canaries.find(server.output().replace(/\/setup#[\w-]+/, ''), 'output of the server'),
      ...answers.flatMap(({ label, text, gives }) =>
        canaries.find(text, `answer: ${label}`).filter(({ what }) => !gives.has(what)),
      ),
    );
    assertNone(sightings);
    t.diagnostic(`${canaries.size()} values looked for in ${seen.rows} rows of ${seen.tables} tables`);
  });

  it('none in the bytes of the files', async (t) => {
    await records.stop();
    await server.stop(); // with a checkpoint: everything is in the files now
    const control = createCanaryWatch();
    control.watch('visible', visible);
    const inLog = await control.findInFiles(join(folder, 'data/postgres/cluster/pg_wal'));
    assert.ok(inLog.sightings.length > 0, 'what may be seen is seen in the write-ahead log');
    const inTables = await control.findInFiles(join(folder, 'data/postgres/cluster/base'));
    assert.ok(inTables.sightings.length > 0, 'and in the tables');
    const found = await canaries.findInFiles(join(folder, 'data'));
    // The backend keeps its own private keys there; of everything else it keeps nothing in the clear.
    const backend = await canaries.findInFiles(join(folder, 'records'));
    assertNone([...found.sightings, ...backend.sightings]);
    t.diagnostic(`${canaries.size()} values looked for in ${found.files} files, ${Math.round(found.bytes / 1e6)} MB`);
  });
});

function assertNone(sightings: readonly Sighting[]): void {
  const told = sightings.map(({ what, form, where }) => `${what} (${form}) in ${where}`);
  assert.deepEqual([...new Set(told)], []);
}

/** The private members of every stored key, opened as the server opens them. */
async function privateValues(
  connectionString: string,
  env: Record<string, string>,
): Promise<[string, string | Buffer][]> {
  const gatehouse = await createGatehouse({
    settings: readSettings({ ...env, GATEHOUSE_DATABASE_URL: connectionString }),
    connectionString,
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: createLog({ level: 'silent' }),
  });
  try {
    const { keys } = gatehouse.modules;
    return await gatehouse.db.read(async (tx) => {
      const rows = await tx
        .selectFrom('keys.keys')
        .innerJoin('keys.keyrings', 'keys.keyrings.name', 'keys.keys.keyring')
        .select(['keys.keys.kid', 'keys.keys.keyring', 'keys.keys.private_sealed', 'keys.keyrings.organization'])
        .execute();
      const values: [string, string | Buffer][] = [];
      for (const { kid, keyring, private_sealed: sealed, organization } of rows) {
        if (!sealed) continue;
        const place = { organization, schema: 'keys', table: 'keys', rowId: kid, owner: keyring };
        const jwk = JSON.parse(Buffer.from(await keys.open(tx, place, sealed)).toString()) as Record<string, string>;
        for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi']) {
          const value = jwk[member];
          if (value === undefined) continue;
          values.push([`${member} of a key of ${keyring}, as text`, value]);
          values.push([`${member} of a key of ${keyring}`, Buffer.from(value, 'base64url')]);
        }
      }
      assert.ok(values.length >= 20, `${values.length} private values`);
      return values;
    });
  } finally {
    await gatehouse.stop();
  }
}
