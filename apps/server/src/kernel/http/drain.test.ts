import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { createDrain } from './drain.ts';

const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
  });
}

test('a request on a connection that was open before is answered, and the connection ends; a new one is refused', async () => {
  const server = createServer((_request, response) => response.end('done'));
  const drain = createDrain(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const closed = once(server, 'close');
  const { port } = server.address() as AddressInfo;
  const [fresh, used, silent] = [await open(port), await open(port), await open(port)];
  used.write(request);
  await new Promise((resolve) => used.once('data', resolve));
  let isDrained = false;
  const draining = drain().then(() => {
    isDrained = true;
    return isDrained;
  });
  while (server.listening) await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(open(port), { code: 'ECONNREFUSED' });
  for (const socket of [fresh, used]) {
    socket.write(request);
    assert.match(await text(socket), /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n[^]*done$/i);
  }
  assert.equal(isDrained, false, 'the silent one is waited for');
  await draining;
  await once(silent, 'close');
  // Nothing keeps it open: not even a connection that has never brought a request.
  await closed;
});

test('a request under way is answered after that second, and its connection ends', async () => {
  const asked = Promise.withResolvers<ServerResponse>();
  const server = createServer((_request, response) => asked.resolve(response));
  server.keepAliveTimeout = 3_600_000;
  const drain = createDrain(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = await open((server.address() as AddressInfo).port);
  client.write(request);
  const response = await asked.promise;
  await drain();
  response.end('done');
  assert.match(await text(client), /done$/);
});

test('a server without connections, or not listening, is drained at once', async () => {
  const server = createServer();
  const drain = createDrain(server);
  await drain();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await drain();
  assert.equal(server.listening, false);
});
