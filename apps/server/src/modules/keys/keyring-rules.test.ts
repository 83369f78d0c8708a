import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addSeconds } from '../../kernel/index.ts';
import type { KeyringPolicy, KeyTimes } from './key.ts';
import {
  isEmptyPlan,
  keyInUse,
  nextTransitionAt,
  planCompromise,
  planInitialKeys,
  planManualRotation,
  planRotation,
  type RotationPlan,
} from './keyring-rules.ts';

const at = (time: string) => new Date(`2017-01-01T${time}.000Z`);
const policy: KeyringPolicy = {
  validitySeconds: 60,
  legacySeconds: 120,
  publishBeforeSeconds: 20,
  minKeys: 1,
  checkIntervalSeconds: 10,
  initialCount: 1,
};
const key = (kid: string, state: KeyTimes['state'], times: Partial<KeyTimes> = {}): KeyTimes => ({
  kid,
  state,
  createdAt: at('15:00:00'),
  readyAt: at('15:00:20'),
  notBefore: at('15:00:00'),
  notAfter: undefined,
  expireAt: undefined,
  ...times,
});
const empty: RotationPlan = { activate: [], retire: [], expire: [], compromise: [], create: [] };

/** What the keyring looks like after a plan; `made` names the new keys. */
function after(
  keys: readonly KeyTimes[],
  plan: RotationPlan,
  now: Date,
  rules = policy,
  made = nameless(),
): KeyTimes[] {
  const kept = keys.map((one): KeyTimes => {
    const activation = plan.activate.find((other) => other.kid === one.kid);
    if (activation) return { ...one, ...activation, state: 'valid' };
    const retirement = plan.retire.find((other) => other.kid === one.kid);
    if (retirement) return { ...one, ...retirement, state: 'legacy' };
    if (plan.expire.includes(one.kid)) return { ...one, state: 'expired' };
    return plan.compromise.includes(one.kid) ? { ...one, state: 'compromised' } : one;
  });
  const created = plan.create.map(
    (times): KeyTimes => ({
      kid: made(),
      createdAt: now,
      readyAt: addSeconds(now, rules.publishBeforeSeconds),
      notAfter: undefined,
      expireAt: undefined,
      ...times,
    }),
  );
  return [...kept, ...created];
}

function nameless(): () => string {
  let count = 0;
  return () => {
    count += 1;
    return `new-${count}`;
  };
}

test('the published fixture: times of an activated key count from the pass', () => {
  const keys = [
    key('old', 'valid', { notAfter: at('15:32:40'), expireAt: at('15:33:40') }),
    key('next', 'created', { notBefore: at('15:32:40') }),
    key('older', 'legacy', { notAfter: at('15:31:40'), expireAt: at('15:32:50') }),
  ];
  const plan = planRotation(policy, keys, at('15:32:41'));
  assert.deepEqual(plan, {
    ...empty,
    activate: [{ kid: 'next', notBefore: at('15:32:40'), notAfter: at('15:33:41'), expireAt: at('15:34:41') }],
    retire: [{ kid: 'old', notAfter: at('15:32:40'), expireAt: at('15:33:40') }],
    create: [{ state: 'created', notBefore: at('15:33:41') }],
  });
  const states = after(keys, plan, at('15:32:41')).map((one) => one.state);
  assert.deepEqual(states.sort(), ['created', 'legacy', 'legacy', 'valid']);
});

test('comparisons are strict: at the very instant nothing happens, after it everything does', () => {
  const keys = [
    key('old', 'valid', { notAfter: at('15:32:40'), expireAt: at('15:33:40') }),
    key('next', 'created', { notBefore: at('15:32:40') }),
    key('older', 'legacy', { notAfter: at('15:31:40'), expireAt: at('15:32:40') }),
  ];
  assert.equal(isEmptyPlan(planRotation(policy, keys, at('15:32:40'))), true);
  const plan = planRotation(policy, keys, new Date(at('15:32:40').getTime() + 1));
  assert.deepEqual([plan.activate.length, plan.retire.length, plan.expire, plan.create.length], [1, 1, ['older'], 1]);
});

test('a key may go from valid through legacy to expired in one pass', () => {
  const keys = [key('old', 'valid', { notAfter: at('15:01:00'), expireAt: at('15:02:00') })];
  const plan = planRotation(policy, keys, at('16:00:00'));
  assert.deepEqual(plan.retire, []);
  assert.deepEqual(plan.expire, ['old']);
  assert.deepEqual(
    plan.create.map((one) => one.state),
    ['valid', 'created'],
  );
});

test('fewer than minKeys valid keys: keys are made that are valid at once', () => {
  const plan = planRotation({ ...policy, minKeys: 3 }, [], at('15:00:00'));
  assert.deepEqual(plan.create, [
    ...[1, 2, 3].map(() => ({
      state: 'valid' as const,
      notBefore: at('15:00:00'),
      notAfter: at('15:01:00'),
      expireAt: at('15:02:00'),
    })),
    { state: 'created', notBefore: at('15:01:00') },
  ]);
});

test('a keyring begins with one valid key and its successor for each initial key', () => {
  const plan = planInitialKeys({ ...policy, initialCount: 2 }, at('15:00:00'));
  assert.deepEqual(
    plan.create.map((one) => [one.state, one.notBefore]),
    [
      ['valid', at('15:00:00')],
      ['created', at('15:01:00')],
      ['valid', at('15:00:00')],
      ['created', at('15:01:00')],
    ],
  );
});

test('a manual rotation waits until the next key is in every cache, unless forced', () => {
  const keys = [
    key('now', 'valid', { notAfter: at('15:01:00'), expireAt: at('15:02:00') }),
    key('next', 'created', { notBefore: at('15:01:00') }),
  ];
  assert.deepEqual(planManualRotation(policy, keys, at('15:00:19'), false), { kid: 'next', readyAt: at('15:00:20') });
  for (const [time, force] of [
    ['15:00:20', false],
    ['15:00:05', true],
  ] as const) {
    const now = at(time);
    const plan = planManualRotation(policy, keys, now, force);
    assert.ok('activate' in plan);
    assert.deepEqual(plan.activate, [
      { kid: 'next', notBefore: now, notAfter: addSeconds(now, 60), expireAt: addSeconds(now, 120) },
    ]);
    // Accepted for legacySeconds - validitySeconds more, as after a scheduled end.
    assert.deepEqual(plan.retire, [{ kid: 'now', notAfter: now, expireAt: addSeconds(now, 60) }]);
    assert.deepEqual(plan.create, [{ state: 'created', notBefore: addSeconds(now, 60) }]);
    assert.equal(keyInUse(policy, after(keys, plan, now), now)?.kid, 'next');
  }
});

test('with several valid keys a manual rotation retires the oldest only', () => {
  const rules = { ...policy, minKeys: 2 };
  const keys = [
    key('a', 'valid', { notBefore: at('15:00:00'), notAfter: at('15:01:00'), expireAt: at('15:02:00') }),
    key('b', 'valid', { notBefore: at('15:00:10'), notAfter: at('15:01:10'), expireAt: at('15:02:10') }),
    key('c', 'created', { notBefore: at('15:01:00') }),
  ];
  const plan = planManualRotation(rules, keys, at('15:00:30'), false);
  assert.ok('activate' in plan);
  assert.deepEqual(
    plan.retire.map((one) => one.kid),
    ['a'],
  );
  assert.equal(keyInUse(rules, after(keys, plan, at('15:00:30')), at('15:00:30'))?.kid, 'c');
});

test('a compromised key in use is replaced by the next one at once', () => {
  const keys = [
    key('now', 'valid', { notAfter: at('15:01:00'), expireAt: at('15:02:00') }),
    key('next', 'created', { notBefore: at('15:01:00') }),
  ];
  const now = at('15:00:05');
  const plan = planCompromise(policy, keys, now, 'now');
  assert.deepEqual(plan.compromise, ['now']);
  assert.deepEqual(
    plan.activate.map((one) => one.kid),
    ['next'],
  );
  assert.equal(keyInUse(policy, after(keys, plan, now), now)?.kid, 'next');
});

test('a compromised created or legacy key is withdrawn, and the key in use stays', () => {
  const keys = [
    key('now', 'valid', { notAfter: at('15:01:00'), expireAt: at('15:02:00') }),
    key('next', 'created', { notBefore: at('15:01:00') }),
    key('old', 'legacy', { notAfter: at('14:59:00'), expireAt: at('15:30:00') }),
  ];
  const now = at('15:00:05');
  const created = planCompromise(policy, keys, now, 'next');
  assert.deepEqual([created.activate, created.create], [[], [{ state: 'created', notBefore: at('15:01:00') }]]);
  const legacy = planCompromise(policy, keys, now, 'old');
  assert.deepEqual(legacy, { ...empty, compromise: ['old'] });
});

test('when rotation is late the next key serves for its time, then nothing does', () => {
  const keys = [
    key('now', 'valid', { notAfter: at('15:01:00'), expireAt: at('15:02:00') }),
    key('next', 'created', { notBefore: at('15:01:00') }),
  ];
  assert.equal(keyInUse(policy, keys, at('15:01:00'))?.kid, 'now');
  assert.equal(keyInUse(policy, keys, at('15:01:01'))?.kid, 'next');
  assert.equal(keyInUse(policy, keys, at('15:02:00'))?.kid, 'next');
  assert.equal(keyInUse(policy, keys, at('15:02:01')), undefined);
});

test('the next transition is the earliest of all', () => {
  const keys = [
    key('now', 'valid', { notAfter: at('15:01:00'), expireAt: at('15:02:00') }),
    key('old', 'legacy', { expireAt: at('15:00:30') }),
    key('gone', 'expired', { expireAt: at('14:00:30') }),
  ];
  assert.deepEqual(nextTransitionAt(keys), at('15:00:30'));
  assert.equal(nextTransitionAt([]), undefined);
});

const events = fc.array(
  fc.record({
    seconds: fc.integer({ min: 0, max: 200 }),
    act: fc.oneof(
      { weight: 8, arbitrary: fc.constant('pass' as const) },
      { weight: 3, arbitrary: fc.constant('rotate' as const) },
      { weight: 1, arbitrary: fc.constant('force' as const) },
      { weight: 1, arbitrary: fc.constant('compromise' as const) },
    ),
    pick: fc.nat(20),
  }),
  { maxLength: 60 },
);
const rules = fc
  .record({
    validitySeconds: fc.integer({ min: 40, max: 300 }),
    tailSeconds: fc.integer({ min: 60, max: 300 }),
    publishBeforeSeconds: fc.integer({ min: 0, max: 30 }),
    minKeys: fc.integer({ min: 1, max: 3 }),
    initialCount: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ tailSeconds, ...rest }) => ({
    ...rest,
    legacySeconds: rest.validitySeconds + tailSeconds,
    checkIntervalSeconds: 10,
  }));

/** Runs a life of a keyring and calls `look` after each step with the keys before and after. */
function live(
  own: KeyringPolicy,
  steps: readonly { seconds: number; act: 'pass' | 'rotate' | 'force' | 'compromise'; pick: number }[],
  look: (state: { keys: KeyTimes[]; before: readonly KeyTimes[]; now: Date; plan: RotationPlan; act: string }) => void,
): void {
  const made = nameless();
  let now = at('00:00:00');
  let keys = after([], planInitialKeys(own, now), now, own, made).map((one) => ({ ...one, readyAt: now }));
  const apply = (plan: RotationPlan, act: string) => {
    const before = keys;
    keys = after(keys, plan, now, own, made);
    look({ keys, before, now, plan, act });
  };
  for (const { seconds, act, pick } of steps) {
    const until = addSeconds(now, seconds);
    // The loop passes at least every checkIntervalSeconds and at each transition.
    while (now < until) {
      const next = nextTransitionAt(keys);
      const soon = [addSeconds(now, own.checkIntervalSeconds), until];
      if (next && next >= now) soon.push(new Date(next.getTime() + 1));
      now = soon.reduce((a, b) => (a < b ? a : b));
      apply(planRotation(own, keys, now), 'pass');
    }
    if (act === 'pass') apply(planRotation(own, keys, now), act);
    else if (act === 'compromise') {
      const victim = keys.filter((one) => one.state !== 'compromised')[pick % keys.length];
      if (victim) apply(planCompromise(own, keys, now, victim.kid), act);
    } else {
      const plan = planManualRotation(own, keys, now, act === 'force');
      if ('activate' in plan) apply(plan, act);
    }
  }
}

test('as long as rotation runs there is a key to use, enough valid keys, and a next one', () => {
  fc.assert(
    fc.property(rules, events, (own, steps) => {
      live(own, steps, ({ keys, now }) => {
        assert.ok(keyInUse(own, keys, now));
        assert.ok(keys.filter((one) => one.state === 'valid').length >= own.minKeys);
        assert.ok(keys.some((one) => one.state === 'created'));
        assert.equal(isEmptyPlan(planRotation(own, keys, now)), true, 'a second pass finds nothing to do');
      });
    }),
  );
});

test('states only move forward, and an expired or compromised key is never used again', () => {
  const order = ['created', 'valid', 'legacy', 'expired', 'compromised'];
  fc.assert(
    fc.property(rules, events, (own, steps) => {
      live(own, steps, ({ keys, before, now }) => {
        for (const one of before) {
          const later = keys.find((other) => other.kid === one.kid);
          assert.ok(later && order.indexOf(later.state) >= order.indexOf(one.state));
        }
        const used = keyInUse(own, keys, now);
        assert.ok(used && (used.state === 'valid' || used.state === 'created'));
        assert.ok(used.notAfter === undefined || now <= used.notAfter);
      });
    }),
  );
});

test('a key signs only when every cache has it, except in an emergency', () => {
  fc.assert(
    fc.property(rules, events, (own, steps) => {
      const calm = steps.filter(({ act }) => act === 'pass' || act === 'rotate');
      live({ ...own, minKeys: 1, initialCount: 1 }, calm, ({ keys, now }) => {
        assert.ok((keyInUse(own, keys, now)?.readyAt ?? now) <= now);
      });
    }),
  );
});

test('a key is accepted until the last thing it signed has expired', () => {
  fc.assert(
    fc.property(rules, events, (own, steps) => {
      const lastUse = new Map<string, Date>();
      const tail = own.legacySeconds - own.validitySeconds;
      live(own, steps, ({ keys, before, now }) => {
        for (const kid of keys.filter((one) => one.state === 'expired').map((one) => one.kid)) {
          const used = lastUse.get(kid);
          const justExpired = before.some((one) => one.kid === kid && one.state !== 'expired');
          if (used && justExpired) assert.ok(addSeconds(used, tail) <= now, `${kid} expired too early`);
        }
        const used = keyInUse(own, keys, now);
        if (used) lastUse.set(used.kid, now);
      });
    }),
  );
});
