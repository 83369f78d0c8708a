/**
 * Wycheproof's JSON web vectors and the RFC 7520 cookbook through the doors of the SDK: `pop.open` for sealed messages,
 * the token verifier for signed ones. The vectors, and the differences that are accepted, are those of packages/crypto.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createPop, createTokenVerifier, isGatehouseError, type PopAlgorithm, type PopDocument } from '../src/index.ts';
import { listen } from '../src/testing/fake-issuer.ts';

interface Case {
  id: string;
  isValid: boolean;
  token: string;
  key: Record<string, unknown>;
  content?: Buffer;
}

const root = new URL('../../crypto/vectors/', import.meta.url);
const algorithms = ['RSA-OAEP-256', 'ECDH-ES+A256KW'];
const { differences } = readJson('accepted-differences.json') as { differences: { vectors: Record<string, string> }[] };
const accepted = new Map(differences.flatMap(({ vectors }) => Object.entries(vectors)));

test('pop.open opens every valid message to its kind of key, and no invalid one', async () => {
  const cases = [...wycheproof('jwe'), ...cookbook()];
  assert.ok(cases.length > 100);
  let opened = 0;
  for (const each of cases) {
    const { alg, enc } = headerOf(each.token);
    const isOurKind = algorithms.includes(String(alg)) && enc === 'A256GCM';
    const isExpected = isOurKind && each.isValid !== accepted.has(each.id);
    const plaintext = await open(each, String(alg) as PopAlgorithm);
    assert.equal(plaintext !== undefined, isExpected, each.id);
    if (plaintext === undefined) continue;
    opened += 1;
    if (each.content !== undefined) assert.deepEqual(Buffer.from(plaintext), each.content, each.id);
  }
  assert.equal(opened, 2);
});

test('no signed vector, valid or not, passes for an access token', async () => {
  let jwks = '';
  const server = await listen((_request, response) => response.end(jwks));
  try {
    const cases = wycheproof('jws');
    assert.ok(cases.length > 300);
    for (const { id, token, key } of cases) {
      jwks = JSON.stringify({ keys: Array.isArray(key.keys) ? (key.keys as unknown[]) : [key] });
      const verifier = createTokenVerifier({ issuer: server.origin, audience: 'acme.records' });
      await assert.rejects(verifier.verify(token), (error) => isGatehouseError(error), id);
    }
  } finally {
    await server.close();
  }
});

/** Opens the message with the vector's key as the only key of a service; undefined when it is refused. */
async function open({ token, key }: Case, alg: PopAlgorithm): Promise<Uint8Array | undefined> {
  const keys = Array.isArray(key.keys) ? (key.keys as Record<string, unknown>[]) : [key];
  const named = headerOf(token).kid;
  const privateJwk = keys.find((each) => each.kid === named) ?? keys[0];
  const kid = named ?? privateJwk?.kid ?? 'unnamed';
  const times = { createdAt: '2026-01-01T00:00:00Z', notBefore: '2026-01-01T00:00:00Z' };
  const document = {
    version: 1,
    revision: 1,
    updatedAt: times.createdAt,
    keys: [{ kid, use: 'enc', alg, state: 'legacy', ...times, expireAt: '9999-01-01T00:00:00Z', privateJwk }],
  } as unknown as PopDocument;
  // Elliptic keys, quickly made, join the vector's key; nothing is sealed to them.
  const policy = { keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW' } as const] };
  // The first pass adds keys of this service; the store takes them and forgets them.
  const store = { load: async () => document, save: async () => true };
  try {
    const pop = await createPop({ store, policy });
    pop.close();
    return (await pop.open(token)).plaintext;
  } catch (error) {
    // A key that is refused as such (wrong algorithm, weak, symmetric) is an error of packages/crypto.
    if (isGatehouseError(error) || (error as { name?: string }).name === 'CryptoError') return undefined;
    throw error;
  }
}

function wycheproof(kind: 'jwe' | 'jws'): Case[] {
  return readdirSync(new URL('wycheproof/', root))
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const { testGroups } = readJson(`wycheproof/${file}`) as {
        testGroups: {
          public?: Record<string, unknown>;
          private: Record<string, unknown>;
          tests: { tcId: number; result: string; jws?: unknown; jwe?: unknown; pt?: string }[];
        }[];
      };
      return testGroups.flatMap((group) =>
        group.tests
          .filter((vector) => vector[kind] !== undefined)
          .map((vector) => ({
            id: `wycheproof/${file.slice(0, -'.json'.length)}/${vector.tcId}`,
            isValid: vector.result === 'valid',
            token: typeof vector[kind] === 'string' ? vector[kind] : JSON.stringify(vector[kind]),
            key: kind === 'jws' ? (group.public ?? group.private) : group.private,
            ...(vector.pt === undefined ? {} : { content: Buffer.from(vector.pt, 'hex') }),
          })),
      );
    });
}

function cookbook(): Case[] {
  return readdirSync(new URL('jose-cookbook/jwe/', root))
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const { input, output } = readJson(`jose-cookbook/jwe/${file}`) as {
        input: { plaintext: string; key?: Record<string, unknown> | Record<string, unknown>[] };
        output: { compact?: string };
      };
      if (output.compact === undefined) return [];
      const key = Array.isArray(input.key) ? { keys: input.key } : (input.key ?? {});
      const id = `jose-cookbook/jwe/${file.slice(0, -'.json'.length)}/compact`;
      return [{ id, isValid: true, token: output.compact, key, content: Buffer.from(input.plaintext) }];
    });
}

function headerOf(token: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function readJson(path: string): object {
  return JSON.parse(readFileSync(new URL(path, root), 'utf8')) as object;
}
