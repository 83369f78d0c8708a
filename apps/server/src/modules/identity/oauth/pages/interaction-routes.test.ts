import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  authorizePath,
  createBrowser,
  createOauthFixture,
  pkce,
  redirectUri,
  userPassword,
} from '../../../../testing/oauth-fixture.ts';

const host = 'id.acme.example';
const t = await createOauthFixture({ settings: { publicUrl: `https://${host}` } });
const alice = { username: 'alice', password: userPassword };
await t.createUser('alice');
const web = await t.createService('web', { grants: ['authorization_code'], redirect_uris: [redirectUri] });
const path = (extra: Record<string, string> = {}) =>
  authorizePath({ client_id: web.clientId, code_challenge: pkce().challenge, ...extra });

test('the sign-in page: one submit button, a password field, no script, a strict policy', async () => {
  const { page } = await createBrowser(t.app, t.issuer).open(path());
  assert.equal(page.statusCode, 200);
  assert.equal((page.body.match(/<button|type="submit"/g) ?? []).length, 2, 'one button, of type submit');
  assert.equal((page.body.match(/type="submit"/g) ?? []).length, 1);
  assert.match(page.body, /<input id="password" name="password" type="password"/);
  assert.match(page.body, /<label for="username">/);
  assert.match(page.body, /<html lang="en">/);
  assert.ok(!/<script|style=|onclick=|javascript:/.test(page.body));
  const policy = String(page.headers['content-security-policy']);
  assert.ok(!policy.includes('unsafe'));
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.match(policy, /form-action 'self' https:\/\/app\.acme\.example;/);
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  assert.equal(page.headers['cache-control'], 'no-store');
  assert.match(String(page.headers['strict-transport-security']), /max-age/);
});

test('cookies have the prefix __Host-, are signed, HttpOnly, Secure and SameSite=Lax, also in two tabs at once', async () => {
  const browser = createBrowser(t.app, t.issuer);
  const [one, two] = [await browser.open(path({ state: 'one' })), await browser.open(path({ state: 'two' }))];
  const answer = await browser.send({ method: 'GET', url: path() });
  const set = [answer.headers['set-cookie'] ?? []].flat();
  assert.ok(set.length >= 4);
  for (const cookie of set) {
    assert.match(cookie, /^__Host-gatehouse-/);
    for (const attribute of [/; path=\/(;|$)/i, /; httponly/i, /; secure/i, /; samesite=lax/i])
      assert.match(cookie, attribute);
    assert.ok(!/; domain=/i.test(cookie));
  }
  const finish = async (tab: typeof one) => {
    let step = await browser.submit(tab.page, alice);
    if (step.location === undefined) step = await browser.submit(step.page, { decision: 'allow' });
    return new URL(step.location ?? '');
  };
  assert.equal((await finish(one)).searchParams.get('state'), 'one');
  const second = await finish(two);
  assert.equal(second.searchParams.get('state'), 'two');
  assert.ok(second.searchParams.get('code'));
  assert.ok(browser.cookies.has('__Host-gatehouse-session'));
});

test('many sign-ins left open do not fill the browser with cookies', async () => {
  const browser = createBrowser(t.app, t.issuer);
  for (let index = 0; index < 20; index += 1) await browser.open(path());
  const open = [...browser.cookies.keys()].filter((name) => /interaction-[^.]+$/.test(name));
  assert.ok(open.length <= 7, String(open.length));
});

test('a new session id with each sign-in; a planted or changed cookie is worth nothing', async () => {
  const browser = createBrowser(t.app, t.issuer);
  browser.cookies.set('__Host-gatehouse-session', 'planted-by-an-attacker-0000000000000000000');
  const first = await browser.authorize(path(), alice);
  assert.ok(first.searchParams.get('code'));
  const one = browser.cookies.get('__Host-gatehouse-session');
  assert.notEqual(one, 'planted-by-an-attacker-0000000000000000000');
  const again = await browser.authorize(path({ prompt: 'login' }), alice);
  assert.ok(again.searchParams.get('code'));
  assert.notEqual(browser.cookies.get('__Host-gatehouse-session'), one);
  const thief = createBrowser(t.app, t.issuer);
  thief.cookies.set('__Host-gatehouse-session', browser.cookies.get('__Host-gatehouse-session') ?? '');
  thief.cookies.set('__Host-gatehouse-session.sig', 'AAAA');
  assert.match((await thief.open(path())).page.body, /type="password"/);
});

test('a form of another site, of another browser or of another step does nothing', async () => {
  const browser = createBrowser(t.app, t.issuer);
  const { page } = await browser.open(path());
  const action = /action="([^"]+)"/.exec(page.body)?.[1] ?? '';
  const token = /name="form_token" value="([^"]+)"/.exec(page.body)?.[1] ?? '';
  const send = (headers: Record<string, string>, form: Record<string, string>, from = browser, to = action) =>
    from.send({
      method: 'POST',
      url: to,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      payload: new URLSearchParams({ ...alice, ...form }).toString(),
    });
  const refused = [
    await send({}, {}),
    await send({}, { form_token: `${token}x` }),
    await send({ origin: 'https://evil.example' }, { form_token: token }),
    await send({}, { form_token: token }, createBrowser(t.app, t.issuer)),
    await send({}, { form_token: token, decision: 'allow' }, browser, action.replace('sign-in', 'consent')),
  ];
  for (const answer of refused) {
    assert.equal(answer.statusCode, 400);
    assert.match(answer.body, /expired/);
  }
});

test('a wrong password shows the page again, says nothing about the account, and forgets the password', async () => {
  const attempt = async (username: string) => {
    const browser = createBrowser(t.app, t.issuer);
    const { page } = await browser.open(path());
    const answer = await browser.submit(page, { username, password: 'canary-wrong-password' });
    assert.equal(answer.page.statusCode, 401);
    assert.equal(answer.page.headers['www-authenticate'], undefined);
    assert.ok(!answer.page.body.includes('canary-wrong-password'));
    return answer.page.body.replace(/interaction\/[^"/]+|value="[^"]*"/g, '');
  };
  assert.equal(await attempt('alice'), await attempt('nobody'));
  assert.ok((await t.audit('session.refused')).length >= 2);
});

test('cancelling leads back with access_denied', async () => {
  const browser = createBrowser(t.app, t.issuer);
  const { page } = await browser.open(path());
  const cancel = /href="([^"]+\/cancel)"/.exec(page.body)?.[1] ?? '';
  const { location } = await browser.open(cancel);
  assert.equal(new URL(location ?? '').searchParams.get('error'), 'access_denied');
});

test('the address of the server comes from its setting, whatever the request says', async () => {
  const answer = await t.app.inject({
    url: '/.well-known/openid-configuration',
    headers: { host, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' },
  });
  assert.equal(answer.statusCode, 200);
  assert.ok(!answer.body.includes('evil.example'));
  assert.equal(answer.json().token_endpoint, `https://${host}/oauth/token`);
  assert.equal((await t.app.inject({ url: '/oauth/authorize', headers: { host: 'evil.example' } })).statusCode, 421);
});

test('form_post answers on a page whose policy names the client', async () => {
  const browser = createBrowser(t.app, t.issuer);
  let step = await browser.open(path({ response_mode: 'form_post' }));
  step = await browser.submit(step.page, alice);
  const action = /action="([^"]+)"/.exec(step.page.body)?.[1] ?? '';
  const answer = await browser.send({
    method: 'POST',
    url: action,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({
      form_token: /name="form_token" value="([^"]+)"/.exec(step.page.body)?.[1] ?? '',
      decision: 'allow',
    }).toString(),
  });
  const page = await browser.send({ method: 'GET', url: new URL(String(answer.headers.location)).pathname });
  assert.equal(page.statusCode, 200);
  assert.match(page.body, new RegExp(`action="${redirectUri}"`));
  assert.match(String(page.headers['content-security-policy']), /form-action 'self' https:\/\/app\.acme\.example/);
  assert.match(String(page.headers['content-security-policy']), /script-src 'self';/, 'nothing inline');
  assert.match(page.body, /<button type="submit">Continue/, 'and a way on without scripts');
});

test('errors of pages are pages, with a reference and nothing of the request', async () => {
  const browser = createBrowser(t.app, t.issuer);
  const { page } = await browser.open(path());
  const action = /action="([^"]+)"/.exec(page.body)?.[1] ?? '';
  const answer = await browser.send({
    method: 'POST',
    url: action,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: `password=${'canary'.repeat(20_000)}`,
  });
  assert.equal(answer.statusCode, 413);
  assert.match(String(answer.headers['content-type']), /^text\/html/);
  assert.match(String(answer.headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/);
  assert.ok(answer.body.includes(String(answer.headers['x-request-id'])));
  assert.ok(!answer.body.includes('canary'));
});

test('the answers that oidc-provider writes carry our request id too', async () => {
  const answer = await createBrowser(t.app, t.issuer).send({ method: 'GET', url: '/oauth/authorize?client_id=nobody' });
  assert.equal(answer.statusCode, 400);
  assert.match(String(answer.headers['x-request-id']), /^req_/);
});
