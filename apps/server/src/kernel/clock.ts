/** Where the time comes from. Everything that depends on time takes one, so that a test can move it. */
export interface Clock {
  now(): Date;
}

/** The machine's clock. */
export function createSystemClock(): Clock {
  return { now: () => new Date() };
}

/** Whole seconds since the epoch: the NumericDate of RFC 7519. */
export function epochSeconds(clock: Clock): number {
  return Math.floor(clock.now().getTime() / 1000);
}

/** The time `seconds` after `date`. */
export function addSeconds(date: Date, seconds: number): Date {
  return new Date(date.getTime() + seconds * 1000);
}
