import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { createGuardedFetch, FetchRefused, isPrivateAddress } from './guarded-fetch.ts';

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
