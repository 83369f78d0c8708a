import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audiencesOf, extendActors, maxActorDepth, rolesOfClaims, scopeOf } from './subject.ts';

test('roles are the ordered union the original STS read, each once, and nothing that is not a string', () => {
  const claims = {
    scp: ['a', 'b', 7],
    roles: ['b', 'c'],
    realm_access: { roles: ['d'] },
    resource_access: { one: { roles: ['e', 'a'] }, two: null, three: { roles: 'f' } },
    scope: 'ignored',
  };
  assert.deepEqual(rolesOfClaims(claims), ['a', 'b', 'c', 'd', 'e']);
  assert.deepEqual(rolesOfClaims({ roles: { length: 1 }, realm_access: ['x'] }), []);
});

test('aud and scope come in both of their forms', () => {
  assert.deepEqual(audiencesOf({ aud: 'one' }), ['one']);
  assert.deepEqual(audiencesOf({ aud: ['one', 2] }), ['one']);
  assert.deepEqual(audiencesOf({}), []);
  assert.deepEqual(scopeOf({ scope: ' a  b ' }), ['a', 'b']);
  assert.deepEqual(scopeOf({ scope: ['a'] }), []);
});

test('the chain of actors keeps its order and has an end', () => {
  let chain = extendActors({ sub: '0', iss: 'i' }, undefined);
  for (let index = 1; index < maxActorDepth; index += 1) chain = extendActors({ sub: String(index), iss: 'i' }, chain);
  assert.equal(chain?.['sub'], String(maxActorDepth - 1));
  assert.equal(extendActors({ sub: 'one more', iss: 'i' }, chain), undefined);
});
