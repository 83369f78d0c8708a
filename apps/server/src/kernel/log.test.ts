import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from './log.ts';

function capture(write: (log: ReturnType<typeof createLog>) => void): string {
  const lines: string[] = [];
  write(createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } }));
  return lines.join('');
}

test('secrets are redacted at the depths that are logged', () => {
  const text = capture((log) => {
    log.info({ password: 'canary-1', body: { client_secret: 'canary-2', inner: { refresh_token: 'canary-3' } } }, 'x');
    log.info({ headers: { authorization: 'canary-4', cookie: 'canary-5' } }, 'x');
  });
  assert.doesNotMatch(text, /canary/);
  assert.equal(text.match(/\[redacted\]/g)?.length, 5);
});

test('an error is logged without the row that PostgreSQL puts into it', () => {
  const error = Object.assign(new Error('duplicate key'), {
    code: '23505',
    detail: 'Key (name)=(canary-6) exists',
    where: 'canary-7',
  });
  const text = capture((log) => log.error({ err: new Error('outer', { cause: error }) }, 'failed'));
  assert.doesNotMatch(text, /canary/);
  assert.match(text, /23505/);
});

test('line breaks and escapes in what a caller sent stay inside one line', () => {
  const text = capture((log) => log.info({ user_agent: 'a\n{"level":"fatal"}\u001b[31m' }, 'x'));
  assert.equal(text.trimEnd().split('\n').length, 1);
  assert.ok(!text.includes('\u001b'));
});
