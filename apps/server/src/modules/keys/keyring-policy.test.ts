import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyringDefinition, KeyTimes } from './key.ts';
import { defaultKeyrings, longestUseSeconds } from './keyring-defaults.ts';
import { planPolicyChange, policyProblems } from './keyring-policy.ts';

test('the default policies hold; a legacy time too short for the longest token is refused with the numbers', () => {
  for (const one of defaultKeyrings) assert.deepEqual(policyProblems(one, longestUseSeconds[one.purpose]), []);
  const [ring] = defaultKeyrings as [KeyringDefinition];
  const short = { ...ring, policy: { ...ring.policy, validitySeconds: 86_400, legacySeconds: 86_400 + 3659 } };
  assert.deepEqual(policyProblems(short, 3600), [
    'tokens-es256: legacySeconds 90059 leaves 3659 s after validitySeconds 86400, but what is signed in the last instant lives 3600 s, plus 60 s of clock skew. Set legacySeconds to at least 90060.',
  ]);
  const enough = { ...short, policy: { ...short.policy, legacySeconds: 86_400 + 3660 } };
  assert.deepEqual(policyProblems(enough, 3600), []);
  const hasty = { ...enough, policy: { ...enough.policy, publishBeforeSeconds: 86_400 } };
  assert.match(policyProblems(hasty, 3600).join(), /every cache/);
  const broken = { ...enough, policy: { ...enough.policy, minKeys: 0, validitySeconds: 1.5 } };
  assert.equal(policyProblems(broken, 3600).length, 2);
});

test('a shorter validity ends the key in use earlier, never before its successor is in every cache', () => {
  const at = (time: string) => new Date(`2017-01-01T${time}.000Z`);
  const key = (kid: string, state: KeyTimes['state'], times: Partial<KeyTimes>): KeyTimes => ({
    kid,
    state,
    createdAt: at('12:00:00'),
    readyAt: at('12:10:00'),
    notBefore: at('12:00:00'),
    notAfter: undefined,
    expireAt: undefined,
    ...times,
  });
  const keys = [
    key('now', 'valid', { notAfter: at('20:00:00'), expireAt: at('22:00:00') }),
    key('next', 'created', { notBefore: at('20:00:00') }),
    key('old', 'legacy', { notAfter: at('12:00:00'), expireAt: at('14:00:00') }),
  ];
  const rules = { publishBeforeSeconds: 600, minKeys: 1, checkIntervalSeconds: 60, initialCount: 1 };
  const hour = { ...rules, validitySeconds: 3600, legacySeconds: 3 * 3600 };
  assert.deepEqual(planPolicyChange(hour, keys, at('12:20:00')), {
    shorten: [{ kid: 'now', notAfter: at('13:00:00'), expireAt: at('15:00:00') }],
    advance: [{ kid: 'next', notBefore: at('13:00:00') }],
  });
  const minute = { ...rules, validitySeconds: 60, legacySeconds: 3660 };
  assert.deepEqual(planPolicyChange(minute, keys, at('12:05:00')), {
    shorten: [{ kid: 'now', notAfter: at('12:10:00'), expireAt: at('13:10:00') }],
    advance: [{ kid: 'next', notBefore: at('12:10:00') }],
  });
  const year = { ...rules, validitySeconds: 31_536_000, legacySeconds: 31_622_400 };
  assert.deepEqual(planPolicyChange(year, keys, at('12:20:00')), { shorten: [], advance: [] });
});
