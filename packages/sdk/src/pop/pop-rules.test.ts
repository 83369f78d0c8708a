import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PopDocument, PopKey, PopPolicy } from './pop-key.ts';
import {
  cacheSeconds,
  isUsable,
  keyFor,
  nextChangeAt,
  planFirstKeys,
  planRotation,
  publishedKeys,
  type ResolvedPolicy,
  type RotationPlan,
  resolvePolicy,
} from './pop-rules.ts';

const start = new Date('2026-03-01T15:32:40.000Z');
const at = (seconds: number) => new Date(start.getTime() + seconds * 1000);
const minute: PopPolicy = { keys: [{ use: 'enc', alg: 'RSA-OAEP-256', validitySeconds: 60, legacySeconds: 120 }] };

let made = 0;
function carriedOut(plan: RotationPlan, now: Date): PopDocument {
  const keys = plan.wanted.map((wanted) => {
    made += 1;
    return keyFor(wanted, { kid: `key-${made}`, privateJwk: {} as PopKey['privateJwk'] }, now);
  });
  return { version: 1, revision: 1, updatedAt: now.toISOString(), keys: [...plan.keys, ...keys] };
}

function states(document: PopDocument): string[] {
  return document.keys.map((key) => key.state).sort();
}

describe('resolvePolicy', () => {
  it('fills in the defaults', () => {
    assert.deepEqual(resolvePolicy(), {
      checkIntervalSeconds: 60,
      keys: [
        {
          use: 'enc',
          alg: 'RSA-OAEP-256',
          validitySeconds: 86_400,
          legacySeconds: 604_800,
          minKeys: 1,
          initialCount: 1,
          modulusBits: 2048,
        },
      ],
    });
  });

  it('refuses what cannot work, naming the field', () => {
    const cases: [PopPolicy, RegExp][] = [
      [{ keys: [] }, /keys/],
      [{ checkIntervalSeconds: 0 }, /checkIntervalSeconds/],
      [{ keys: [{ use: 'enc', alg: 'ES256' }] }, /ES256 cannot be used for enc/],
      [{ keys: [{ use: 'enc', alg: 'RSA-OAEP-256', minKeys: 0 }] }, /minKeys/],
      [{ keys: [{ use: 'enc', alg: 'RSA-OAEP-256', validitySeconds: 1.5 }] }, /validitySeconds/],
      [{ keys: [{ use: 'enc', alg: 'RSA-OAEP-256', validitySeconds: 60, legacySeconds: 60 }] }, /legacySeconds \(60\)/],
      [{ keys: [minute.keys?.[0] ?? assert.fail(), minute.keys?.[0] ?? assert.fail()] }, /named twice/],
    ];
    for (const [policy, message] of cases) {
      assert.throws(() => resolvePolicy(policy), { code: 'pop_policy_invalid', message });
    }
  });
});

describe('planRotation', () => {
  const policy = resolvePolicy(minute);

  it('makes one valid key and its successor at the first start', () => {
    const document = carriedOut(planFirstKeys(policy, start), start);
    assert.deepEqual(states(document), ['created', 'valid']);
    const [valid, created] = document.keys;
    assert.equal(valid?.notAfter, at(60).toISOString());
    assert.equal(valid?.expireAt, at(120).toISOString());
    assert.equal(created?.notBefore, valid?.notAfter);
    assert.equal(created?.notAfter, undefined);
  });

  it('activates, retires and removes at the times of the schedule, strictly after them', () => {
    let document = carriedOut(planFirstKeys(policy, start), start);
    assert.equal(planRotation(document, policy, at(60)).changed, false);

    document = carriedOut(planRotation(document, policy, at(61)), at(61));
    assert.deepEqual(states(document), ['created', 'legacy', 'valid']);
    const activated = document.keys.find((key) => key.state === 'valid');
    // As in the original: the activation counts from the pass, `notBefore` stays what was announced.
    assert.equal(activated?.notBefore, at(60).toISOString());
    assert.equal(activated?.notAfter, at(121).toISOString());
    assert.equal(activated?.expireAt, at(181).toISOString());

    assert.equal(planRotation(document, policy, at(120)).changed, false);
    document = carriedOut(planRotation(document, policy, at(121)), at(121));
    assert.deepEqual(states(document), ['created', 'valid']);
    assert.equal(planRotation(document, policy, at(121)).changed, false);
  });

  it('recovers after a long pause in one pass', () => {
    const document = carriedOut(planFirstKeys(policy, start), start);
    const later = at(100_000);
    const next = carriedOut(planRotation(document, policy, later), later);
    assert.deepEqual(states(next), ['created', 'valid']);
    assert.equal(planRotation(next, policy, later).changed, false);
  });

  it('replaces the valid keys at once when forced', () => {
    const document = carriedOut(planFirstKeys(policy, start), start);
    const [before] = document.keys;
    const next = carriedOut(planRotation(document, policy, at(1), { force: true }), at(1));
    assert.deepEqual(states(next), ['created', 'legacy', 'valid']);
    assert.equal(next.keys.find((key) => key.state === 'legacy')?.kid, before?.kid);
    assert.equal(isUsable(next.keys[0] ?? assert.fail(), at(100)), true);
  });

  it('adds and retires kinds of keys when the policy changes', () => {
    const document = carriedOut(planFirstKeys(policy, start), start);
    const changed = resolvePolicy({ keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW' }] });
    const next = carriedOut(planRotation(document, changed, at(1)), at(1));
    assert.deepEqual(
      next.keys.map((key) => [key.alg, key.state]),
      [
        ['RSA-OAEP-256', 'legacy'],
        ['ECDH-ES+A256KW', 'valid'],
        ['ECDH-ES+A256KW', 'created'],
      ],
    );
  });

  it('always has a valid key and its successor, and never an expired key, whenever passes happen', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ seconds: fc.integer({ min: 0, max: 400 }), force: fc.boolean() }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 3 }),
        (steps, minKeys) => {
          const rules: ResolvedPolicy = resolvePolicy({ keys: [{ ...minute.keys?.[0], minKeys } as never] });
          let now = start;
          let document = carriedOut(planFirstKeys(rules, now), now);
          for (const { seconds, force } of steps) {
            now = new Date(now.getTime() + seconds * 1000);
            const plan = planRotation(document, rules, now, { force });
            if (plan.changed) document = carriedOut(plan, now);
            assert.ok(document.keys.filter((key) => key.state === 'valid').length >= minKeys);
            assert.ok(document.keys.some((key) => key.state === 'created'));
            assert.ok(document.keys.every((key) => key.state !== 'expired'));
            assert.ok(document.keys.length < 40);
            // A second pass at the same moment finds nothing to do.
            assert.equal(planRotation(document, rules, now).changed, false);
          }
        },
      ),
    );
  });
});

describe('publishedKeys', () => {
  const policy = resolvePolicy({
    keys: [
      { use: 'enc', alg: 'RSA-OAEP-256', validitySeconds: 60, legacySeconds: 120 },
      { use: 'sig', alg: 'ES256', validitySeconds: 60, legacySeconds: 120 },
    ],
  });

  it('shows valid encryption keys, and signature keys before, during and after their use', () => {
    const first = carriedOut(planFirstKeys(policy, start), start);
    const document = carriedOut(planRotation(first, policy, at(61)), at(61));
    const shown = publishedKeys(document, at(61)).map((key) => `${key.use} ${key.state}`);
    assert.deepEqual(shown.sort(), ['enc valid', 'sig created', 'sig legacy', 'sig valid']);
  });

  it('shows and uses nothing that has expired, even when no pass could remove it', () => {
    const document = carriedOut(planFirstKeys(policy, start), start);
    const after = at(120);
    assert.deepEqual(
      publishedKeys(document, after).map((key) => key.state),
      ['created'],
    );
    assert.ok(document.keys.filter((key) => key.state === 'valid').every((key) => !isUsable(key, after)));
  });

  it('lets others keep the keys no longer than until the next change', () => {
    const document = carriedOut(planFirstKeys(policy, start), start);
    assert.equal(nextChangeAt(document)?.getTime(), at(60).getTime());
    assert.equal(cacheSeconds(document, policy, start), 30);
    assert.equal(cacheSeconds(document, policy, at(50)), 10);
    assert.equal(cacheSeconds(document, policy, at(70)), 1);
  });
});
