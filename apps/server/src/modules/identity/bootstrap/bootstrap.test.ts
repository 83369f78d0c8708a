import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestApp, operatorPassword, type TestApp } from '../../../testing/test-app.ts';

const noAdmin = { adminUsername: undefined, adminPassword: undefined };
const password = 'seven quiet herons at dusk';

const codeOf = (node: Pick<TestApp, 'modules'>) => node.modules.identity.setupUrl()?.split('#')[1] ?? '';
const setUp = (node: Pick<TestApp, 'app'>, form: Record<string, string>) =>
  node.app.inject({
    method: 'POST',
    url: '/setup',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams(form).toString(),
  });

async function operators(node: TestApp): Promise<string[]> {
  const { rows } = await node.db.pool.query<{ username: string }>(
    `select u.username from identity.users u join identity.memberships m on m.uid = u.uid
     where m.organization = 'gatehouse' and 'rol_gatehouse_admin' = any(m.role_ids)`,
  );
  return rows.map((row) => row.username);
}

test('the settings make the first operator once; later values change nothing', async () => {
  const node = await createTestApp();
  assert.deepEqual(await operators(node), ['root-operator']);
  assert.equal(node.modules.identity.setupUrl(), undefined);
  assert.equal((await node.app.inject('/setup')).statusCode, 410);
  assert.equal((await setUp(node, { code: 'x', username: 'late', password })).statusCode, 410);
  await node.another();
  assert.deepEqual(await operators(node), ['root-operator']);
  const log = node.logLines.join('');
  assert.match(log, /GATEHOUSE_ADMIN_USERNAME is not used/);
  assert.ok(!log.includes(operatorPassword));
});

test('a weak password in the settings refuses to start and says why', async () => {
  const node = await createTestApp({
    start: false,
    settings: { adminUsername: 'root', adminPassword: 'passwordpassword' },
  });
  await assert.rejects(
    node.start(),
    /GATEHOUSE_ADMIN_PASSWORD: The password is on the list of common and breached passwords/,
  );
});

test('without settings a one-time link leads to a page that makes the operator, with no script', async () => {
  const node = await createTestApp({ settings: noAdmin });
  const code = codeOf(node);
  assert.match(code, /^[A-Za-z0-9_-]{43}$/);
  const page = await node.app.inject('/setup');
  assert.equal(page.statusCode, 200);
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/);
  assert.equal(page.body.match(/type="password"/g)?.length, 1);
  assert.equal(page.body.match(/<button type="submit">/g)?.length, 1);
  assert.ok(!/<script>|style=|onclick/.test(page.body), 'nothing inline');
  for (const asset of ['/assets/style.css', '/assets/setup.js']) {
    assert.ok(page.body.includes(asset));
    const answer = await node.app.inject(asset);
    assert.equal(answer.statusCode, 200);
    const again = await node.app.inject({ url: asset, headers: { 'if-none-match': String(answer.headers.etag) } });
    assert.equal(again.statusCode, 304);
  }

  const wrongCode = await setUp(node, { code: '"><script>', username: '"><b>', password });
  assert.equal(wrongCode.statusCode, 403);
  assert.ok(!wrongCode.body.includes('"><script>') && !wrongCode.body.includes('"><b>'));
  const weak = await setUp(node, { code, username: 'root', password: 'rootrootrootroot' });
  assert.equal(weak.statusCode, 400);
  assert.match(weak.body, /role="alert"/);
  assert.ok(!weak.body.includes('rootrootrootroot'));

  const long = await setUp(node, { code, username: 'root', password: 'a'.repeat(2000) });
  assert.equal(long.statusCode, 400);
  assert.match(long.body, /role="alert">The password is longer than 256 characters/);
  assert.ok(!/name="password"[^>]* maxlength/.test(page.body), 'a browser would cut a long password in silence');
  const broken = await setUp(node, { code });
  assert.equal(broken.statusCode, 400);
  assert.match(String(broken.headers['content-type']), /^text\/html/);

  const made = await setUp(node, { code: ` ${code}\n`, username: 'root', password });
  assert.equal(made.statusCode, 201);
  assert.deepEqual(await operators(node), ['root']);
  assert.equal((await setUp(node, { code, username: 'second', password })).statusCode, 410);
  assert.equal((await node.app.inject('/setup')).statusCode, 410);
  const { rows } = await node.db.pool.query('select * from identity.setup_codes');
  assert.equal(rows.length, 0);
  const entries = await node.db.pool.query<{ action: string }>(`select action from audit.entries`);
  assert.ok(entries.rows.some((entry) => entry.action === 'operator.created'));
  assert.ok(!node.logLines.join('').includes(code), 'the code is printed, never logged');
});

test('however many use the links of however many nodes at once, there is one first operator', async () => {
  const node = await createTestApp({ settings: noAdmin });
  const nodes = [node, await node.another(), await node.another()];
  const codes = nodes.map(codeOf);
  assert.equal(new Set(codes).size, 3, 'every start prints a fresh link');
  const { rows } = await node.db.pool.query<{ hash: Buffer }>('select hash from identity.setup_codes');
  assert.ok(!rows.some((row) => codes.some((code) => row.hash.toString('utf8').includes(code))));
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      setUp(nodes[index % 3] ?? node, { code: codes[index % 3] ?? '', username: `root-${index}`, password }),
    ),
  );
  const statuses = answers.map((answer) => answer.statusCode).sort((left, right) => left - right);
  assert.deepEqual(statuses, [201, ...Array.from({ length: 11 }, () => 410)]);
  assert.equal((await operators(node)).length, 1);
});

test('nodes that start at once with settings make one operator', async () => {
  const node = await createTestApp({ start: false });
  const nodes = [node, await node.another(), await node.another()];
  await Promise.all(nodes.map((one) => one.start()));
  assert.deepEqual(await operators(node), ['root-operator']);
});
