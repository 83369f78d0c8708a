/** A real Chromium, and what every page is held to while it is open. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** A window of its own, with its own cookies. */
export interface Window {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What went wrong by itself: script errors, broken policy, requests that failed or went elsewhere. */
  readonly complaints: readonly string[];
  /** Every address that was asked for. */
  readonly addresses: readonly string[];
  /** Asserts that nothing went wrong, and closes it. */
  close(): Promise<void>;
}

/** Starts Chromium: the one in CHROMIUM (which `npm test` sets), or where Debian puts it. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', // as root, in CI
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Opens a window that may only talk to loopback, and watches it. */
export async function openWindow(browser: Browser, options: BrowserContextOptions = {}): Promise<Window> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  const addresses: string[] = [];
  await context.addInitScript({ content: reportViolations });
  context.on('request', (request) => {
    addresses.push(request.url());
    if (!/^(https?:\/\/(127\.0\.0\.1|localhost):|data:)/.test(request.url())) complaints.push(`asked ${request.url()}`);
  });
  context.on('response', (response) => {
    const isPage = response.request().isNavigationRequest();
    if (response.status() >= (isPage ? 500 : 400)) complaints.push(`${response.status()} ${response.url()}`);
  });
  context.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on('weberror', (error) => complaints.push(`a script error: ${error.error().message}`));
  context.on('console', (message) => {
    // A page with a 4xx status (a wrong password is 401) is noted by Chromium too; what else fails is seen above.
    if (message.text().startsWith('Failed to load resource: the server responded with a status of 4')) return;
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`console: ${message.text()}`);
  });
  const page = await context.newPage();
  return {
    page,
    context,
    complaints,
    addresses,
    async close() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}

// What runs inside the page is text: the types of a browser have no place among those of a server.
const reportViolations = `document.addEventListener('securitypolicyviolation', (event) => {
  console.error('policy:', event.effectiveDirective, event.blockedURI, event.sample);
});`;
const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const runAxe = `axe
  .run(document, {
    runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
  })
  .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map((node) => node.html).join(' ')))`;

/** Asserts that axe-core finds nothing against WCAG 2.2 AA, and that nothing is wider than the window. */
export async function assertAccessible(page: Page): Promise<void> {
  const where = await page.title();
  await page.evaluate(axeSource);
  assert.deepEqual(await page.evaluate<string[]>(runAxe), [], where);
  await assertFits(page);
}

/** Asserts that the page does not scroll sideways. */
export async function assertFits(page: Page): Promise<void> {
  const [scrollWidth, clientWidth] = await page.evaluate<[number, number]>(
    '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
  );
  assert.ok(scrollWidth <= clientWidth, `${await page.title()} is ${scrollWidth} wide in a window of ${clientWidth}`);
}
