/** A clock that stands still until a test moves it. Structurally the kernel's `Clock`. */
export interface FakeClock {
  now(): Date;
  /** Moves the clock; a negative number moves it back. */
  advance(seconds: number): void;
}

/** A clock that shows `start`, by default the first moment of 2026. */
export function createFakeClock(start: Date = new Date('2026-01-01T00:00:00.000Z')): FakeClock {
  let milliseconds = start.getTime();
  return {
    now: () => new Date(milliseconds),
    advance(seconds) {
      milliseconds += seconds * 1000;
    },
  };
}
