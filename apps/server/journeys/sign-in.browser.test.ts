/**
 * People sign in: a server behind TLS, a web application by `openid-client`, and Chromium, with scripts and without.
 * How the pages look, and what they hold against attackers, is in pages.browser.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import * as openid from 'openid-client';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { openWindow, startBrowser, type Window } from './support/browser.ts';
import { administrator, createService, createUser, signIn } from './support/client.ts';
import { type RelyingParty, startRelyingParty } from './support/relying-party.ts';
import { type SingleServer, startSingleServer } from './support/single-server.ts';

const operator = { username: 'root-operator', password: 'seven quiet herons at dusk' };
const alice = { username: 'alice', password: 'four copper kettles boil over' };
const withoutScripts = { javaScriptEnabled: false };

let server: SingleServer;
let browser: Browser;
let app: RelyingParty;
let aliceUid: string;

before(async () => {
  [server, browser, app] = await Promise.all([startSingleServer({ tls: true }), startBrowser(), startRelyingParty()]);
});
after(async () => {
  await Promise.allSettled([browser?.close(), app?.close()]);
  await server?.close();
});

/** Runs a part of a test in a window of its own, and asserts that nothing was wrong there. */
async function inWindow(options: BrowserContextOptions, run: (window: Window) => Promise<void>): Promise<void> {
  const window = await openWindow(browser, options);
  try {
    await run(window);
  } catch (error) {
    await window.context.close();
    throw error;
  }
  await window.close();
}

const heading = (page: Page) => page.locator('h1').innerText();

async function fillSignIn(page: Page, user = alice): Promise<void> {
  await page.fill('input[name=username]', user.username);
  await page.fill('input[type=password]', user.password);
}

/** From the application through sign-in and consent, back to it. */
async function signInThrough(page: Page, path = '/login'): Promise<void> {
  await page.goto(app.url + path);
  await fillSignIn(page);
  await page.click('button[type=submit]');
  await page.click('button[value=allow]');
  await page.waitForURL(`${app.url}/callback**`);
}

async function sessionCookie({ context }: Window): Promise<string | undefined> {
  const cookies = await context.cookies(server.publicUrl);
  return cookies.find((cookie) => cookie.name === '__Host-gatehouse-session')?.value;
}

describe('the one-time set-up link', () => {
  it('fills in its code, keeps what was typed when a password is refused, and makes the operator', () =>
    inWindow({}, async ({ page, context, addresses }) => {
      await page.goto(`${server.publicUrl}/setup`);
      await page.goto(server.setupUrl); // in the open page: only the fragment changes
      const code = server.setupUrl.split('#')[1] ?? '';
      assert.equal(await page.inputValue('#code'), code);
      assert.equal(page.url(), `${server.publicUrl}/setup`, 'the code has left the address');
      assert.equal(await page.locator(':focus').getAttribute('id'), 'username');

      await page.fill('#username', operator.username);
      await page.fill('#password', 'too short');
      await page.click('button[type=submit]');
      assert.match(await page.locator('[role=alert]').innerText(), /fewer than 15 characters/);
      assert.equal(await page.locator(':focus').getAttribute('id'), 'password');
      assert.equal(await page.getAttribute('#password', 'aria-describedby'), 'problem password-hint');
      assert.deepEqual(
        [await page.inputValue('#code'), await page.inputValue('#username'), await page.inputValue('#password')],
        [code, operator.username, ''],
      );

      await page.fill('#password', operator.password);
      await page.click('button[type=submit]');
      assert.equal(await heading(page), 'The operator is created');
      assert.ok(!addresses.some((address) => new URL(address).search.includes(code)), 'never sent in an address');

      const late = await context.newPage();
      await late.goto(server.setupUrl);
      assert.equal(await heading(late), 'The set-up is done');
      await signIn(server.innerUrl, operator);
    }));

  it('works without scripts, where the code is pasted, and only once', async () => {
    const another = await startSingleServer({ tls: false });
    try {
      await inWindow(withoutScripts, async ({ page, context }) => {
        await page.goto(another.setupUrl);
        assert.equal(await page.inputValue('#code'), '');
        assert.equal(await page.locator(':focus').getAttribute('id'), 'code');
        const late = await context.newPage();
        await late.goto(another.setupUrl);

        for (const [tab, username] of [
          [page, 'first'],
          [late, 'second'],
        ] as const) {
          await tab.fill('#code', another.setupUrl.split('#')[1] ?? '');
          await tab.fill('#username', username);
          await tab.fill('#password', operator.password);
          await tab.click('button[type=submit]');
        }
        assert.equal(await heading(page), 'The operator is created');
        assert.equal(await heading(late), 'The set-up is done');
      });
      await signIn(another.innerUrl, { ...operator, username: 'first' });
      await assert.rejects(signIn(another.innerUrl, { ...operator, username: 'second' }), /401/);
    } finally {
      await another.close();
    }
  });
});

describe('sign-in', () => {
  before(async () => {
    const { innerUrl, publicUrl: issuer } = server;
    const token = async () => (await signIn(innerUrl, operator)).access_token;
    const created = await administrator(token)('POST', `${innerUrl}/v1/organizations`, { name: 'acme' });
    assert.equal(created.status, 201, created.body);
    const admin = administrator(token, 'acme');
    aliceUid = await createUser(innerUrl, admin, { ...alice, roles: ['developer'] });
    const client = await createService(innerUrl, admin, 'journal', {
      grants: ['authorization_code'],
      redirect_uris: [app.redirectUri],
      post_logout_redirect_uris: [app.signedOutUri],
    });
    await app.connect({ issuer, innerUrl, ...client });
  });

  for (const [scripts, options] of [
    ['with scripts', {}],
    ['without scripts', withoutScripts],
  ] as const) {
    it(`${scripts}: from the application through sign-in and consent, by keyboard alone`, () =>
      inWindow(options, async (window) => {
        const { page, addresses } = window;
        await page.goto(`${app.url}/login`);
        assert.equal(await heading(page), 'Sign in');
        assert.match(await page.locator('main').innerText(), /to continue to journal of acme/);
        assert.equal(await page.locator('button, input[type=submit]').count(), 1, 'one submit button');
        assert.equal(await page.locator('input[type=password]').count(), 1);

        const focused = async () => {
          const outline = await page.evaluate('getComputedStyle(document.activeElement).outline');
          assert.match(String(outline), /solid 3px/, 'the focus can be seen');
          return page.evaluate('document.activeElement.id || document.activeElement.innerText');
        };
        assert.equal(await focused(), 'username');
        await page.keyboard.type(alice.username);
        await page.keyboard.press('Tab');
        assert.equal(await focused(), 'password');
        await page.keyboard.press('Tab');
        assert.equal(await focused(), 'Sign in');
        await page.keyboard.press('Tab');
        assert.equal(await focused(), 'Cancel and go back');
        await page.keyboard.press('Shift+Tab');
        await page.keyboard.press('Shift+Tab');
        await page.keyboard.type(alice.password);
        await page.keyboard.press('Enter');

        await page.waitForSelector('button[value=allow]');
        const text = await page.locator('main').innerText();
        for (const part of ['Allow journal?', 'of acme', 'alice', 'Know who you are', new URL(app.url).host]) {
          assert.ok(text.includes(part), `${part} in ${text}`);
        }
        await page.keyboard.press('Tab');
        assert.equal(await focused(), 'Allow');
        await page.keyboard.press('Tab');
        assert.equal(await focused(), 'Do not allow');
        await page.keyboard.press('Shift+Tab');
        await page.keyboard.press('Enter');

        await page.waitForURL(`${app.url}/callback**`);
        assert.equal(await heading(page), `Welcome ${aliceUid}`);
        const tokens = app.arrivals.at(-1)?.tokens;
        const about = await openid.fetchUserInfo(app.configuration(), tokens?.access_token ?? '', aliceUid);
        assert.equal(about.preferred_username, alice.username);

        await page.goto(`${app.url}/login`);
        assert.equal(await heading(page), `Welcome ${aliceUid}`, 'the second time nobody is asked');
        const secret = encodeURIComponent(alice.password).slice(0, 12);
        assert.ok(!addresses.some((address) => address.includes(secret)), 'the password was in no address');
      }));

    it(`${scripts}: the answer by form_post`, () =>
      inWindow(options, async ({ page }) => {
        await page.goto(`${app.url}/login?response_mode=form_post`);
        await fillSignIn(page);
        await page.click('button[type=submit]');
        await page.click('button[value=allow]');
        if (options === withoutScripts) await page.click('text=Continue');
        await page.waitForURL(`${app.url}/callback`);
        assert.equal(await heading(page), `Welcome ${aliceUid}`);
      }));
  }

  it('a wrong password: the message, the name kept, the password gone, the focus where to go on', () =>
    inWindow({}, async ({ page }) => {
      await page.goto(`${app.url}/login`);
      await fillSignIn(page, { username: 'ali"><script>alert(1)</script>', password: 'a canary that sang' });
      await page.click('button[type=submit]');
      assert.equal(await page.locator('[role=alert]').innerText(), 'The user name or the password is wrong.');
      assert.equal(await page.title(), 'Error: Sign in · Gatehouse');
      assert.equal(await page.inputValue('#username'), 'ali"><script>alert(1)</script>');
      assert.equal(await page.inputValue('#password'), '');
      assert.ok(!(await page.content()).includes('canary'));
      assert.equal(await page.locator(':focus').getAttribute('id'), 'password');
      for (const field of ['#username', '#password']) {
        assert.equal(await page.getAttribute(field, 'aria-invalid'), 'true');
        assert.equal(await page.getAttribute(field, 'aria-describedby'), 'problem');
      }
      await fillSignIn(page);
      await page.click('button[type=submit]');
      assert.equal(await heading(page), 'Allow journal?');
    }));

  it('refused consent and a cancelled sign-in are told to the application, which gets nothing', () =>
    inWindow({}, async ({ page }) => {
      await page.goto(`${app.url}/login`);
      await page.click('text=Cancel and go back');
      await page.waitForURL(`${app.url}/callback**`);
      assert.equal(await heading(page), 'Refused: access_denied');
      await page.goto(`${app.url}/login`);
      await fillSignIn(page);
      await page.click('button[type=submit]');
      await page.click('button[value=deny]');
      await page.waitForURL(`${app.url}/callback**`);
      assert.equal(await heading(page), 'Refused: access_denied');
      await page.goto(`${app.url}/login`);
      assert.equal(await heading(page), 'Allow journal?', 'asked again, not remembered as allowed');
    }));

  it('cookies are out of the reach of scripts and other hosts; each sign-in has a new session id', () =>
    inWindow({}, async (window) => {
      const { page, context } = window;
      const shown = await page.goto(`${app.url}/login`);
      assert.match((await shown?.headerValue('strict-transport-security')) ?? '', /max-age=63072000/);
      await context.addCookies([
        { name: '__Host-gatehouse-session', value: 'planted', url: server.publicUrl, secure: true, httpOnly: true },
      ]);
      await fillSignIn(page);
      await page.click('button[type=submit]');
      await page.waitForSelector('button[value=allow]');
      const first = await sessionCookie(window);
      assert.ok(first !== undefined && first !== 'planted');
      const cookies = await context.cookies(server.publicUrl);
      for (const cookie of cookies) {
        assert.match(cookie.name, /^__Host-gatehouse-/);
        assert.deepEqual([cookie.secure, cookie.httpOnly, cookie.sameSite, cookie.path], [true, true, 'Lax', '/']);
      }
      assert.equal(await page.evaluate('document.cookie + localStorage.length + sessionStorage.length'), '00');
      await page.click('button[value=allow]');
      await page.waitForURL(`${app.url}/callback**`);
      await page.goto(`${app.url}/login?prompt=login`);
      await fillSignIn(page);
      await page.click('button[type=submit]');
      await page.waitForURL(`${app.url}/callback**`);
      assert.notEqual(await sessionCookie(window), first);
    }));

  it('signing out ends the session, its tokens and its cookie; one application alone can be left', () =>
    inWindow({}, async (window) => {
      const { page, context } = window;
      await signInThrough(page);
      const tokens = app.arrivals.at(-1)?.tokens;
      const cookies = await context.cookies(server.publicUrl);

      await page.goto(`${app.url}/logout`);
      assert.equal(await heading(page), 'Sign out?');
      await page.click('text=Only this one');
      await page.waitForURL(`${app.url}/signed-out?state=bye`);
      await page.goto(`${app.url}/login`);
      assert.equal(await heading(page), 'Allow journal?', 'still signed in, but the application starts anew');
      await page.click('button[value=allow]');
      await page.waitForURL(`${app.url}/callback**`);

      const again = app.arrivals.at(-1)?.tokens;
      await page.goto(`${app.url}/logout`);
      await page.click('button[value=yes]');
      await page.waitForURL(`${app.url}/signed-out?state=bye`);
      assert.equal(await sessionCookie(window), undefined);
      for (const one of [tokens, again]) {
        const refreshed = openid.refreshTokenGrant(app.configuration(), one?.refresh_token ?? '');
        await assert.rejects(refreshed, { error: 'invalid_grant' });
        const asked = openid.fetchUserInfo(app.configuration(), one?.access_token ?? '', aliceUid);
        await assert.rejects(asked, /unexpected HTTP|401|invalid_token|WWW-Authenticate/i);
      }
      await context.addCookies(cookies); // whoever had copied them
      await page.goto(`${app.url}/login`);
      assert.equal(await heading(page), 'Sign in');
    }));

  it('the back button shows no form that works, and two clicks are one sign-in', () =>
    inWindow({}, async ({ page }) => {
      const before = app.arrivals.length;
      await page.goto(`${app.url}/login`);
      await fillSignIn(page);
      await page.dblclick('button[type=submit]');
      await page.dblclick('button[value=allow]');
      await page.waitForURL(`${app.url}/callback**`);
      assert.equal(await heading(page), `Welcome ${aliceUid}`);
      assert.equal(app.arrivals.length, before + 1);
      await page.goBack();
      assert.equal(await heading(page), 'This sign-in is over');
      assert.equal(await page.locator('form').count(), 0);
      await page.goBack();
      assert.notEqual(await heading(page), 'Sign in');
    }));
});
