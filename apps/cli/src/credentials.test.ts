import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { createCredentials } from './credentials.ts';

let folder: string;
let warnings: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-credentials-'));
  warnings = [];
});
afterEach(() => rm(folder, { recursive: true }));

const open = (env: Record<string, string> = { GATEHOUSE_CONFIG_DIR: join(folder, 'config') }) =>
  createCredentials(env, (text) => warnings.push(text));
const login = { username: 'ann', access_token: 'a', refresh_token: 'r', expires_at: '2026-01-01T00:00:00.000Z' };

test('logins are kept by server, readable by their owner only, and nothing is left beside the file', async () => {
  const credentials = open();
  assert.equal(await credentials.find('https://a.example'), undefined);
  await credentials.save('https://a.example', login, { makeCurrent: true });
  await credentials.save('https://b.example', { ...login, username: 'bob' });
  assert.deepEqual(await credentials.find('https://a.example'), login);
  assert.equal((await credentials.find('https://b.example'))?.username, 'bob');
  assert.equal(await credentials.currentServer(), 'https://a.example');
  assert.equal((await stat(credentials.path)).mode & 0o777, 0o600);
  assert.equal((await stat(join(folder, 'config'))).mode & 0o777, 0o700);
  assert.deepEqual(await readdir(join(folder, 'config')), ['credentials.json']);
  await credentials.remove('https://a.example');
  assert.equal(await credentials.currentServer(), undefined);
  assert.equal((await credentials.find('https://b.example'))?.username, 'bob');
});

test('the place: GATEHOUSE_CONFIG_DIR, XDG_CONFIG_HOME, ~/.config', () => {
  assert.equal(open({ GATEHOUSE_CONFIG_DIR: '/c', XDG_CONFIG_HOME: '/x', HOME: '/h' }).path, '/c/credentials.json');
  assert.equal(open({ XDG_CONFIG_HOME: '/x', HOME: '/h' }).path, '/x/gatehouse/credentials.json');
  assert.equal(open({ HOME: '/h' }).path, '/h/.config/gatehouse/credentials.json');
});

test('a file that others can read is closed, and its owner told', async () => {
  const credentials = open();
  await credentials.save('https://a.example', login);
  await chmod(credentials.path, 0o644);
  await credentials.find('https://a.example');
  assert.equal((await stat(credentials.path)).mode & 0o777, 0o600);
  assert.match(warnings[0] ?? '', /was readable by others/);
});

test('a file that is something else is refused, not overwritten', async () => {
  const credentials = open();
  await mkdir(join(folder, 'config'));
  await writeFile(credentials.path, '{"version":2}', { mode: 0o600 });
  await assert.rejects(credentials.save('https://a.example', login), /is not a credentials file of this program/);
  assert.equal(await readFile(credentials.path, 'utf8'), '{"version":2}');
});

test('a folder that cannot be written is named', async () => {
  await writeFile(join(folder, 'config'), 'a file in the way');
  await assert.rejects(
    open().save('https://a.example', login),
    /credentials\.json cannot be (read|written) \(ENOTDIR\)/,
  );
});
