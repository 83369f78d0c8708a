import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** Asks again and again until the condition holds, at most `seconds`. A condition that throws does not hold yet. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, seconds = 15): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  let last: unknown;
  for (;;) {
    try {
      if (await holds()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    const why = last instanceof Error ? `: ${last.message}` : '';
    assert.ok(performance.now() < deadline, `waited ${seconds} s in vain until ${what}${why}`);
    await delay(25);
  }
}
