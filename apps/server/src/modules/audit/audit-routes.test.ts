import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@gatehouse/contracts';
import { sql } from 'kysely';
import { createAuditFixture, createAuditHttp, origin } from './audit-fixture.ts';
import type { SealedEntry } from './entry.ts';
import { maxScanned } from './entry-store.ts';
import type { NewEntry } from './index.ts';

const fixture = await createAuditFixture();
const { db, audit, clock } = fixture;

const app = await createAuditHttp(audit, {
  acme: { organization: 'acme', permissions: new Set(['audit:read']) },
  globex: { organization: 'globex', permissions: new Set(['audit:read']) },
  developer: { organization: 'acme', permissions: new Set(['users:read']) },
  operator: { organization: 'gatehouse', operator: true, permissions: new Set(['audit:read']) },
});

interface Page {
  items: (Partial<SealedEntry> & { id: string; action: string; organization: string; details: JsonObject })[];
  next_cursor?: string;
}
const get = (caller: string, url: string) =>
  app.inject({ url, headers: { authorization: `Bearer ${caller}`, host: '127.0.0.1:8400' } });
const list = async (caller: string, query = '') => {
  const answer = await get(caller, `/v1/audit${query}`);
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<Page>();
};
const append = (entry: Partial<NewEntry>) =>
  db.transaction((tx) => audit.append(tx, { action: 'test.happened', organization: 'acme', origin, ...entry }));
const ndjson = (body: string) =>
  body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as SealedEntry);

test('a list shows the caller’s organization only, newest first, sealed or not', async () => {
  await append({ details: { n: 1 } });
  await append({ details: { n: 2 }, organization: 'globex' });
  await audit.sealPending();
  await append({ details: { n: 3 }, target: { type: 'user', id: 'u-9' }, outcome: 'failure', reason: 'not allowed' });
  const page = await list('acme');
  assert.deepEqual(
    page.items.map((item) => item.details),
    [{ n: 3 }, { n: 1 }],
  );
  const [unsealed, sealed] = page.items;
  assert.equal(unsealed?.sequence, undefined);
  assert.equal(sealed?.sequence, 1);
  assert.match(sealed?.hash ?? '', /^[0-9a-f]{64}$/);
  assert.deepEqual(
    { ...unsealed, id: undefined },
    {
      id: undefined,
      version: 1,
      at: '2026-01-01T00:00:00.000Z',
      action: 'test.happened',
      organization: 'acme',
      actor: { type: 'user', id: 'user-1' },
      target: { type: 'user', id: 'u-9' },
      outcome: 'failure',
      reason: 'not allowed',
      request_id: 'req-1',
      address: '192.0.2.7',
      user_agent: 'test/1',
      details: { n: 3 },
    },
  );
});

test('only an operator sees other organizations', async () => {
  assert.deepEqual(
    (await list('globex')).items.map((item) => item.organization),
    ['globex'],
  );
  assert.deepEqual((await list('operator')).items, []);
  assert.equal((await list('operator', '?organization=*')).items.length, 3);
  assert.equal((await list('operator', '?organization=globex')).items.length, 1);
  assert.equal((await list('acme', '?organization=acme')).items.length, 2);
  for (const query of ['?organization=globex', '?organization=*', '?organization=does-not-exist']) {
    const answer = await get('acme', `/v1/audit${query}`);
    assert.equal(answer.statusCode, 403);
    assert.equal(answer.json<{ code: string }>().code, 'kernel.forbidden');
  }
});

test('callers without the permission, without a token, or who are no operators are refused', async () => {
  for (const path of [
    '/v1/audit',
    '/v1/audit/export',
    '/v1/audit/checkpoints',
    '/v1/audit/checkpoints/latest',
    '/v1/audit/keys',
  ]) {
    assert.equal((await get('developer', path)).statusCode, 403, path);
    assert.equal((await get('nobody', path)).statusCode, 401, path);
  }
  for (const path of ['/v1/audit/export', '/v1/audit/checkpoints', '/v1/audit/checkpoints/latest']) {
    assert.equal((await get('acme', path)).statusCode, 403, path);
  }
});

test('filters narrow the list, and pages follow each other without gap or repeat', async () => {
  clock.advance(60);
  const since = clock.now().toISOString();
  for (let n = 0; n < 25; n += 1) {
    await append({
      action: n % 5 === 0 ? 'page.fifth' : 'page.other',
      origin: { ...origin, actor: { type: 'service', id: `svc-${n % 2}` }, requestId: `req-page-${n}` },
      target: { type: 'thing', id: `thing-${n}` },
      details: { n },
    });
    clock.advance(1);
  }
  const seen: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page = await list('acme', `?limit=7&from=${since}${cursor === undefined ? '' : `&cursor=${cursor}`}`);
    assert.ok(page.items.length <= 7);
    seen.push(...page.items.map((item) => item.details['n']));
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  assert.deepEqual(
    seen,
    Array.from({ length: 25 }, (_, index) => 24 - index),
  );
  const numbers = async (query: string) => (await list('acme', query)).items.map((item) => item.details['n']);
  assert.deepEqual(await numbers('?action=page.fifth'), [20, 15, 10, 5, 0]);
  assert.deepEqual(await numbers('?action=page.fifth&actor=svc-1'), [15, 5]);
  assert.deepEqual(await numbers('?target=thing-3'), [3]);
  assert.deepEqual(await numbers('?request_id=req-page-4'), [4]);
  const at = (second: number) => new Date(Date.parse(since) + second * 1000).toISOString();
  assert.deepEqual(await numbers(`?from=${at(3)}&to=${at(5)}`), [4, 3]);
  assert.deepEqual(await numbers('?outcome=failure&action=page.fifth'), []);
});

test('what does not fit the query is refused by name', async () => {
  for (const [query, field] of [
    ['?limit=0', 'query.limit'],
    ['?from=yesterday', 'query.from'],
    ['?nonsense=1', 'query.nonsense'],
    ['?cursor=bm90IG91cnM', undefined],
    [`?cursor=${Buffer.from('["1;drop table audit.entries"]').toString('base64url')}`, undefined],
    [`?cursor=${Buffer.from('[1e300]').toString('base64url')}`, undefined],
  ] as const) {
    const answer = await get('acme', `/v1/audit${query}`);
    assert.equal(answer.statusCode, 400, `${query}: ${answer.body}`);
    if (field !== undefined) assert.match(answer.body, new RegExp(field.replace('query', 'querystring|query')), query);
  }
});

test('an export holds every sealed entry in order, from any sequence, as canonical lines', async () => {
  await audit.sealPending();
  await append({ details: { n: 'not sealed yet' } });
  const answer = await get('operator', '/v1/audit/export');
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers['content-type'], 'application/x-ndjson');
  const entries = ndjson(answer.body);
  assert.deepEqual(
    entries.map((entry) => entry.sequence),
    entries.map((_, index) => index + 1),
  );
  assert.deepEqual(new Set(entries.map((entry) => entry.organization)), new Set(['acme', 'globex']));
  assert.ok(!answer.body.includes('not sealed yet'));
  const tail = ndjson((await get('operator', '/v1/audit/export?from_sequence=5')).body);
  assert.deepEqual(tail, entries.slice(4));
  assert.equal((await get('operator', '/v1/audit/export?from_sequence=1000000')).body, '');
});

test('an export of many pages is complete, and ends although entries keep coming', async () => {
  const more = 700;
  await db.transaction(async (tx) => {
    for (let n = 0; n < more; n += 1) {
      await audit.append(tx, {
        action: 'bulk.happened',
        organization: 'acme',
        origin,
        details: { n, text: 'x'.repeat(900) },
      });
    }
  });
  await audit.sealPending();
  const writing = { on: true };
  const writer = (async () => {
    while (writing.on) {
      await append({ action: 'bulk.more' });
      await audit.sealPending();
    }
  })();
  const entries = ndjson((await get('operator', '/v1/audit/export')).body);
  writing.on = false;
  await writer;
  assert.deepEqual(
    entries.map((entry) => entry.sequence),
    entries.map((_, index) => index + 1),
  );
  assert.equal(entries.filter((entry) => entry.action === 'bulk.happened').length, more);
});

test('checkpoints are listed oldest first, the newest alone, and the public keys are there', async () => {
  await audit.writeCheckpoint({ force: true });
  await append({});
  await audit.sealPending();
  await audit.writeCheckpoint({ force: true });
  const page = (await get('operator', '/v1/audit/checkpoints?limit=1')).json<{
    items: { number: number }[];
    next_cursor: string;
  }>();
  assert.deepEqual(
    page.items.map((item) => item.number),
    [1],
  );
  const second = (await get('operator', `/v1/audit/checkpoints?limit=1&cursor=${page.next_cursor}`)).json<Page>();
  const latest = (await get('operator', '/v1/audit/checkpoints/latest')).json<{ number: number }>();
  assert.equal(latest.number, 2);
  assert.deepEqual(second.items, [latest]);
  assert.equal(second.next_cursor, undefined);
  const keys = (await get('acme', '/v1/audit/keys')).json<{ keys: JsonObject[] }>();
  assert.deepEqual(keys, { keys: [fixture.signer.jwk] });
});

test('a filter that matches little looks at a bounded number of entries and says where to go on', async () => {
  await append({ action: 'needle.found' });
  await db.transaction((tx) =>
    sql`insert into audit.entries (id, at, action, organization, actor_type, actor_id, outcome, details)
      select 'bulk-' || n, now(), 'hay.stack', 'acme', 'system', 'test', 'success', '{}'
      from generate_series(1, ${maxScanned + 10}) n`.execute(tx),
  );
  const first = await list('acme', '?action=needle.found');
  assert.deepEqual(first.items, []);
  assert.ok(first.next_cursor);
  const second = await list('acme', `?action=needle.found&cursor=${first.next_cursor}`);
  assert.equal(second.items.length, 1);
  assert.equal(second.next_cursor, undefined);
});
