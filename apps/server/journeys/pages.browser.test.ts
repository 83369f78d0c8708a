/**
 * Every page people see, in Chromium: accessible (WCAG 2.2 AA by axe-core) and whole at 320 px, light and dark; not to be
 * framed; repeating nothing of a request that was refused. And the page of the API description, under its policy.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { assertAccessible, assertFits, openWindow, startBrowser } from './support/browser.ts';
import { administrator, authorizePath, createService, createUser, pkce, post, signIn } from './support/client.ts';
import { call } from './support/http.ts';
import { type SingleServer, startSingleServer } from './support/single-server.ts';

const operator = { username: 'root-operator', password: 'seven quiet herons at dusk' };
/** The longest names there are, without a place to break them. */
const alice = { username: 'a'.repeat(60), password: 'four copper kettles boil over' };
const clientName = 'w'.repeat(63);
const redirectUri = 'https://app.acme.example/callback';
const signedOutUri = 'https://app.acme.example/signed-out';

let server: SingleServer;
let browser: Browser;
let clientId: string;

before(async () => {
  [server, browser] = await Promise.all([startSingleServer({ tls: false }), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

const authorization = (more: Record<string, string> = {}) =>
  `${server.publicUrl}${authorizePath({ client_id: clientId, code_challenge: pkce().challenge, scope: 'openid profile offline_access gatehouse', prompt: 'consent', ...more })}`;

async function userCode(): Promise<string> {
  const answer = await post(`${server.publicUrl}/oauth/device_authorization`, { client_id: clientId, scope: 'openid' });
  return answer.json<{ user_code: string }>().user_code;
}

/** Goes to every page; `look` is called at each. The set-up is used up by whoever comes first. */
async function visitAll(page: Page, look: (page: Page) => Promise<void>): Promise<string[]> {
  const seen: string[] = [];
  const at = async (heading: string) => {
    await page.locator('h1', { hasText: heading }).waitFor();
    seen.push(await page.title());
    await look(page);
  };
  await page.goto(authorization());
  await at('Sign in');
  await page.fill('#username', alice.username);
  await page.fill('#password', 'not the password');
  await page.click('button');
  await page.locator('[role=alert]').waitFor();
  await at('Sign in');
  await page.fill('#password', alice.password);
  await page.click('button');
  await at('Allow ');

  await page.goto(`${server.publicUrl}/oauth/device`);
  await at('Connect a device');
  await page.fill('#user_code', 'ZZZZ-ZZZZ');
  await page.click('button');
  await page.locator('[role=alert]').waitFor();
  await at('Connect a device');
  await page.fill('#user_code', await userCode());
  await page.click('button');
  await at('Is this your device?');
  await page.click('button[name=abort]');
  await at('Nothing was connected');
  await page.goto(`${server.publicUrl}/oauth/device?user_code=${await userCode()}`);
  await at('Is this your device?');
  await page.click('text=Continue');
  await page.click('button[value=allow]');
  await at('The device is connected');

  await page.goto(`${server.publicUrl}/oauth/logout?client_id=${encodeURIComponent(clientId)}`);
  await at('Sign out?');
  await page.click('button.secondary');
  await at('You are signed out');
  await page.goto(`${server.publicUrl}/oauth/logout`);
  await at('Sign out?');
  await page.click('button[value=yes]');
  await at('You are signed out');

  await page.goto(`${server.publicUrl}/oauth/authorize?client_id=nobody`);
  await at('This did not work');
  await page.goto(`${server.publicUrl}/oauth/interaction/nobodynobodynobody`);
  await at('This sign-in is over');
  await page.goto(`${server.publicUrl}/setup`);
  await at('The set-up is done');
  return seen;
}

it('the set-up pages are accessible', async () => {
  const { page, close } = await openWindow(browser, { viewport: { width: 320, height: 640 }, colorScheme: 'dark' });
  await page.goto(server.setupUrl);
  await assertAccessible(page);
  await page.fill('#username', operator.username);
  await page.fill('#password', 'short');
  await page.click('button');
  await page.locator('[role=alert]').waitFor();
  await assertAccessible(page);
  await page.fill('#password', operator.password);
  await page.click('button');
  await page.locator('h1', { hasText: 'The operator is created' }).waitFor();
  await assertAccessible(page);
  await close();

  const { publicUrl } = server;
  const token = async () => (await signIn(publicUrl, operator)).access_token;
  const created = await administrator(token)('POST', `${publicUrl}/v1/organizations`, { name: 'acme' });
  assert.equal(created.status, 201, created.body);
  const admin = administrator(token, 'acme');
  await createUser(publicUrl, admin, { ...alice, roles: ['developer'] });
  const client = await createService(publicUrl, admin, clientName, {
    authentication: 'none',
    grants: ['authorization_code', 'device_code'],
    redirect_uris: [redirectUri],
    post_logout_redirect_uris: [signedOutUri],
  });
  clientId = client.clientId;
});

for (const [width, colorScheme] of [
  [320, 'light'],
  [1280, 'dark'],
] as const) {
  it(`every page is accessible at ${width} px, ${colorScheme}`, async () => {
    const window = await openWindow(browser, { viewport: { width, height: 640 }, colorScheme });
    const seen = await visitAll(window.page, assertAccessible);
    assert.ok(seen.length >= 14);
    assert.ok(seen.every((title) => title.endsWith(' · Gatehouse')));
    await window.close();
  });
}

it('every page holds text of twice the size, and works in forced colours', async () => {
  const options = { viewport: { width: 640, height: 800 }, forcedColors: 'active', reducedMotion: 'reduce' } as const;
  const window = await openWindow(browser, options);
  await window.context.addInitScript({
    content: `addEventListener('DOMContentLoaded', () => document.documentElement.style.setProperty('font-size', '200%'))`,
  });
  await visitAll(window.page, assertFits);
  await window.close();
});

it('no page can be framed, by another site or by ourselves', async () => {
  const paths = [
    '/setup',
    '/oauth/device',
    '/oauth/logout',
    '/docs',
    '/oauth/authorize?client_id=nobody',
    '/docs/json',
  ];
  const targets = [authorization(), ...paths.map((path) => server.publicUrl + path)];
  const attacker = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(targets.map((target) => `<iframe src="${target.replaceAll('&', '&amp;')}"></iframe>`).join(''));
  });
  await new Promise<void>((resolve) => attacker.listen(0, '127.0.0.1', resolve));
  const { port } = attacker.address() as AddressInfo;
  try {
    const { page, context, complaints } = await openWindow(browser);
    for (const host of ['127.0.0.1', 'localhost']) {
      await page.goto(`http://${host}:${port}/`);
      const frames = page.frames().filter((frame) => frame !== page.mainFrame());
      assert.equal(frames.length, targets.length);
      for (const frame of frames) {
        await frame.waitForLoadState();
        assert.equal(frame.url(), 'chrome-error://chromewebdata/');
        assert.equal(await frame.locator('input, form, .brand').count(), 0);
      }
    }
    assert.ok(complaints.some((complaint) => complaint.includes("frame-ancestors 'none'")));
    await context.close();
  } finally {
    attacker.close();
    attacker.closeAllConnections();
  }
});

it('a refused request is answered without a word of it, whichever parameter carries the attack', async () => {
  const mark = 'canary7f3a';
  const attacks = [
    `<script>alert('${mark}')</script>`,
    `"><img src=x onerror=alert('${mark}')>`,
    `https://${mark}.example`,
  ];
  const authorize = [
    'client_id',
    'redirect_uri',
    'response_type',
    'scope',
    'state',
    'nonce',
    'prompt',
    'response_mode',
  ];
  authorize.push('code_challenge', 'code_challenge_method', 'request', 'request_uri', 'audience', 'resource', 'claims');
  authorize.push('ui_locales', 'login_hint', 'id_token_hint', 'max_age', 'acr_values', 'display', mark);
  const logout = ['id_token_hint', 'post_logout_redirect_uri', 'client_id', 'state', 'logout_hint', 'ui_locales'];
  const pages: string[] = [];
  const addresses: string[] = [];
  for (const attack of attacks) {
    const encoded = encodeURIComponent(attack);
    addresses.push(
      ...authorize.map((name) => authorization({ [name]: attack })),
      ...logout.map((name) => `${server.publicUrl}/oauth/logout?${name}=${encoded}`),
      `${server.publicUrl}/oauth/interaction/${encoded}`,
      `${server.publicUrl}/oauth/authorize/${encoded}`,
      `${server.publicUrl}/oauth/logout/success?client_id=${encoded}`,
      `${server.publicUrl}/oauth/device?xsrf=${encoded}`,
      `${server.publicUrl}/setup?${encoded}`,
      `${server.publicUrl}/${encoded}`,
    );
  }
  for (const address of addresses) {
    const answer = await call(address);
    assert.ok(answer.status < 500, address);
    const { location = '', ...headers } = answer.headers;
    // An error may go back to the application, at the address registered for it and nowhere else.
    const ours = location === '' || location.startsWith('/oauth/') || location.startsWith(`${server.publicUrl}/oauth/`);
    assert.ok(ours || location.startsWith(`${redirectUri}?`), `${address} leads to ${location}`);
    assert.ok(!JSON.stringify(headers).includes(mark), `${address}: ${JSON.stringify(headers)}`);
    assert.ok(!answer.body.includes(mark), `${address}: ${answer.body}`);
    if (answer.status >= 400 && String(answer.headers['content-type']).startsWith('text/html')) pages.push(address);
  }
  assert.ok(pages.length >= 15, `${pages.length} error pages`);
  const window = await openWindow(browser);
  for (const address of pages.filter((_address, index) => index % 3 === 0)) {
    await window.page.goto(address);
    await window.page.locator('h1').waitFor();
  }
  await window.close();
});

it('the link of a device passes a code on without running it, and lands on our page without scripts too', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { page, close } = await openWindow(browser, { javaScriptEnabled });
    await page.goto(`${server.publicUrl}/oauth/device?user_code=${encodeURIComponent('"><script>alert(1)</script>')}`);
    if (!javaScriptEnabled) await page.click('text=Continue');
    await page.locator('[role=alert]').waitFor();
    assert.equal(await page.locator('h1').innerText(), 'Connect a device');
    assert.ok(!(await page.content()).includes('alert(1)'));
    await close();
  }
});

it('the API description shows its operations under its policy, on a phone as well', async () => {
  for (const [width, colorScheme] of [
    [320, 'dark'],
    [1280, 'light'],
  ] as const) {
    const { page, close } = await openWindow(browser, { viewport: { width, height: 800 }, colorScheme });
    await page.goto(`${server.publicUrl}/docs`);
    await page.locator('.opblock-tag').first().click();
    await page.locator('.opblock-summary', { hasText: '/livez' }).click();
    await page.click('text=Try it out');
    await page.click('text=Execute');
    await page.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
    assert.equal(await page.title(), 'Gatehouse API');
    await assertFits(page);
    await close();
  }
});
