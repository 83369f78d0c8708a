/**
 * The service alone, through HTTP, beside a stand-in for Gatehouse (keys and token exchange only). With the real server
 * it is tested by the journey.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { generateKeyPair, importSigningKey, signCompactJws } from '@gatehouse/crypto';
import { sealTo } from '@gatehouse/sdk';
import type { FastifyInstance } from 'fastify';
import { createRecords } from './app.ts';
import { readSettings, type Settings } from './settings.ts';

const maxFileBytes = 1_000_000;

describe('records', () => {
  let folder: string;
  let gatehouse: Server;
  let issuer: string;
  let settings: Settings;
  let app: FastifyInstance;
  let records: string;
  let refusal: { status: number; error: string } | undefined;
  const signing = generateKeyPair('ES256');

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'records-'));
    gatehouse = createServer((request, response) => {
      void answer(request).then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        return response.end(JSON.stringify(body));
      });
    });
    gatehouse.listen(0, '127.0.0.1');
    await once(gatehouse, 'listening');
    issuer = `http://127.0.0.1:${(gatehouse.address() as AddressInfo).port}`;
    settings = readSettings({
      GATEHOUSE_ISSUER: issuer,
      GATEHOUSE_CLIENT_ID: 'acme.records',
      GATEHOUSE_CLIENT_SECRET: 'not a real one',
      RECORDS_PORT: '0',
      RECORDS_DATA_DIR: folder,
      RECORDS_MAX_FILE_BYTES: String(maxFileBytes),
      RECORDS_MAX_FILES_PER_USER: '20',
      RECORDS_SECRET_CACHE_SECONDS: '0',
      RECORDS_LOG_LEVEL: 'silent',
    });
    app = await createRecords(settings);
    records = await app.listen({ port: 0, host: '127.0.0.1' });
  });
  after(async () => {
    await app.close();
    gatehouse.closeAllConnections();
    gatehouse.close();
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    refusal = undefined;
  });

  /** Each subject's secret is a hash of its name; it is sealed to whatever the service publishes. */
  async function answer(request: IncomingMessage): Promise<{ status: number; body: object }> {
    if (request.url === '/.well-known/jwks.json') return { status: 200, body: { keys: [(await signing).publicJwk] } };
    let form = '';
    for await (const chunk of request as AsyncIterable<Buffer>) form += chunk.toString();
    if (refusal !== undefined) return { status: refusal.status, body: { error: refusal.error } };
    const token = new URLSearchParams(form).get('subject_token') ?? '';
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sub: string };
    const secret = createHash('sha256').update(sub).digest('base64url');
    const access_token = await sealTo(`${records}/pop`, secret);
    const issued_token_type = 'urn:gatehouse:params:oauth:token-type:user-secret';
    return { status: 200, body: { access_token, issued_token_type, token_type: 'N_A', expires_in: 60 } };
  }

  async function tokenOf(sub: string): Promise<string> {
    const { privateJwk } = await signing;
    const iat = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, sub, aud: 'acme.records', iat, exp: iat + 60, jti: randomBytes(8).toString('hex') };
    return signCompactJws({ key: importSigningKey(privateJwk), payload: JSON.stringify(claims), typ: 'at+jwt' });
  }

  async function call(sub: string, path: string, init: RequestInit & { headers?: Record<string, string> } = {}) {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${await tokenOf(sub)}`);
    return fetch(`${records}${path}`, { ...init, headers });
  }

  async function upload(sub: string, name: string, body: Uint8Array<ArrayBuffer> | string, sealed = false) {
    const headers = {
      'content-type': sealed ? 'application/jose' : 'application/octet-stream',
      'file-name': encodeURIComponent(name),
    };
    return call(sub, '/files', { method: 'POST', headers, body });
  }

  const codeOf = async (response: Response) => {
    assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
    return ((await response.json()) as { code: string }).code;
  };

  it('keeps files of any bytes and any name, plain or sealed on the way', async () => {
    for (const [name, bytes] of [
      ['empty', Buffer.alloc(0)],
      ['Prüfung – 日本.pdf', Buffer.from('grüße')],
      ['exactly the limit', randomBytes(maxFileBytes)],
    ] as const) {
      for (const sealed of [false, true]) {
        const stored = await upload('alice', name, sealed ? await sealTo(`${records}/pop`, bytes) : bytes, sealed);
        assert.equal(stored.status, 201);
        const { id, size_bytes: size } = (await stored.json()) as { id: string; size_bytes: number };
        assert.equal(stored.headers.get('location'), `/files/${id}`);
        assert.equal(size, bytes.length);
        const read = await call('alice', `/files/${id}`);
        assert.equal(
          read.headers.get('content-disposition'),
          `attachment; filename*=UTF-8''${encodeURIComponent(name)}`,
        );
        assert.deepEqual(Buffer.from(await read.arrayBuffer()), bytes);
      }
    }
    const { items } = (await (await call('alice', '/files')).json()) as { items: { name: string }[] };
    assert.ok(items.some((item) => item.name === 'Prüfung – 日本.pdf'));
  });

  it('stores nothing readable: neither content nor name', async () => {
    const marker = 'a text that would be found';
    await upload('alice', `${marker}.txt`, Buffer.from(marker.repeat(100)));
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      assert.ok(!(await readFile(join(entry.parentPath, entry.name))).includes(marker), entry.name);
    }
  });

  it('hides each user’s files from every other, for reading and for removing', async () => {
    const { id } = (await (await upload('alice', 'mine', Buffer.from('x'))).json()) as { id: string };
    assert.deepEqual(await (await call('bob', '/files')).json(), { items: [] });
    for (const path of [
      `/files/${id}`,
      '/files/file_00000000000000000000000000000000',
      '/files/..%2F..%2Frecords.db',
    ]) {
      for (const method of ['GET', 'DELETE']) {
        const answered = await call('bob', path, { method });
        assert.equal(answered.status, 404);
        assert.equal(await codeOf(answered), 'not_found');
      }
    }
    assert.equal((await call('alice', `/files/${id}`, { method: 'DELETE' })).status, 204);
    assert.equal((await call('alice', `/files/${id}`)).status, 404);
    assert.ok(!(await readdir(join(folder, 'files'))).includes(id));
  });

  it('does not give out a file that was changed or cut short', async () => {
    const ids: string[] = [];
    for (const name of ['one', 'two']) {
      const stored = await upload('alice', name, randomBytes(200_000));
      ids.push(((await stored.json()) as { id: string }).id);
    }
    const [one = '', two = ''] = ids;
    const pathOf = (id: string) => join(folder, 'files', id);
    const original = await readFile(pathOf(one));
    await writeFile(pathOf(one), await readFile(pathOf(two)));
    assert.equal(await codeOf(await call('alice', `/files/${one}`)), 'data_cannot_open');
    // Cut after the first chunks: the answer has begun, so it ends short of its length.
    await writeFile(pathOf(one), original.subarray(0, -50_000));
    await assert.rejects((await call('alice', `/files/${one}`)).arrayBuffer());
  });

  it('answers what it does not take with a problem, and keeps nothing of it', async () => {
    const before = await readdir(join(folder, 'files'));
    const tooLarge = Buffer.alloc(maxFileBytes + 1);
    const cases: [Promise<Response>, number, string][] = [
      [upload('alice', 'x', tooLarge), 413, 'file_too_large'],
      [upload('alice', 'x', await sealTo(`${records}/pop`, tooLarge), true), 413, 'sealed_too_large'],
      [upload('alice', 'x', 'not sealed', true), 400, 'sealed_malformed'],
      [upload('alice', '', Buffer.from('x')), 400, 'wrong_file_name'],
      [upload('alice', '../x', Buffer.from('x')), 400, 'wrong_file_name'],
      [upload('alice', 'a\nb', Buffer.from('x')), 400, 'wrong_file_name'],
      [call('alice', '/files', { method: 'POST', headers: { 'file-name': '%' }, body: 'x' }), 400, 'wrong_file_name'],
      [
        call('alice', '/files', {
          method: 'POST',
          headers: { 'file-name': 'x', 'content-type': 'text/plain' },
          body: 'x',
        }),
        415,
        'wrong_content_type',
      ],
      [fetch(`${records}/files`), 401, 'token_missing'],
      [fetch(`${records}/nowhere`), 401, 'token_missing'],
    ];
    for (const [response, status, code] of cases) {
      const answered = await response;
      assert.equal(answered.status, status, code);
      assert.equal(await codeOf(answered), code);
    }
    assert.deepEqual(await readdir(join(folder, 'files')), before);
    assert.equal((await fetch(`${records}/health`)).status, 200);
  });

  it('counts a stream without a length, and forgets an upload that breaks off', async () => {
    const before = await readdir(join(folder, 'files'));
    const { hostname, port } = new URL(records);
    const head = `POST /files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${await tokenOf('alice')}\r\nfile-name: x\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n`;
    const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`;

    const endless = connect(Number(port), hostname);
    endless.on('error', () => undefined);
    endless.write(head + chunk.repeat(20));
    const [answered] = (await once(endless, 'data')) as [Buffer];
    assert.match(answered.toString(), /^HTTP\/1\.1 413 /);
    endless.destroy();

    const broken = connect(Number(port), hostname);
    broken.write(head + chunk);
    // It is being written when it breaks off.
    while (!(await readdir(join(folder, 'files'))).some((name) => name.endsWith('.tmp')))
      await new Promise(setImmediate);
    broken.destroy();
    // The next request proves that the service lives; the folder is looked at until the remains are gone.
    assert.equal((await call('alice', '/files')).status, 200);
    while ((await readdir(join(folder, 'files'))).length > before.length) await new Promise(setImmediate);
    assert.deepEqual(await readdir(join(folder, 'files')), before);
  });

  it('tells a refused user, a refused service and an absent server apart', async () => {
    for (const [error, status, code] of [
      ['invalid_grant', 403, 'secret_refused'],
      ['invalid_client', 502, 'service_refused'],
      ['temporarily_unavailable', 503, 'server_unavailable'],
    ] as const) {
      refusal = { status: 400, error };
      const answered = await upload('alice', 'x', Buffer.from('x'));
      assert.equal(answered.status, status);
      assert.equal(answered.headers.has('retry-after'), status === 503);
      assert.equal(await codeOf(answered), code);
    }
  });

  it('keeps no more files for a user than it should', async () => {
    for (let n = 0; n < 20; n++) assert.equal((await upload('carol', `${n}`, Buffer.from('x'))).status, 201);
    assert.equal(await codeOf(await upload('carol', 'one more', Buffer.from('x'))), 'too_many_files');
  });

  it('opens everything again after a restart', async () => {
    const { id } = (await (await upload('dave', 'kept', Buffer.from('kept'))).json()) as { id: string };
    await app.close();
    app = await createRecords(settings);
    records = await app.listen({ port: 0, host: '127.0.0.1' });
    assert.equal(await (await call('dave', `/files/${id}`)).text(), 'kept');
  });
});

describe('readSettings', () => {
  it('names everything that is missing or wrong', () => {
    assert.throws(
      () => readSettings({ RECORDS_PORT: 'x', GATEHOUSE_CLIENT_SECRET_FILE: '/nowhere' }),
      (error: Error) => {
        for (const name of [
          'GATEHOUSE_ISSUER',
          'GATEHOUSE_CLIENT_ID',
          'GATEHOUSE_CLIENT_SECRET_FILE',
          'RECORDS_PORT',
        ]) {
          assert.match(error.message, new RegExp(`- ${name}`));
        }
        return true;
      },
    );
  });
});
