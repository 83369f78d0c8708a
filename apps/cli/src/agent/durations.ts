const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Longest time that may be asked for, milliseconds. */
const maxDurationMs = 366 * 86_400_000;
/** A timer of JavaScript that is longer goes off at once. */
const longestTimerMs = 2_147_483_647;

/** `500ms`, `10s`, `2m`, `1h`, `30d` or `0` in milliseconds; undefined when the text is nothing of the kind. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text);
  if (!match) return undefined;
  const milliseconds = Math.round(Number(match[1]) * (unitsMs[match[2] ?? ''] ?? 0));
  return milliseconds <= maxDurationMs ? milliseconds : undefined;
}

/** As a timer takes it: what is longer than 24 days is 24 days. */
export function timerMs(milliseconds: number): number {
  return Math.min(milliseconds, longestTimerMs);
}
