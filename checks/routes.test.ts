/** Deny by default, seen from outside: which routes are open is a list that somebody has to change by hand. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { reservedNamespaceNames } from '@gatehouse/contracts';
import { createTestApp, type TestApp } from '../apps/server/src/testing/test-app.ts';

let node: TestApp;
before(async () => {
  node = await createTestApp();
});

interface Operation {
  security?: unknown[];
  operationId?: string;
  summary?: string;
  responses?: Record<string, unknown>;
}

test('every operation of /v1 without a token is 401, but for the few that are open', async () => {
  const open = [
    'POST /v1/sessions',
    'POST /v1/sessions/refresh',
    'POST /v1/sessions/end',
    // The assertion in the body says who asks.
    'POST /v1/agents/token',
    // Public keys.
    'GET /v1/configuration/keys',
    // Says whether the token in the Authorization header is good, so it is asked with bad ones too.
    'GET /v1/services/{service}/validatetoken',
  ];
  const seen: string[] = [];
  for (const [path, method, operation] of operations()) {
    if (!path.startsWith('/v1/')) continue;
    const name = `${method} ${path}`;
    seen.push(name);
    if (open.includes(name)) continue;
    assert.ok((operation.security?.length ?? 0) > 0, `${name} is described as open`);
    const url = path.replaceAll(/\{[a-z_]+\}/g, 'x');
    const answer = await node.app.inject({ method: method as 'GET', url });
    assert.equal(answer.statusCode, 401, name);
  }
  assert.ok(seen.length > 30, `only ${seen.length} operations`);
});

test('no namespace can have the name of a path of ours', () => {
  const segments = operations().flatMap(
    ([path]) => /^\/v1\/services\/\{service\}\/([a-z][a-z-]*)/.exec(path)?.[1] ?? [],
  );
  assert.deepEqual([...new Set(segments)].sort(), [...reservedNamespaceNames].sort());
});

test('every operation has a name of its own, a summary and its answers', () => {
  const names = new Set<string>();
  for (const [path, method, operation] of operations()) {
    const name = `${method} ${path}`;
    assert.ok(operation.operationId, `${name} has no operationId`);
    assert.ok(!names.has(operation.operationId), `${operation.operationId} names two operations`);
    names.add(operation.operationId);
    assert.ok(operation.summary, `${name} has no summary`);
    assert.ok(
      Object.keys(operation.responses ?? {}).some((status) => /^[23]/.test(status)),
      `${name} declares no success`,
    );
  }
});

function operations(): [string, string, Operation][] {
  const description = node.app.swagger() as { paths?: Record<string, Record<string, Operation>> };
  return Object.entries(description.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
      path,
      method.toUpperCase(),
      operation,
    ]),
  );
}
