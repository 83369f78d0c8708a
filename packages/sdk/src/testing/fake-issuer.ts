/** An issuer of tokens for tests: a real HTTP server on loopback with a key set, whose answers a test can change. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type GeneratedKeyPair, generateKeyPair, importSigningKey, signCompactJws } from '@gatehouse/crypto';
import type { Clock } from '../clock.ts';

/** A loopback server and how to stop it. */
export interface LoopbackServer {
  origin: string;
  close(): Promise<void>;
}

/** Serves `handler` on a free port of loopback, or on the one given. */
export async function listen(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  port = 0,
): Promise<LoopbackServer> {
  const server = createServer(handler);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${address.port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What the issuer does and what it saw. */
export interface FakeIssuer extends LoopbackServer {
  keys: GeneratedKeyPair[];
  /** Headers of the key set's answer. */
  headers: Record<string, string>;
  /** Replaces the answer: a status (with an empty body), or a whole body. */
  answer: number | string | undefined;
  /** Requests for the key set so far. */
  fetches: number;
  /** Signs a token with the last key; members of `claims` and `header` override the good ones. */
  token(claims?: Record<string, unknown>, options?: { typ?: string; key?: GeneratedKeyPair }): Promise<string>;
}

/** Starts an issuer with one ES256 key. */
export async function startFakeIssuer(clock: Clock): Promise<FakeIssuer> {
  const keys = [await generateKeyPair('ES256')];
  const server = await listen((_request, response) => {
    issuer.fetches += 1;
    const status = typeof issuer.answer === 'number' ? issuer.answer : 200;
    const body = typeof issuer.answer === 'string' ? issuer.answer : jwksOf(issuer.keys);
    response.writeHead(status, { 'content-type': 'application/json', ...issuer.headers });
    response.end(status === 200 ? body : '');
  });
  const issuer: FakeIssuer = {
    ...server,
    keys,
    headers: {},
    answer: undefined,
    fetches: 0,
    async token(claims = {}, { typ = 'at+jwt', key = issuer.keys.at(-1) } = {}) {
      if (key === undefined) throw new Error('the issuer has no key');
      const nowSeconds = Math.floor(clock.now().getTime() / 1000);
      const payload = {
        iss: server.origin,
        sub: 'alice-uid',
        aud: ['acme.records'],
        iat: nowSeconds,
        exp: nowSeconds + 600,
        jti: `token-${nowSeconds}-${Math.floor(issuer.fetches)}`,
        client_id: 'gatehouse',
        org: 'acme',
        roles: ['developer'],
        scope: 'openid records',
        ...claims,
      };
      return signCompactJws({ key: importSigningKey(key.privateJwk, key.alg), payload: JSON.stringify(payload), typ });
    },
  };
  return issuer;
}

function jwksOf(keys: readonly GeneratedKeyPair[]): string {
  return JSON.stringify({ keys: keys.map((key) => key.publicJwk) });
}
