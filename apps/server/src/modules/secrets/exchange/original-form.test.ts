import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOriginalForm } from './original-form.ts';
import { ExchangeRefused } from './refusal.ts';

const grant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwt = 'urn:ietf:params:oauth:token-type:jwt';
const valid = { grant_type: grant, subject_token: 'a.b.c', subject_token_type: jwt };

function refusal(body: Record<string, unknown>): string {
  try {
    readOriginalForm(body);
  } catch (error) {
    assert.ok(error instanceof ExchangeRefused);
    return error.description;
  }
  return 'accepted';
}

test('all nine parameters may come, most of them empty, as the original’s tests send them', () => {
  const form = readOriginalForm({
    ...valid,
    resource: '',
    audience: '',
    scope: '',
    requested_token_type: '',
    actor_token: '',
    actor_token_type: '',
  });
  assert.deepEqual(form, { subjectToken: 'a.b.c', actorToken: undefined, audiences: [], scope: [] });
});

test('audiences repeat, are split at commas and trimmed, and stand before resources', () => {
  assert.deepEqual(readOriginalForm({ ...valid, audience: ['a, b', 'c'] }).audiences, ['a', 'b', 'c']);
  assert.deepEqual(readOriginalForm({ ...valid, audience: 'a,a', resource: 'r' }).audiences, ['a']);
  assert.deepEqual(readOriginalForm({ ...valid, resource: ['r', 's'] }).audiences, ['r', 's']);
});

test('the checks come in the original’s order and with its words', () => {
  const see = 'See https://tools.ietf.org/html/draft-ietf-oauth-token-exchange-08#section-2.1';
  assert.equal(refusal({}), `Request parameter grant_type is missing or does not carry the value ${grant}. ${see}`);
  assert.equal(refusal({ grant_type: grant }), `Request parameter subject_token is missing. ${see}`);
  assert.equal(
    refusal({ grant_type: grant, subject_token: 'x' }),
    `Request parameter subject_token_type is missing. ${see}`,
  );
  assert.match(
    refusal({ ...valid, requested_token_type: 'x', subject_token_type: 'y' }),
    /^Request parameter requested_token_type/,
  );
  assert.match(
    refusal({ ...valid, subject_token_type: 'y' }),
    /^Request parameter subject_token_type is missing or does not/,
  );
  assert.match(refusal({ ...valid, actor_token: 'x' }), /^Request parameter actor_token_type/);
});
