import assert from 'node:assert/strict';
import { pbkdf2 } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { createGuardedFetch, FetchRefused, isPrivateAddress } from './guarded-fetch.ts';
import { createResolveName } from './public-lookup.ts';

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function reasonOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof FetchRefused, String(error));
    return error.reason;
  }
  return 'answered';
}

test('private addresses of both families are known, in every spelling', () => {
  for (const address of [
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    'not an address',
  ]) {
    assert.equal(isPrivateAddress(address), true, address);
  }
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111'])
    assert.equal(isPrivateAddress(address), false, address);
});

test('an origin is reachable only when it is named exactly', async () => {
  const origin = await serve((_request, response) => response.end('{"ok":true}'));
  const open = createGuardedFetch({ allowedOrigins: [origin] });
  assert.equal(new TextDecoder().decode((await open(`${origin}/x`)).body), '{"ok":true}');
  const closed = createGuardedFetch({ allowedOrigins: [] });
  assert.equal(await reasonOf(closed(origin)), 'not_https');
  assert.equal(await reasonOf(closed(origin.replace('http:', 'https:'))), 'private_address');
  assert.equal(await reasonOf(open(origin.replace('127.0.0.1', 'localhost'))), 'not_https');
});

test('every spelling of a loopback address is refused', async () => {
  const fetch = createGuardedFetch({ allowedOrigins: [] });
  for (const host of [
    '127.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    '0',
  ]) {
    assert.equal(await reasonOf(fetch(`https://${host}/`)), 'private_address', host);
  }
});

test('a name is refused when any of its addresses is private, and a name server that never answers holds up nothing else', async () => {
  const { port, silent } = await startNameServer({
    'inside.example': ['10.0.0.5'],
    'rebinding.example': ['192.0.2.7', '127.0.0.1'],
    'metadata.example': ['169.254.169.254'],
    'silent.example': undefined,
  });
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  resolver.setServers([`127.0.0.1:${port}`]);
  const fetch = createGuardedFetch({ allowedOrigins: [], resolveName: createResolveName(resolver) });
  for (const name of ['inside', 'rebinding', 'metadata']) {
    assert.equal(await reasonOf(fetch(`https://${name}.example/`)), 'private_address', name);
  }
  assert.equal(await reasonOf(fetch('https://nobody.example/')), 'unreachable');
  // More waiting lookups than there are threads: work on those threads goes on.
  const waiting = Array.from({ length: 16 }, () => reasonOf(fetch('https://silent.example/')));
  await silent;
  const settled = new Set<string>();
  for (const one of waiting) void one.then((reason) => settled.add(reason));
  await new Promise<void>((resolve, reject) => {
    pbkdf2('password', 'salt', 1000, 32, 'sha256', (error) => (error ? reject(error) : resolve()));
  });
  assert.deepEqual([...settled], [], 'the lookups still wait');
  for (const reason of await Promise.all(waiting)) assert.match(reason, /^(unreachable|timeout)$/);
});

test('redirects, bad statuses, large, broken and silent answers are refused', async () => {
  const origin = await serve((request, response) => {
    if (request.url === '/redirect') response.writeHead(302, { location: '/' }).end();
    else if (request.url === '/missing') response.writeHead(404).end();
    else if (request.url === '/large') response.end(Buffer.alloc(60 * 1024));
    else if (request.url === '/broken') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('part', () => response.destroy());
    }
  });
  const fetch = createGuardedFetch({ allowedOrigins: [origin] });
  assert.equal(await reasonOf(fetch(`${origin}/redirect`)), 'redirect');
  assert.equal(await reasonOf(fetch(`${origin}/missing`)), 'bad_status');
  assert.equal(await reasonOf(fetch(`${origin}/large`)), 'too_large');
  assert.equal(await reasonOf(fetch(`${origin}/broken`)), 'unreachable');
  assert.equal(await reasonOf(fetch(`${origin}/silent`)), 'timeout');
  assert.equal(await reasonOf(fetch('https://user:pass@example.com/')), 'bad_url');
});

/** A name server on loopback: A records of the names it knows, no answer for those without a list. */
async function startNameServer(zone: Readonly<Record<string, readonly string[] | undefined>>) {
  const socket = createSocket('udp4');
  const { promise: silent, resolve: heard } = Promise.withResolvers<void>();
  socket.on('message', (query, from) => {
    const labels: string[] = [];
    let end = 12;
    for (let length = query[end] ?? 0; length > 0; length = query[end] ?? 0) {
      labels.push(query.subarray(end + 1, end + 1 + length).toString());
      end += 1 + length;
    }
    const name = labels.join('.').toLowerCase();
    const known = Object.hasOwn(zone, name);
    const addresses = known ? zone[name] : [];
    if (addresses === undefined) {
      heard();
      return;
    }
    const isA = query.readUInt16BE(end + 1) === 1;
    const records = isA ? addresses : [];
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(known ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    const answers = records.map((address) =>
      Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]),
    );
    socket.send(Buffer.concat([header, query.subarray(12, end + 5), ...answers]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  after(() => socket.close());
  return { port: socket.address().port, silent };
}
