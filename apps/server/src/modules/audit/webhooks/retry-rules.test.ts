import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseTurns, concurrency, holdSeconds, maxAttempts, retryDelaySeconds } from './retry-rules.ts';

test('retries back off from five seconds to twelve hours, over about 31 hours in all', () => {
  const delays = Array.from({ length: maxAttempts - 1 }, (_, index) => retryDelaySeconds(index + 1, 0.5));
  assert.deepEqual(delays, [5, 20, 80, 320, 1280, 5120, 20_480, 43_200, 43_200]);
  const hours = delays.reduce((sum, delay) => sum + delay, 0) / 3600;
  assert.ok(hours > 31 && hours < 32, `${hours} h`);
  assert.deepEqual([retryDelaySeconds(1, 0), Math.round(retryDelaySeconds(1, 1))], [4, 6]);
  assert.deepEqual([1, 2, 3, 7, 8, 500].map(holdSeconds), [1, 2, 4, 60, 60, 60]);
});

test('turns: nobody has more than its share at once, and a slow one leaves room for the others', () => {
  const slow = { webhookId: 'slow', organization: 'acme' };
  const quick = { webhookId: 'quick', organization: 'globex' };
  assert.deepEqual(
    chooseTurns([slow, quick], []),
    new Map([
      ['slow', 4],
      ['quick', 4],
    ]),
  );
  assert.deepEqual(chooseTurns([slow, quick], [slow, slow, slow, slow]), new Map([['quick', 4]]));
  const many = Array.from({ length: 50 }, (_, index) => ({ webhookId: `w${index}`, organization: 'acme' }));
  assert.equal(
    [...chooseTurns([...many, quick], []).values()].reduce((sum, one) => sum + one, 0),
    12,
  );
  const candidate = fc.record({
    webhookId: fc.constantFrom('a1', 'a2', 'b1', 'c1', 'c2', 'c3'),
    organization: fc.constant(''),
  });
  const named = candidate.map(({ webhookId }) => ({ webhookId, organization: webhookId.slice(0, 1) }));
  fc.assert(
    fc.property(
      fc.uniqueArray(named, { selector: (one) => one.webhookId }),
      fc.array(named, { maxLength: concurrency.node }),
      (candidates, inFlight) => {
        const turns = chooseTurns(candidates, inFlight);
        const begun = [...turns].flatMap(([webhookId, count]) =>
          Array.from({ length: count }, () => ({ webhookId, organization: webhookId.slice(0, 1) })),
        );
        assert.ok(begun.length <= Math.max(0, concurrency.node - inFlight.length));
        for (const { webhookId, organization } of begun) {
          const all = [...begun, ...inFlight];
          assert.ok(all.filter((one) => one.webhookId === webhookId).length <= concurrency.webhook);
          assert.ok(all.filter((one) => one.organization === organization).length <= concurrency.organization);
        }
      },
    ),
  );
});
