import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';

let folder: string;
let file: string;
let server: TestApp;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-start-'));
  file = join(folder, 'gatehouse.yaml');
  await writeFile(join(folder, 'records.secret'), 'k3Yq-0fSx8vW2mZr7tLp5nBd9cHg4jQa6eUi1oXs\n');
  await writeFile(file, yaml('https://one.example/pop'));
  server = await createTestApp({ settings: { declaration: file } });
});
after(() => rm(folder, { recursive: true }));

const yaml = (popUrl: string) => `
organizations:
  acme:
    services:
      records: { pop_url: '${popUrl}', client_secret_file: ./records.secret, grants: [client_credentials] }
`;

async function popUrl(): Promise<string | undefined> {
  const { rows } = await server.db.pool.query<{ pop_url: string }>('select pop_url from identity.services');
  return rows[0]?.pop_url;
}

/** Changes it as an administrator would. */
async function changeByHand(url: string): Promise<void> {
  const answer = await server.app.inject({
    method: 'PATCH',
    url: '/v1/services/records',
    headers: { authorization: `Bearer ${await server.operatorToken()}`, 'gatehouse-organization': 'acme' },
    payload: { pop_url: url },
  });
  assert.equal(answer.statusCode, 200, answer.body);
}

test('the declaration is applied before the node serves, by the system', async () => {
  assert.equal(await popUrl(), 'https://one.example/pop');
  const { rows } = await server.db.pool.query(
    `select actor_type, actor_id, details->'created' as created from audit.entries where action = 'declaration.applied'`,
  );
  assert.deepEqual(rows, [{ actor_type: 'system', actor_id: 'declaration', created: 2 }]);
});

test('once per content: a further node leaves alone what people have changed since', async () => {
  await changeByHand('https://two.example/pop');
  await server.another();
  assert.equal(await popUrl(), 'https://two.example/pop');
  assert.ok(server.logLines.some((line) => line.includes('was applied before')));
});

test('changed content is applied again, also when only a secret in a file beside it changed', async () => {
  await writeFile(file, yaml('https://three.example/pop'));
  await server.another();
  assert.equal(await popUrl(), 'https://three.example/pop');
  await changeByHand('https://four.example/pop');
  await writeFile(join(folder, 'records.secret'), 'oXs-new-0fSx8vW2mZr7tLp5nBd9cHg4jQa6eUi1\n');
  await server.another();
  assert.equal(await popUrl(), 'https://three.example/pop');
});

test('what the database remembers of the content does not help to guess what it holds', async () => {
  const { rows } = await server.db.pool.query<{ content_hash: string }>('select content_hash from declaration.applied');
  assert.equal(rows.length, 1);
  assert.match(rows[0]?.content_hash ?? '', /^\$argon2id\$/);
});

test('a secret that nobody would see, and a file that is not right, end the start with what to do', async () => {
  const refused = join(folder, 'refused.yaml');
  const node = await createTestApp({ start: false, settings: { declaration: refused } });
  await writeFile(refused, 'organizations: { acme: { services: { web: { grants: [client_credentials] } } } }');
  await assert.rejects(node.start(), (error: Error) => {
    assert.match(error.message, /^organizations\.acme\.services\.web\.client_secret_file is missing: at the start/);
    return true;
  });
  const { rows } = await node.db.pool.query(`select 1 from identity.organizations where name = 'acme'`);
  assert.equal(rows.length, 0);
  await node.close();
});

test('the example in the root of the repository can be applied at start', async () => {
  const example = join(folder, 'example.yaml');
  await cp(fileURLToPath(new URL('../../../../../gatehouse.example.yaml', import.meta.url)), example);
  await writeFile(join(folder, 'alice.password'), 'plum cobweb harvest lantern 71\n');
  await writeFile(join(folder, 'db.secret'), '7c1f2b9e04d65a83\n');
  await writeFile(join(folder, 'hooks.secret'), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n');
  const node = await createTestApp({ settings: { declaration: example } });
  const { rows } = await node.db.pool.query('select client_id from identity.services order by client_id');
  assert.deepEqual(rows, [{ client_id: 'acme.records' }, { client_id: 'acme.web' }]);
  const counted = await node.db.pool.query(`select (select count(*)::int from configuration.versions) as versions,
    (select count(*)::int from audit.webhooks) as webhooks`);
  assert.deepEqual(counted.rows, [{ versions: 1, webhooks: 1 }]);
  await node.close();
});
