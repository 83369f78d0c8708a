import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findBrowser, requireBrowser } from './find-browser.ts';

const directory = await mkdtemp(join(tmpdir(), 'find-browser-'));
after(() => rm(directory, { recursive: true }));

test('the browser that CHROMIUM names comes first, then the PATH', async () => {
  const chrome = join(directory, 'google-chrome');
  await writeFile(chrome, '', { mode: 0o755 });
  const other = join(directory, 'mine');
  await writeFile(other, '', { mode: 0o755 });
  assert.equal(findBrowser({ PATH: `/nowhere:${directory}` }), chrome);
  assert.equal(findBrowser({ PATH: directory, CHROMIUM: other }), other);
  assert.throws(
    () => findBrowser({ PATH: directory, CHROMIUM: '/nowhere/chromium' }),
    /CHROMIUM is \/nowhere\/chromium/,
  );
});

test('without a browser and without a way to install one, the error says what to run', {
  skip: process.platform !== 'linux',
}, () => {
  assert.throws(
    () => requireBrowser('/repository', { PATH: '/nowhere' }),
    /sudo scripts\/install-test-tools\.sh[\s\S]*--without-browser/,
  );
});
