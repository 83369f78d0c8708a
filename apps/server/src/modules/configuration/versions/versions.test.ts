import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { bundleHash, contentHash } from '@gatehouse/configuration';
import { type ConfigurationFixture, createConfigurationFixture, pathOf } from '../configuration-fixture.ts';

describe('versions', () => {
  let t: ConfigurationFixture;
  before(async () => {
    t = await createConfigurationFixture();
  });
  const path = pathOf('default');
  const post = (body: object, headers: Record<string, string> = {}) =>
    t.app.inject({
      method: 'POST',
      url: path,
      headers: { authorization: `Bearer ${t.admin.token}`, ...headers },
      payload: body,
    });
  const keysOf = (body: { configuration: object }) => Object.keys(body.configuration);

  it('published, read, compared and restored; each is chained to the one before', async () => {
    const made = await t.namespace('default', {
      message: 'first',
      configuration: { HOST: 'a', LIMIT: 10, ON: true, LIST: [1, { x: null }], PASS: { $secret: { user: 'u' } } },
    });
    assert.equal(made.status, 201, made.raw.body);
    assert.equal(made.body.version, 1);
    const first = await t.acme('GET', `${path}/1`);
    assert.equal(first.raw.headers['etag'], '"1"');
    assert.deepEqual(keysOf(first.body), ['HOST', 'LIMIT', 'ON', 'LIST', 'PASS'], 'in the order of their author');
    assert.equal(first.body.parent_version, 0);
    assert.equal(first.body.kind, 'author');
    assert.equal(first.body.message, 'first');
    assert.equal(Object.hasOwn(first.body, 'own'), false);
    assert.deepEqual(first.body.sources.PASS, { kind: 'own' });
    const second = await t.publish('default', { ...first.body.configuration, HOST: 'b', NEW: 1 });
    assert.equal(second.body.created_by.length > 0, true);
    assert.deepEqual(second.body.configuration.PASS, first.body.configuration.PASS);
    const compare = await t.acme('GET', `${path}/2/compare`);
    assert.deepEqual(compare.body, {
      version: 2,
      compared_with: 1,
      created: { NEW: 1 },
      changed: { HOST: { from: 'a', to: 'b' } },
      deleted: {},
    });
    const back = await t.acme('POST', `${path}/rollback`, { version: 1, message: 'back', parent_version: 2 });
    assert.equal(back.status, 201, back.raw.body);
    assert.equal(back.body.kind, 'rollback');
    assert.equal(back.body.restores, 1);
    assert.equal(back.body.parent_version, 2);
    assert.equal(back.body.content_hash, first.body.content_hash);
    assert.notEqual(back.body.hash, first.body.hash);
    let previous_hash = '';
    for (const version of [1, 2, 3]) {
      const { body } = await t.acme('GET', `${path}/${version}`);
      assert.equal(body.content_hash, contentHash(body.configuration));
      const place = { organization: 'acme', service: 'billing', namespace: 'default', version };
      assert.equal(body.hash, bundleHash({ ...place, previous_hash, content_hash: body.content_hash }));
      previous_hash = body.hash;
    }
    assert.deepEqual(
      (await t.actionsOn('acme.billing/default')).filter((action) => action.startsWith('conf')),
      ['configuration.published', 'configuration.published', 'configuration.published'],
    );
  });

  it('compares with the parent, the one before, or any other', async () => {
    const cases: [string, number][] = [
      ['3/compare?with=previous', 2],
      ['3/compare?with=parent', 2],
      ['3/compare?with=1', 1],
      ['1/compare', 0],
      ['1/compare?with=3', 3],
    ];
    for (const [rest, with_] of cases) {
      const answer = await t.acme('GET', `${path}/${rest}`);
      assert.equal(answer.status, 200, rest);
      assert.equal(answer.body.compared_with, with_, rest);
    }
    assert.deepEqual((await t.acme('GET', `${path}/3/compare?with=1`)).body.changed, {});
    assert.equal((await t.acme('GET', `${path}/3/compare?with=99`)).status, 404);
    assert.equal((await t.acme('GET', `${path}/3/compare?with=0`)).status, 400);
  });

  it('who has not seen the newest version is told both numbers, by member and by header', async () => {
    const behind = await t.acme('POST', path, { parent_version: 2, configuration: {} });
    assert.equal(behind.status, 409);
    assert.equal(behind.body.code, 'configuration.version_conflict');
    assert.deepEqual([behind.body.parent_version, behind.body.latest_version], [2, 3]);
    const ahead = await t.acme('POST', path, { parent_version: 9, configuration: {} });
    assert.deepEqual([ahead.status, ahead.body.latest_version], [409, 3]);
    const rollback = await t.acme('POST', `${path}/rollback`, { version: 1, parent_version: 1 });
    assert.deepEqual([rollback.status, rollback.body.latest_version], [409, 3]);
    assert.equal((await post({ configuration: {} }, { 'if-match': '"2"' })).statusCode, 409);
    assert.equal((await post({ configuration: { A: 1 } }, { 'if-match': '"3"' })).statusCode, 201);
    for (const [body, headers] of [
      [{ configuration: {} }, {}],
      [{ configuration: {} }, { 'if-match': '*' }],
      [{ configuration: {} }, { 'if-match': 'W/"4"' }],
      [{ configuration: {}, parent_version: 4 }, { 'if-match': '"3"' }],
      [{ configuration: {}, parent_version: '4' }, {}],
      [{ configuration: {}, parent_version: 4, extra: 1 }, {}],
    ] as const) {
      assert.equal((await post(body, headers)).statusCode, 400, JSON.stringify([body, headers]));
    }
  });

  it('a history in pages, newest first, also by label', async () => {
    for (let number = 0; number < 5; number += 1) {
      await t.publish(
        'default',
        { N: number },
        number % 2 === 0 ? { labels: { channel: 'stable', n: `${number}` } } : {},
      );
    }
    const seen: number[] = [];
    let cursor = '';
    do {
      const { body } = await t.acme('GET', `${path}/versions?limit=4${cursor && `&cursor=${cursor}`}`);
      assert.ok(body.items.length <= 4);
      seen.push(...body.items.map((item: { version: number }) => item.version));
      cursor = body.next_cursor ?? '';
      assert.equal(Object.hasOwn(body.items[0], 'configuration'), false);
    } while (cursor !== '');
    assert.deepEqual(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    const stable = await t.acme('GET', `${path}/versions?label=channel:stable`);
    assert.deepEqual(
      stable.body.items.map((item: { version: number }) => item.version),
      [9, 7, 5],
    );
    assert.equal((await t.acme('GET', `${path}/versions?label=nothing`)).status, 400);
    assert.deepEqual((await t.acme('GET', `${path}/latest`)).body, { version: 9 });
  });

  it('what is wrong with a configuration is named, all at once, without a value', async () => {
    const bad = await t.acme('POST', path, {
      parent_version: 9,
      configuration: {
        '': 'canary-value',
        $x: 'canary-value',
        NUL: 'canary-value\u0000',
        NESTED: { a: [{ $secret: 'canary-value' }] },
        UNKNOWN: { $vault: 'canary-value' },
        BOTH: { $secret: 'canary-value', $key: 'x' },
        CLIENT: { $client: 'canary-value' },
        KEY: { $key: { keyring: 'tokens-es256', format: 'canary-value' } },
        ['k'.repeat(300)]: 1,
        'line\nbreak': 1,
      },
    });
    assert.equal(bad.status, 400);
    assert.equal(bad.body.code, 'configuration.invalid');
    assert.equal(bad.body.errors.length, 10, bad.raw.body);
    assert.ok(bad.body.errors.every((error: { rule: string }) => error.rule.length > 0));
    assert.equal(bad.raw.body.includes('canary'), false);
    assert.equal(bad.raw.body.includes('line\\nbreak'), false);
    const proto = await t.app.inject({
      method: 'POST',
      url: path,
      headers: { authorization: `Bearer ${t.admin.token}`, 'content-type': 'application/json' },
      payload: '{"parent_version": 9, "configuration": {"__proto__": {"polluted": true}}}',
    });
    assert.equal(proto.statusCode, 400, proto.body);
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
    for (const more of [
      { message: 'with \u0000' },
      { labels: { a: 'with \u0000' } },
      { labels: { 'b\u0000': 'x' } },
      { labels: { a: 1 } },
      { message: '' },
    ]) {
      const answer = await t.acme('POST', path, { parent_version: 9, configuration: {}, ...more });
      assert.equal(answer.status, 400, JSON.stringify(more));
    }
    assert.equal((await t.latest('default')).version, 9);
  });

  it('the limits hold, and what is within them passes', async () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`K${index}`, index]));
    assert.equal((await t.acme('POST', path, { parent_version: 9, configuration: many(2001) })).status, 400);
    const large = await t.acme('POST', path, { parent_version: 9, configuration: { A: 'x'.repeat(520 * 1024) } });
    assert.equal(large.status, 400);
    assert.match(large.body.detail, /bytes of JSON; at most 524288/);
    const fits = { ...many(1999), SECRET: { $secret: 's'.repeat(400 * 1024) } };
    assert.equal((await t.publish('default', fits)).body.version, 10);
    // With what it inherits it may be too much.
    const heavy = await t.namespace('heavy', { extends: ['default'], configuration: { EXTRA: 1 } });
    assert.equal(heavy.status, 400);
    assert.match(heavy.body.detail, /2001 keys with what it inherits/);
    await t.publish('default', { A: 1 });
  });

  it('a service has 200 namespaces at most', async () => {
    await t.acme('POST', '/v1/services', { name: 'many' });
    await t.db.pool.query(
      `insert into configuration.namespaces (id, organization, service_id, service, name, created_at, created_by, updated_at)
       select 'ns_many' || n, 'acme', s.id, 'many', 'n' || n, now(), 'test', now()
       from identity.services s, generate_series(1, 198) n where s.organization = 'acme' and s.name = 'many'`,
    );
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => t.namespace(`many/${name}`)));
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([201, 409]));
    assert.equal(answers.filter((answer) => answer.status === 201).length, 2);
  });

  it('settings: labels narrow the list, the audit shows what they were', async () => {
    const patched = await t.acme('PATCH', path, { labels: { team: 'pay' }, schema: { properties: { A: true } } });
    assert.equal(patched.status, 200, patched.raw.body);
    const listed = await t.acme('GET', '/v1/services/billing/namespaces?label=team:pay');
    assert.deepEqual(
      listed.body.items.map((item: { namespace: string }) => item.namespace),
      ['default'],
    );
    const { rows } = await t.db.pool.query<{ details: { before: object; after: { labels: object } } }>(
      `select details from audit.entries where action = 'namespace.updated' and target_id = 'acme.billing/default'`,
    );
    const [details] = rows.map((row) => row.details);
    assert.deepEqual(Object.keys(details?.after ?? {}).toSorted(), ['labels', 'schema']);
    assert.deepEqual(details?.before, { labels: {}, schema: null });
    assert.deepEqual(details?.after.labels, { team: 'pay' });
    const removed = await t.acme('PATCH', path, { schema: null });
    assert.equal(Object.hasOwn(removed.body, 'schema'), false);
    for (const name of ['namespaces', 'tokens', 'agents', 'secrets', 'Upper', 'a b', '']) {
      assert.equal((await t.namespace(name)).status, 400, name);
    }
    assert.equal((await t.namespace('default')).body.code, 'configuration.namespace_exists');
  });

  it('writers at once: one wins each number', async () => {
    await t.namespace('busy', { configuration: {} });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        t.acme('POST', pathOf('busy'), { parent_version: 1, configuration: { index } }),
      ),
    );
    assert.equal(answers.filter((answer) => answer.status === 201).length, 1);
    for (const lost of answers.filter((answer) => answer.status !== 201)) {
      assert.deepEqual([lost.status, lost.body.latest_version], [409, 2]);
    }
  });
});
