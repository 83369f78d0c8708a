/** How often a delivery is tried before it is dead. With the delays below: for about 31 hours. */
export const maxAttempts = 10;
/** An endpoint at which every attempt has failed for this long is disabled at the next failure: five days. */
export const disableAfterSeconds = 5 * 24 * 3600;
/** How long an attempt may take before another node takes the delivery up; an attempt ends after 5 seconds. */
export const leaseSeconds = 15;

const firstDelaySeconds = 5;
const longestDelaySeconds = 12 * 3600;
const longestHoldSeconds = 60;

/**
 * Seconds until the next attempt after `attempts` have failed: 5 s, 20 s, 80 s … at most 12 h, a fifth more or less by
 * `chance` (0 to 1), so that what failed together does not come back together.
 */
export function retryDelaySeconds(attempts: number, chance: number): number {
  const delay = Math.min(firstDelaySeconds * 4 ** (attempts - 1), longestDelaySeconds);
  return delay * (0.8 + 0.4 * chance);
}

/** Seconds for which an endpoint is left alone after so many failures in a row, whatever waits for it: 1 s to 60 s. */
export function holdSeconds(failures: number): number {
  return Math.min(2 ** (failures - 1), longestHoldSeconds);
}

/** Attempts under way at once on a node: in all, for an organization, for a webhook. */
export const concurrency = { node: 32, organization: 8, webhook: 4 } as const;

/** Somebody with deliveries that are due. */
export interface Candidate {
  readonly webhookId: string;
  readonly organization: string;
}

/**
 * How many deliveries each webhook may send now, one after the other in turn, so that a slow endpoint or a busy
 * organization leaves room for the others.
 */
export function chooseTurns(candidates: readonly Candidate[], inFlight: readonly Candidate[]): Map<string, number> {
  const busy = new Map<string, number>();
  const add = (key: string) => busy.set(key, (busy.get(key) ?? 0) + 1);
  for (const one of inFlight) for (const key of keysOf(one)) add(key);
  const turns = new Map<string, number>();
  let free = concurrency.node - inFlight.length;
  for (let round = 0; round < concurrency.webhook; round += 1) {
    for (const one of candidates) {
      const [webhook, organization] = keysOf(one);
      const full =
        (busy.get(webhook) ?? 0) >= concurrency.webhook || (busy.get(organization) ?? 0) >= concurrency.organization;
      if (free <= 0 || full) continue;
      for (const key of keysOf(one)) add(key);
      turns.set(one.webhookId, (turns.get(one.webhookId) ?? 0) + 1);
      free -= 1;
    }
  }
  return turns;
}

function keysOf({ webhookId, organization }: Candidate): [string, string] {
  return [`webhook ${webhookId}`, `organization ${organization}`];
}
