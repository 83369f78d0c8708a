import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readDeclaration } from './index.ts';

test('the example in the root of the repository is a good declaration', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-example-'));
  try {
    const file = join(folder, 'gatehouse.yaml');
    await cp(fileURLToPath(new URL('../../../gatehouse.example.yaml', import.meta.url)), file);
    await writeFile(join(folder, 'records.secret'), 'k3Yq-0fSx8vW2mZr7tLp5nBd9cHg4jQa6eUi1oXs\n');
    await writeFile(join(folder, 'alice.password'), 'plum cobweb harvest lantern 71\n');
    await writeFile(join(folder, 'db.secret'), '7c1f2b9e04d65a83\n');
    await writeFile(join(folder, 'hooks.secret'), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n');
    const { organizations = {}, trusted_issuers: issuers = {}, webhooks = [] } = await readDeclaration(file);
    assert.deepEqual(Object.keys(organizations['acme']?.services ?? {}), ['records', 'web']);
    assert.equal(organizations['acme']?.users?.['alice']?.password, 'plum cobweb harvest lantern 71');
    const { DB_PASS: password } =
      organizations['acme']?.services?.['records']?.namespaces?.['default']?.configuration ?? {};
    assert.deepEqual(password, { $secret: '7c1f2b9e04d65a83' });
    assert.deepEqual(Object.keys(issuers), ['partner']);
    assert.equal(webhooks[0]?.secret, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  } finally {
    await rm(folder, { recursive: true });
  }
});
