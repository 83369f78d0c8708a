import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { encryptCompactJwe, type PublicJwk } from '@gatehouse/crypto';
import { calculateJwkThumbprint, createLocalJWKSet, exportJWK, type JWK, jwtVerify } from 'jose';
import { sql } from 'kysely';
import { isAppError } from '../../kernel/index.ts';
import { defaultKeyrings } from './index.ts';
import { createKeysApp, createKeysFixture, origin } from './keys-fixture.ts';

const fixture = await createKeysFixture();
const node = await fixture.node({ keyrings: defaultKeyrings });
const { keys } = node;
const app = await createKeysApp(node, fixture.log, { organization: 'gatehouse', permissions: [] });
const get = (url: string, headers: Record<string, string> = {}) => app.inject({ method: 'GET', url, headers });
const rotate = (keyring: string) => keys.rotateKeyring({ keyring, organization: 'gatehouse', origin, force: true });

test('JWKS: signature keys with thumbprints as kid, no private member, verified by a foreign library', async () => {
  const answer = await get('/.well-known/jwks.json');
  assert.equal(answer.statusCode, 200);
  assert.match(String(answer.headers['content-type']), /^application\/json/);
  assert.equal(answer.headers['access-control-allow-origin'], '*');
  const { keys: list } = answer.json<{ keys: JWK[] }>();
  assert.deepEqual(
    list.map((key) => [key.use, key.alg, key.kty]),
    [
      ['sig', 'ES256', 'EC'],
      ['sig', 'ES256', 'EC'],
      ['sig', 'RS256', 'RSA'],
      ['sig', 'RS256', 'RSA'],
    ],
  );
  for (const key of list) {
    assert.equal(key.kid, await calculateJwkThumbprint(key));
    const allowed = key.kty === 'EC' ? ['kty', 'crv', 'x', 'y'] : ['kty', 'n', 'e'];
    assert.deepEqual(Object.keys(key).sort(), [...allowed, 'kid', 'use', 'alg'].sort());
  }
  assert.equal(new Set(list.map((key) => key.kid)).size, list.length);
  for (const keyring of ['tokens-es256', 'tokens-rs256'] as const) {
    const token = await keys.sign({ keyring, header: { typ: 'at+jwt' }, payload: { iss: 'us', sub: 'user-1' } });
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet({ keys: list }), { typ: 'at+jwt' });
    assert.equal(payload.sub, 'user-1');
    assert.equal(protectedHeader.kid, keys.signingJwks().keys.find((key) => key.alg === protectedHeader.alg)?.kid);
  }
  assert.deepEqual(keys.signatureAlgorithms(), ['ES256', 'RS256']);
});

test('/pop: encryption keys in use and signature keys in use, never the next ones nor the audit key', async () => {
  const { keys: list } = (await get('/pop')).json<{ keys: JWK[] }>();
  assert.deepEqual(
    list.map((key) => [key.use, key.alg]),
    [
      ['enc', 'RSA-OAEP-256'],
      ['enc', 'ECDH-ES+A256KW'],
      ['sig', 'ES256'],
      ['sig', 'RS256'],
    ],
  );
});

test('ETag and Cache-Control: 304 while unchanged, never past half of publishBefore or the next transition', async () => {
  const first = await get('/.well-known/jwks.json');
  const etag = String(first.headers['etag']);
  assert.equal(first.headers['cache-control'], 'public, max-age=300');
  for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const again = await get('/.well-known/jwks.json', { 'if-none-match': header });
    assert.equal(again.statusCode, 304, header);
    assert.equal(again.body, '');
    assert.equal(again.headers['etag'], etag);
    assert.equal(again.headers['access-control-allow-origin'], '*');
  }
  await rotate('tokens-es256');
  const changed = await get('/.well-known/jwks.json', { 'if-none-match': etag });
  assert.equal(changed.statusCode, 200);
  assert.notEqual(changed.headers['etag'], etag);
  fixture.clock.advance(25 * 86_400);
  await keys.rotateDue(); // the key before has expired
  fixture.clock.advance(5 * 86_400 - 100);
  assert.equal((await get('/pop')).headers['cache-control'], 'public, max-age=100');
  assert.equal((await get('/.well-known/jwks.json')).headers['cache-control'], 'public, max-age=300');
});

test('PEM of one key; unknown kids and keys of other documents are 404', async () => {
  const { keys: list } = (await get('/pop')).json<{ keys: JWK[] }>();
  for (const key of list) {
    const answer = await get(`/pop/${key.kid}.pem`);
    assert.equal(answer.statusCode, 200, answer.body);
    assert.equal(answer.headers['content-type'], 'application/x-pem-file');
    const jwk = await exportJWK(createPublicKey(answer.body));
    assert.equal(await calculateJwkThumbprint(jwk), key.kid);
    assert.equal((await get(`/.well-known/jwks/${key.kid}.pem`)).statusCode, key.use === 'sig' ? 200 : 404);
  }
  const auditKid = String(keys.auditKeys()[0]?.kid);
  for (const kid of [auditKid, 'A'.repeat(43), 'short', '..%2f..%2fetc']) {
    const answer = await get(`/pop/${kid}.pem`);
    assert.equal(answer.statusCode, 404);
    assert.equal(answer.json<{ code: string }>().code, 'kernel.not_found');
  }
});

test('messages sealed to /pop open with the key in use and with the one before; every failure is one answer', async () => {
  const plaintext = new TextEncoder().encode('{"username":"alice"}');
  const encryption = () => keys.pop().body.keys.filter((key) => key.use === 'enc');
  const seal = (jwk: PublicJwk) => encryptCompactJwe({ jwk, plaintext });
  const tokens = encryption().map(seal);
  assert.equal(tokens.length, 2);
  for (const token of tokens) assert.deepEqual(await keys.decrypt(token), plaintext);
  await rotate('pop');
  await rotate('pop-ec');
  for (const token of tokens) assert.deepEqual(await keys.decrypt(token), plaintext);

  const details = new Set<string | undefined>();
  const refused = async (token: string) => {
    await assert.rejects(keys.decrypt(token), (error: unknown) => {
      assert.ok(isAppError(error, 'keys.cannot_decrypt'));
      details.add(error.detail);
      return true;
    });
  };
  for (const token of tokens) {
    const parts = token.split('.');
    for (const index of [1, 2, 3, 4]) {
      const part = parts[index] ?? '';
      const changed = `${part[0] === 'A' ? 'B' : 'A'}${part.slice(1)}`;
      await refused(parts.map((one, other) => (other === index ? changed : one)).join('.'));
    }
    const header = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
    for (const kid of ['unknown', undefined]) {
      const renamed = Buffer.from(JSON.stringify({ ...header, kid })).toString('base64url');
      await refused([renamed, ...parts.slice(1)].join('.'));
    }
  }
  assert.equal(details.size, 1, [...details].join('\n'));

  for (let week = 0; week < 6; week += 1) {
    fixture.clock.advance(7 * 86_400 + 1);
    await keys.rotateDue();
  }
  for (const token of tokens) await refused(token);
  assert.equal(details.size, 1);
  await refused('not.a.jwe');
});

test('public keys are served and tokens signed and verified while the database is away', async () => {
  const lonely = await createKeysFixture();
  const own = await lonely.node({ start: false });
  assert.equal(own.keys.readiness(), 'The keys are not loaded yet.');
  await own.changes.start();
  await own.keys.start();
  assert.equal(own.keys.readiness(), undefined);
  const http = await createKeysApp(own, lonely.log, { organization: 'gatehouse', permissions: [] });
  const name = new URL(lonely.connectionString).pathname.slice(1);
  await node.db.read((tx) => sql`alter database ${sql.raw(name)} allow_connections false`.execute(tx));
  await node.db.read((tx) =>
    sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`.execute(tx),
  );
  await assert.rejects(own.db.read((tx) => tx.selectFrom('keys.keys').selectAll().execute()));
  await own.keys.rotateDue(); // fails, and says so in the log
  for (const url of ['/.well-known/jwks.json', '/pop']) {
    assert.equal((await http.inject({ method: 'GET', url })).statusCode, 200);
  }
  const token = await own.keys.sign({ keyring: 'tokens-es256', payload: { sub: 'user-1' } });
  await jwtVerify(token, createLocalJWKSet(own.keys.jwks().body as unknown as { keys: JWK[] }));
  await own.keys.stop();
  await own.changes.stop();
});
