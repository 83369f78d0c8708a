/** What a server says about its load: its metrics, and the log lines of its requests. */
import assert from 'node:assert/strict';
import { call } from './http.ts';

/** Reads gauges and counters from the metrics page of a node: `name` or `name{label="value"}` → number. */
export async function readMetrics(port: number): Promise<(name: string) => number> {
  const { status, body } = await call(`http://127.0.0.1:${port}/metrics`);
  assert.equal(status, 200, body);
  return (name) => {
    const line = body.split('\n').find((one) => one.startsWith(`${name} `));
    assert.ok(line, `the metric ${name}`);
    return Number(line.slice(name.length));
  };
}

/** A request as a node has counted it. */
export interface CountedRequest {
  readonly route: string;
  readonly status: number;
  /** When it came in, milliseconds since the epoch. */
  readonly at: number;
}

/** The requests in the log of a node (level debug). */
export function countedRequests(log: string): CountedRequest[] {
  const lines = log.split('\n').filter((line) => line.startsWith('{') && line.includes('"msg":"request"'));
  return lines.map((line) => {
    const { route, status, time, ms } = JSON.parse(line) as { route: string; status: number; time: string; ms: number };
    return { route, status, at: Date.parse(time) - ms };
  });
}

/** How many fell into each of the `seconds` seconds after `start`. */
export function perSecond(all: readonly { readonly at: number }[], start: number, seconds: number): number[] {
  const counts = Array.from({ length: seconds }, () => 0);
  for (const { at } of all) {
    const second = Math.floor((at - start) / 1000);
    if (second >= 0 && second < seconds) counts[second] = (counts[second] ?? 0) + 1;
  }
  return counts;
}
