import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, beforeEach, test } from 'node:test';
import { generateKeyPair } from '@gatehouse/crypto';
import { createFakeClock } from '@gatehouse/testkit';
import { createGuardedFetch } from '../../kernel/index.ts';
import { createRemoteKeys, RemoteKeysError, refetchSeconds } from './remote-keys.ts';

let requests = 0;
let answer: { status: number; body: string; cacheControl?: string };
let server: Server;
let address: string;

const first = await generateKeyPair('ES256');
const second = await generateKeyPair('ES256');
const setOf = (...pairs: { publicJwk: object }[]) => JSON.stringify({ keys: pairs.map((pair) => pair.publicJwk) });

server = createServer((_request, response) => {
  requests += 1;
  if (answer.cacheControl !== undefined) response.setHeader('cache-control', answer.cacheControl);
  response.writeHead(answer.status).end(answer.body);
});
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve);
});
address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(() => server.close());

beforeEach(() => {
  requests = 0;
  answer = { status: 200, body: setOf(first), cacheControl: 'public, max-age=100' };
});

function create() {
  const clock = createFakeClock();
  return { clock, keys: createRemoteKeys({ fetch: createGuardedFetch({ allowedOrigins: [address] }), clock }) };
}

test('keys are kept as long as their owner says, and parallel requests share one fetch', async () => {
  const { clock, keys } = create();
  const found = await Promise.all(Array.from({ length: 10 }, () => keys.get(address, 'sig')));
  assert.equal(requests, 1);
  assert.equal(found[0]?.[0]?.kid, first.publicJwk.kid);
  clock.advance(99);
  await keys.get(address, 'sig');
  assert.equal(requests, 1);
  clock.advance(2);
  await keys.get(address, 'sig');
  assert.equal(requests, 2);
});

test('an owner cannot make us keep keys for longer than five minutes', async () => {
  answer.cacheControl = 'max-age=999999999';
  const { clock, keys } = create();
  await keys.get(address, 'sig');
  clock.advance(301);
  await keys.get(address, 'sig');
  assert.equal(requests, 2);
});

test('an unknown key id asks again, but not more often than the bound', async () => {
  const { clock, keys } = create();
  await keys.get(address, 'sig');
  answer.body = setOf(first, second);
  for (let index = 0; index < 20; index += 1) await keys.get(address, 'sig', { fresh: true });
  assert.equal(requests, 1);
  clock.advance(refetchSeconds);
  assert.equal((await keys.get(address, 'sig', { fresh: true })).length, 2);
  assert.equal(requests, 2);
});

test('while the address is away the last keys serve for five minutes, then it is an error; failures are not kept', async () => {
  const { clock, keys } = create();
  await keys.get(address, 'sig');
  answer = { status: 500, body: '' };
  clock.advance(200);
  assert.equal((await keys.get(address, 'sig')).length, 1);
  clock.advance(101);
  await assert.rejects(keys.get(address, 'sig'), RemoteKeysError);
  answer = { status: 200, body: setOf(second) };
  clock.advance(1);
  assert.equal((await keys.get(address, 'sig'))[0]?.kid, second.publicJwk.kid);
});

test('what is not a usable key set is refused: private members, doubled ids, no JSON', async () => {
  for (const body of ['', 'null', '{"keys":{}}', setOf(first, first)]) {
    const { keys } = create();
    answer.body = body;
    await assert.rejects(keys.get(address, 'sig'), RemoteKeysError, body);
  }
  const { keys } = create();
  answer.body = JSON.stringify({ keys: [first.privateJwk, second.publicJwk] });
  assert.deepEqual(
    (await keys.get(address, 'sig')).map((key) => key.kid),
    [second.publicJwk.kid],
  );
});
