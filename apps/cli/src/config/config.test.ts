import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { CliError } from '../errors.ts';
import { applyChange, changeBetween, touchedKeys } from './change.ts';
import { headOf, noticeOf, tailOf, withoutNotice } from './edit-text.ts';
import { doubtfulKeys, keepSecrets, withSecrets } from './secrecy.ts';
import { targetOf } from './target.ts';
import { changeLines, maskedChange, valueText } from './value-text.ts';

const shown = (fingerprint = 'abcdefghijklmnop') => ({ $secret: { fingerprint } });
const plain = (_paint: string, text: string) => text;

test('values that could be taken for something else are in quotes', () => {
  const rows: readonly [JsonValue, string][] = [
    ['127.0.0.1', '127.0.0.1'],
    ['postgres://h/db?x=1', 'postgres://h/db?x=1'],
    ['8080', '"8080"'],
    [8080, '8080'],
    ['true', '"true"'],
    [true, 'true'],
    [null, 'null'],
    ['', '""'],
    [' x', '" x"'],
    ['[1]', '"[1]"'],
    [[1, 'a'], '[1,"a"]'],
    ['a\nb', '"a\\nb"'],
    ['secret abc', '"secret abc"'],
    [shown(), 'secret abcdef…'],
    ['\u001b]0;x\u0007', '"\\u001b]0;x\\u0007"'],
    ['\u009b31m', '"\ufffd31m"'],
    ['x'.repeat(300), `${'x'.repeat(200)}…`],
  ];
  for (const [value, text] of rows) assert.equal(valueText(value), text);
});

test('a difference never shows a secret that is being written, not even in JSON', () => {
  const change = {
    created: { A: { $secret: 'canary' }, B: 1 },
    changed: { C: { from: shown(), to: { $secret: { deep: 'canary' } } } },
    deleted: { D: shown() },
  };
  assert.deepEqual(changeLines(change, plain), [
    '+ A=a new secret',
    '+ B=1',
    '~ C: secret abcdef… → a new secret',
    '- D=secret abcdef…',
  ]);
  assert.ok(!JSON.stringify(maskedChange(change)).includes('canary'));
});

test('a change is what differs, and goes on top of what others did to other keys', () => {
  const base = { A: 1, B: 2, C: 3 };
  const change = changeBetween(base, { A: 1, B: 5, D: 4 });
  assert.deepEqual(change, { set: { B: 5, D: 4 }, unset: ['C'] });
  assert.deepEqual(applyChange({ A: 9, B: 2, C: 3, E: 1 }, change), { A: 9, B: 5, E: 1, D: 4 });
  assert.deepEqual(touchedKeys(change, base, { A: 9, B: 2, C: 3 }), []);
  assert.deepEqual(touchedKeys(change, base, { A: 1, B: 7, D: 0 }), ['D', 'B', 'C']);
});

const refused = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CliError);
  assert.match(`${error.message} ${error.fix ?? ''}`, pattern);
  assert.equal(error.exit, 2);
  return true;
};

test('what is a secret stays one; what is named like one is asked for', () => {
  const own: JsonObject = { DB_PASS: shown(), OLD_TOKEN: 'readable' };
  const file = { DB_PASS: 'new', OLD_TOKEN: 'x', HOST: 'h', EMPTY_TOKEN: '', PORT_KEY: 5 };
  assert.deepEqual(withSecrets(file, own, {}), { ...file, DB_PASS: { $secret: 'new' } });
  assert.deepEqual(keepSecrets(file, own), { ...file, DB_PASS: { $secret: 'new' } });
  assert.deepEqual(withSecrets(file, own, { plain: ['DB_*'] }), file);
  assert.deepEqual(withSecrets({ A: { $client: 'id' }, B: shown() }, own, {}), { A: { $client: 'id' }, B: shown() });
  assert.throws(
    () => withSecrets({ API_KEY: 'a', PGPASSWORD: 'b' }, own, {}),
    refused(/API_KEY, PGPASSWORD.*--secret API_KEY --secret PGPASSWORD/),
  );
  assert.deepEqual(withSecrets({ API_KEY: 'a', PGPASSWORD: 'b' }, own, { secret: ['API_KEY'], plain: ['PG*WORD'] }), {
    API_KEY: { $secret: 'a' },
    PGPASSWORD: 'b',
  });
  assert.throws(() => withSecrets({ A: '1' }, own, { secret: ['B*'] }), refused(/names no key of the file/));
  assert.deepEqual(doubtfulKeys({ API_KEY: 'a', DB_PASS: 'x', HOST: 'h' }, own), ['API_KEY']);
  for (const name of [
    'BYPASS_CACHE',
    'KEYBOARD',
    'COMPASS',
    'MONKEY',
    'AUTHOR',
    'KEY_COUNT',
    'JWT_PUBLIC_KEY',
    'passive',
  ]) {
    assert.deepEqual(doubtfulKeys({ [name]: 'x' }, {}), [], name);
  }
  for (const name of [
    'DB_PASS',
    'PGPASSWORD',
    'apiToken',
    'aws.secret-access-key',
    'APIKEY',
    'SENTRY_DSN',
    'ENCRYPTION_KEY',
  ]) {
    assert.deepEqual(doubtfulKeys({ [name]: 'x' }, {}), [name], name);
  }
  assert.deepEqual(doubtfulKeys({ A: 'postgres://u:p@h/db', B: 'https://h/a:b@c', C: 'redis://:p@h' }, {}), ['A', 'C']);
});

test('a pattern of stars takes no time', () => {
  const key = 'a'.repeat(256);
  assert.throws(() => withSecrets({ [key]: 'x' }, {}, { secret: [`${'a*'.repeat(200)}b`] }), refused(/names no key/));
});

test('the text in the editor: what is inherited below, an error above, and the error goes again', () => {
  const present = {
    version: 7,
    own: {},
    effective: { LOG: 'info' },
    sources: { LOG: { kind: 'inherited', namespace: 'base', version: 2 } },
    answer: {},
  };
  const target = targetOf('acme.billing', 'eu');
  assert.match(headOf(target, present, 'yaml'), /^# acme\.billing\/eu, version 7\.\n# /);
  assert.equal(headOf(target, present, 'json') + tailOf(present, 'json'), '');
  assert.match(tailOf(present, 'yaml'), /#   LOG: info {3}\(base\)\n$/);
  const notice = noticeOf(new CliError('cli.configuration', 'one\ntwo', { fix: 'three' }));
  assert.equal(notice, '# ! one\n# ! two\n# ! → three\n');
  assert.equal(withoutNotice(`${notice}# mine\nA: 1\n`), '# mine\nA: 1\n');
  assert.equal(withoutNotice('# mine\n# ! kept\n'), '# mine\n# ! kept\n');
});

test('names that could lead elsewhere are refused before anything is sent', () => {
  for (const service of ['', '.', 'a.b.c', 'a/b', '../x', 'A', 'a?x', 'a b', '%2e%2e']) {
    assert.throws(() => targetOf(service), refused(/is not the name of a service/), service);
  }
  assert.throws(() => targetOf('a', '..'), refused(/is not the name of a namespace/));
  assert.deepEqual(targetOf('acme.billing'), {
    organization: 'acme',
    service: 'billing',
    namespace: 'default',
    label: 'acme.billing/default',
    args: 'acme.billing',
  });
});
