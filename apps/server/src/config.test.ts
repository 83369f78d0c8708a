import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readSettings, SettingsError } from './config.ts';

const dir = mkdtempSync(join(tmpdir(), 'gatehouse-settings-'));
after(() => rmSync(dir, { recursive: true }));
const key = Buffer.alloc(32, 9).toString('base64url');

function refusal(env: Record<string, string>): string {
  try {
    readSettings(env);
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.message;
  }
  throw new Error('accepted');
}

test('without variables the defaults of the documentation hold', () => {
  const settings = readSettings({});
  assert.equal(settings.publicUrl, 'http://127.0.0.1:8400');
  assert.equal(settings.port, 8400);
  assert.equal(settings.rootKeyProvider, 'file');
  assert.equal(settings.databaseUrl, undefined);
  assert.deepEqual(settings.allowPrivateNetworks, []);
  assert.deepEqual(settings.modules, []);
  assert.equal(settings.redisUrl, undefined);
});

test('a wrong value is refused with the name of its variable', () => {
  for (const [name, value] of [
    ['GATEHOUSE_PORT', '99999'],
    ['GATEHOUSE_PORT', '0x50'],
    ['GATEHOUSE_WORKERS', '0'],
    ['GATEHOUSE_PUBLIC_URL', 'http://id.example.com'],
    ['GATEHOUSE_PUBLIC_URL', 'https://id.example.com/path'],
    ['GATEHOUSE_PUBLIC_URL', 'id.example.com'],
    ['GATEHOUSE_DATABASE_URL', 'mysql://x'],
    ['GATEHOUSE_ROOT_KEY', 'short'],
    ['GATEHOUSE_ROOT_KEY_PROVIDER', 'vault'],
    ['GATEHOUSE_LOG_LEVEL', 'loud'],
    ['GATEHOUSE_ALLOW_PRIVATE_NETWORKS', '10.0.0.0/8'],
    ['GATEHOUSE_ALLOW_PRIVATE_NETWORKS', 'http://10.0.0.5:9000/path'],
    ['GATEHOUSE_MODULES', 'reuni,reuny'],
    ['GATEHOUSE_REDIS_URL', 'http://127.0.0.1:6379'],
    ['GATEHOUSE_REDIS_URL', '127.0.0.1:6379'],
    ['GATEHOUSE_REDIS_URL', 'redis://127.0.0.1:6379/zero'],
    ['GATEHOUSE_ADMIN_USERNAME', 'root'],
  ] as const) {
    assert.match(refusal({ [name]: value }), /^GATEHOUSE_[A-Z_]+ /, `${name}=${value}`);
  }
});

test('optional parts are named in a list, and a Redis with its password can come from a file', () => {
  assert.deepEqual(readSettings({ GATEHOUSE_MODULES: ' reuni , reuni' }).modules, ['reuni']);
  const path = join(dir, 'redis.url');
  writeFileSync(path, 'rediss://agent:pass@redis.example:6380/0\n');
  assert.equal(readSettings({ GATEHOUSE_REDIS_URL_FILE: path }).redisUrl, 'rediss://agent:pass@redis.example:6380/0');
});

test('a variable that is no setting is refused, so that a slip of the pen is not a default', () => {
  assert.match(refusal({ GATEHOUSE_PUBLIC_ULR: 'x' }), /GATEHOUSE_PUBLIC_ULR is not a setting/);
  assert.match(refusal({ GATEHOUSE_PORT_FILE: 'x' }), /GATEHOUSE_PORT_FILE is not a setting/);
});

test('a secret can come from a file, but not twice, and an unreadable file is named', () => {
  const path = join(dir, 'root.key');
  writeFileSync(path, `${key}\n`);
  assert.equal(readSettings({ GATEHOUSE_ROOT_KEY_FILE: path }).rootKey, key);
  assert.match(refusal({ GATEHOUSE_ROOT_KEY_FILE: path, GATEHOUSE_ROOT_KEY: key }), /is set twice/);
  assert.match(refusal({ GATEHOUSE_ROOT_KEY_FILE: join(dir, 'absent') }), /cannot be read \(ENOENT\)/);
  writeFileSync(join(dir, 'empty'), '\n');
  assert.match(refusal({ GATEHOUSE_ROOT_KEY_FILE: join(dir, 'empty') }), /is empty/);
});

test('no refusal repeats a secret', () => {
  assert.doesNotMatch(refusal({ GATEHOUSE_ROOT_KEY: 'canary-root' }), /canary/);
  assert.doesNotMatch(refusal({ GATEHOUSE_DATABASE_URL: 'mysql://u:canary@h' }), /canary/);
  assert.doesNotMatch(refusal({ GATEHOUSE_REDIS_URL: 'http://u:canary@h' }), /canary/);
});
