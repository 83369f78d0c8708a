import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type {
  Declaration,
  DeclarationApplied,
  DeclarationPlan,
  DeclaredNamespace,
  DeclaredWebhook,
} from '@gatehouse/contracts';
import { createAccountsFixture } from '../../testing/accounts-fixture.ts';
import { createTestApp } from '../../testing/test-app.ts';

const t = await createAccountsFixture();
const folder = await mkdtemp(join(tmpdir(), 'gatehouse-declaration-'));
after(() => rm(folder, { recursive: true }));

const canary = 'Canary-db-pass-91';
const clientSecret = 'k3Yq-0fSx8vW2mZr7tLp5nBd9cHg4jQa6eUi1oXs';
const hookSecret = 'whsec_bm90IGEgc2VjcmV0IGJ1dCAzMiBieXRlcyBsb25nISE=';

const send = (path: 'plan' | 'apply', declaration: unknown, prune = false, token = t.operator) =>
  t.call('POST', `/v1/declaration/${path}`, { token, payload: { declaration, prune } });
async function plan(declaration: Declaration, prune = false): Promise<DeclarationPlan> {
  const { status, body, raw } = await send('plan', declaration, prune);
  assert.equal(status, 200, raw.body);
  assert.ok(!raw.body.includes(canary), 'no secret is in a plan');
  return body;
}
async function apply(declaration: Declaration, prune = false): Promise<DeclarationApplied> {
  const planned = await plan(declaration, prune);
  const { status, body, raw } = await send('apply', declaration, prune);
  assert.equal(status, 200, raw.body);
  assert.ok(!raw.body.includes(canary));
  assert.deepEqual(body.steps, planned.steps, 'the plan that was shown is what is done');
  return body;
}
const lines = ({ steps }: DeclarationPlan) =>
  steps
    .filter(({ action }) => action !== 'unchanged')
    .map(({ action, kind, name, changes }) =>
      [action, kind, name, ...changes.map(({ field, from, to }) => `${field}:${text(from)}>${text(to)}`)].join(' '),
    );
const text = (value: unknown) => (value === undefined ? '' : JSON.stringify(value));

/** A service of an organization with these namespaces. */
function records(organization: string, namespaces: Record<string, DeclaredNamespace>): Declaration {
  const service = { client_secret: clientSecret, audience: `${organization}-records`, namespaces };
  return { organizations: { [organization]: { services: { records: service } } } };
}
const read = async (organization: string, path: string) =>
  (await t.call('GET', `/v1/services/records/${path}`, { token: t.operator, organization })).body;

test('namespaces are made with their first version; applied twice is a no-op, also for secrets', async () => {
  const declared = records('first', {
    default: {
      configuration: {
        DB_HOST: '127.0.0.1',
        LIMITS: { read: [1, 2] },
        DB_PASS: { $secret: canary },
        ME: { $client: 'id' },
      },
      extends: ['base'],
      labels: { team: 'storage' },
    },
    base: { configuration: { LOG_LEVEL: 'info' }, shared: true },
    bare: {},
  });
  const applied = await apply(declared);
  assert.deepEqual(lines(applied), [
    'create organization first',
    'create service first.records audience:>"first-records" client_secret:>',
    'create namespace first.records/default extends:>["base"] labels:>{"team":"storage"} configuration.DB_HOST:>"127.0.0.1" configuration.LIMITS:>{"read":[1,2]} configuration.DB_PASS:> configuration.ME:>{"$client":"id"}',
    'create namespace first.records/base shared:>true configuration.LOG_LEVEL:>"info"',
    'create namespace first.records/bare',
  ]);
  const version = await read('first', 'default/1');
  assert.equal(version.configuration.LOG_LEVEL, 'info', 'the base was published first');
  assert.equal(version.configuration.DB_HOST, '127.0.0.1');
  assert.match(version.configuration.DB_PASS.$secret.fingerprint, /^[A-Za-z0-9_-]{16}$/);
  assert.deepEqual(
    [
      (await read('first', 'default')).version,
      (await read('first', 'base')).version,
      (await read('first', 'bare')).version,
    ],
    [1, 1, 0],
  );
  assert.deepEqual(lines(await apply(declared)), []);
  assert.equal((await read('first', 'default')).version, 1);
  const revealed = await t.call('POST', '/v1/services/records/default/1/reveal', {
    token: t.operator,
    organization: 'first',
    payload: {},
  });
  assert.equal(revealed.body.values.DB_PASS, canary);
});

test('what differs is published, key by key; an unchanged secret keeps its fingerprint, a changed one is not shown', async () => {
  const namespace = (configuration: Record<string, unknown>, more: DeclaredNamespace = {}) =>
    records('second', { default: { configuration, ...more } });
  await apply(
    namespace({ A: 1, B: 'old', GONE: true, KEEP: { $secret: 'kept' }, TURN: { $secret: canary }, OPEN: 'x' }),
  );
  const before = (await read('second', 'default/1')).configuration;
  const next = namespace(
    {
      A: 1,
      B: 'new',
      KEEP: { $secret: 'kept' },
      TURN: { $secret: `${canary}-2` },
      OPEN: { $secret: canary },
      ADDED: null,
    },
    { shared: true, schema: { type: 'object' } },
  );
  assert.deepEqual(lines(await apply(next)), [
    'update namespace second.records/default shared:false>true schema:>{"type":"object"} configuration.B:"old">"new" configuration.TURN:> configuration.OPEN:"x"> configuration.ADDED:>null configuration.GONE:true>',
  ]);
  const after = (await read('second', 'default/2')).configuration;
  assert.deepEqual(Object.keys(after).sort(), ['A', 'ADDED', 'B', 'KEEP', 'OPEN', 'TURN']);
  assert.deepEqual(after.KEEP, before.KEEP);
  assert.notDeepEqual(after.TURN, before.TURN);
  assert.deepEqual(lines(await apply(next)), []);
  // Settings alone publish nothing, and what is not named stays.
  const settings = records('second', { default: { labels: { team: 'a' } } });
  assert.deepEqual(lines(await apply(settings)), ['update namespace second.records/default labels:{}>{"team":"a"}']);
  assert.equal((await read('second', 'default')).version, 2);
  // A change by hand is a difference again.
  const hand = { parent_version: 2, configuration: { B: 'by hand' } };
  const path = '/v1/services/records/default';
  assert.equal((await t.call('POST', path, { token: t.operator, organization: 'second', payload: hand })).status, 201);
  assert.equal((await plan(next)).summary.update, 1);
  assert.deepEqual(lines(await plan(settings)), []);
});

test('with prune, namespaces that a section does not name go, dependents first; without the section none', async () => {
  const all = records('third', {
    top: { configuration: {}, extends: ['middle'] },
    middle: { configuration: {}, extends: ['base'] },
    base: { configuration: { A: 1 } },
  });
  await apply(all);
  const onlyNew = records('third', { fresh: { configuration: { A: 2 } } });
  assert.deepEqual(lines(await apply(onlyNew)), ['create namespace third.records/fresh configuration.A:>2']);
  const silent: Declaration = {
    organizations: {
      third: { services: { records: { client_secret: clientSecret, audience: 'third-records' } } },
    },
  };
  assert.deepEqual(lines(await apply(silent, true)), []);
  assert.deepEqual(
    new Set(lines(await apply(onlyNew, true))),
    new Set(['top', 'middle', 'base'].map((name) => `delete namespace third.records/${name}`)),
  );
  const left = await t.call('GET', '/v1/services/records/namespaces', { token: t.operator, organization: 'third' });
  assert.deepEqual(
    left.body.items.map(({ namespace }: { namespace: string }) => namespace),
    ['fresh'],
  );
});

test('what cannot be is refused with its place, all or nothing', async () => {
  const cases: [Record<string, DeclaredNamespace>, RegExp][] = [
    [{ ok: { configuration: {} }, tokens: {} }, /namespaces\.tokens\.namespace is a name that the API uses itself/],
    [{ default: { extends: ['nowhere'] } }, /namespaces\.default/],
    [{ a: { extends: ['b'] }, b: { extends: ['a'] } }, /namespaces\.[ab]/],
    [
      { default: { configuration: { A: { $secret: 1, x: 2 } } } },
      /namespaces\.default\.configuration\.A has other members/,
    ],
    [{ default: { configuration: { A: { deep: { $secret: 1 } } } } }, /namespaces\.default\.configuration\.A/],
    [{ default: { configuration: { A: { $secret: { fingerprint: 'AAAAAAAAAAAAAAAA' } } } } }, /configuration\.A/],
    [
      { default: { configuration: { A: { secret_file: '/etc/passwd' } } } },
      /configuration\.A names a file; the API takes values/,
    ],
  ];
  for (const [namespaces, expected] of cases) {
    const answer = await send('apply', records('fourth', namespaces));
    assert.ok(answer.status >= 400 && answer.status < 500, answer.raw.body);
    assert.match(answer.body.detail, expected);
    assert.match(answer.body.detail, /^organizations\.fourth\.services\.records\./);
  }
  const { rows } = await t.db.pool.query(`select 1 from identity.organizations where name = 'fourth'`);
  assert.deepEqual(rows, []);
});

test('a declaration does not publish past a review', async () => {
  const declared = (value: number) =>
    records('fifth', { default: { configuration: { A: value }, review_required: true } });
  await apply(declared(1));
  const refused = await send('apply', declared(2));
  assert.equal(refused.status, 409, refused.raw.body);
  assert.equal(refused.body.code, 'configuration.review_required');
  assert.deepEqual(lines(await apply(declared(1))), []);
  // Switched off in the declaration, it publishes; switched on, the review begins behind what comes with it.
  const open = records('fifth', { default: { configuration: { A: 2 }, review_required: false } });
  assert.deepEqual(lines(await apply(open)), [
    'update namespace fifth.records/default review_required:true>false configuration.A:1>2',
  ]);
  assert.deepEqual(lines(await apply(declared(3))), [
    'update namespace fifth.records/default review_required:false>true configuration.A:2>3',
  ]);
  assert.deepEqual(lines(await apply(declared(3))), []);
});

test('a declared client secret is changed though instances get the one before by reference', async () => {
  const declared = (secret: string): Declaration => ({
    organizations: {
      ref: {
        services: {
          records: {
            client_secret: secret,
            audience: 'ref-records',
            namespaces: { default: { configuration: { CLIENT_SECRET: { $client: 'secret' } } } },
          },
        },
      },
    },
  });
  await apply(declared(clientSecret));
  assert.deepEqual(lines(await apply(declared(clientSecret))), []);
  const next = `${clientSecret}-next`;
  assert.deepEqual(lines(await apply(declared(next))), ['update service ref.records client_secret:>']);
  assert.deepEqual(lines(await apply(declared(next))), []);
  const { secrets } = (await t.call('GET', '/v1/services/records', { token: t.operator, organization: 'ref' })).body;
  assert.equal(secrets.length, 2, 'running instances keep theirs until they have the new one');
});

test('a version published while a declaration is being applied is not overwritten', async () => {
  const declared = (value: number) => records('sixth', { default: { configuration: { A: value } } });
  await apply(declared(1));
  const payload = (parent: number) => ({ parent_version: parent, configuration: { A: 'by hand' } });
  const answers = await Promise.all([
    send('apply', declared(2)),
    t.call('POST', '/v1/services/records/default', { token: t.operator, organization: 'sixth', payload: payload(1) }),
  ]);
  const wins = answers.filter(({ status }) => status < 300).length;
  const { version } = await read('sixth', 'default');
  assert.equal(version, 1 + wins, 'a version for each who was told of success');
  assert.ok(answers.every(({ status }) => status < 300 || status === 409));
});

test('webhooks are made, changed and, with prune, deleted; a generated secret is shown once', async () => {
  const declaration = (...webhooks: DeclaredWebhook[]): Declaration => ({
    organizations: { seventh: {}, acme: {} },
    webhooks,
  });
  const platform = { url: 'https://hooks.gatehouse.example', events: ['keys.rotated', 'user.*'] };
  const own = {
    url: 'https://hooks.seventh.example/a',
    events: ['user.*'],
    organization: 'seventh',
    secret: hookSecret,
  };
  const applied = await apply(declaration(platform, own));
  assert.deepEqual(lines(applied), [
    'create organization seventh',
    'create webhook https://hooks.gatehouse.example events:>["keys.rotated","user.*"] secret:>"generated, shown once"',
    'create webhook https://hooks.seventh.example/a events:>["user.*"] secret:>',
  ]);
  const [shown, ...more] = applied.webhook_secrets;
  assert.deepEqual(more, []);
  assert.deepEqual([shown?.organization, shown?.url], ['gatehouse', 'https://hooks.gatehouse.example']);
  assert.match(shown?.secret ?? '', /^whsec_/);
  assert.deepEqual(lines(await apply(declaration(platform, own))), []);
  const { id = '' } = shown ?? {};
  const listed = await t.call('GET', '/v1/webhooks', { token: t.operator });
  assert.deepEqual(
    listed.body.items.map((one: { id: string }) => one.id),
    [id],
  );
  // Other events, another secret; the order of events means nothing.
  const other = { ...own, secret: `whsec_${Buffer.alloc(32, 9).toString('base64')}` };
  const turned = { ...platform, events: ['user.*', 'keys.rotated'], description: 'the operators' };
  assert.deepEqual(lines(await apply(declaration(turned, other))), [
    'update webhook https://hooks.gatehouse.example description:>"the operators"',
    'update webhook https://hooks.seventh.example/a secret:>',
  ]);
  assert.deepEqual(lines(await apply(declaration(turned, other))), []);
  assert.ok(!(await send('plan', declaration(turned, own))).raw.body.includes(hookSecret));
  // Disabled by hand it stays so, and the plan says it.
  assert.equal(
    (await t.call('PATCH', `/v1/webhooks/${id}`, { token: t.operator, payload: { enabled: false } })).status,
    200,
  );
  assert.match((await apply(declaration(turned, other))).warnings[0] ?? '', /is declared and disabled/);
  // Pruned are those of named organizations, never the operators'.
  const pruned = await apply({ organizations: { seventh: {} }, webhooks: [] }, true);
  assert.deepEqual(lines(pruned), ['delete webhook https://hooks.seventh.example/a']);
  assert.equal((await t.call('GET', `/v1/webhooks/${id}`, { token: t.operator })).status, 200);
  // An address of nobody, an organization that is not there, an event that is none.
  for (const [webhook, expected] of [
    [{ url: 'https://10.0.0.1/', events: ['*'] }, /^webhooks\.0\.url is a private address/],
    [{ url: 'https://h.example/', events: ['user.exploded'] }, /^webhooks\.0\.events names no event: user\.exploded/],
    [
      { url: 'https://h.example/', events: ['*'], organization: 'nobody' },
      /^webhooks\.0\.organization is nobody, which does not exist/,
    ],
    [
      { url: 'https://h.example/', events: ['*'], secret: 'whsec_AAAA' },
      /^webhooks\.0\.secret is not a webhook secret/,
    ],
  ] as const) {
    const answer = await send('plan', declaration(webhook as unknown as DeclaredWebhook));
    assert.equal(answer.status, 400, answer.raw.body);
    assert.match(answer.body.detail, expected);
  }
});

test('only operators declare; no secret of it is in the log, the audit or the database', async () => {
  const admin = await t.member('acme-admin', ['admin']);
  assert.equal((await send('apply', records('acme', { default: {} }), false, admin.token)).status, 403);
  const { rows } = await t.db.pool.query('select row_to_json(e) as entry from audit.entries e');
  const { rows: versions } = await t.db.pool.query('select row_to_json(v) as version from configuration.versions v');
  const everything = [...t.logLines, ...[...rows, ...versions].map((row) => JSON.stringify(row))].join('\n');
  for (const secret of [canary, hookSecret.slice(6), clientSecret]) assert.ok(!everything.includes(secret), secret);
});

test('at the start of the server: secrets from files, once per content; a webhook whose secret nobody would see is refused', async () => {
  const file = join(folder, 'gatehouse.yaml');
  const yaml = (more: string) => `
organizations:
  acme:
    services:
      records:
        authentication: none
        namespaces:
          default: { configuration: { DB_HOST: 127.0.0.1, DB_PASS: { secret_file: ./db.secret } } }
webhooks:
  - { url: 'https://hooks.acme.example/', events: ['user.*'], organization: acme${more} }
`;
  await writeFile(join(folder, 'db.secret'), `${canary}\n`);
  await writeFile(join(folder, 'hook.secret'), `${hookSecret}\n`);
  await writeFile(file, yaml(', secret_file: hook.secret'));
  const node = await createTestApp({ settings: { declaration: file } });
  const versions = async () =>
    (await node.db.pool.query('select version, created_by from configuration.versions order by version')).rows;
  assert.deepEqual(await versions(), [{ version: 1, created_by: 'declaration' }]);
  await node.another();
  assert.equal((await versions()).length, 1);
  await writeFile(join(folder, 'db.secret'), `${canary}-2\n`);
  await node.another();
  assert.equal((await versions()).length, 2);
  await writeFile(file, yaml('').replace('/hooks.acme', '/other.acme'));
  await assert.rejects(node.another(), /webhooks\.0\.secret_file is missing/);
  assert.ok(!node.logLines.join('\n').includes(canary));
});
