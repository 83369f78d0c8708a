/** What an instance tells the server about itself, and the leave it asks for before it restarts. */
import { GatehouseError, isGatehouseError } from '../errors.ts';
import { type HttpOptions, parseObject } from '../http/request.ts';
import type { AgentIdentity } from './agent-identity.ts';
import { agentFailureOf, requestAsAgent } from './agent-requests.ts';
import { type BackOffOptions, createBackOff, sleep } from './back-off.ts';

/**
 * What became of a version on this instance: `received`; `applied` (its process starts with it) or `rejected`; then
 * `healthy` or `unhealthy`; `stopped` when the agent ends its process on purpose.
 */
export type InstanceState = 'received' | 'applied' | 'rejected' | 'healthy' | 'unhealthy' | 'stopped';

/** Leave to restart, or not yet. */
export type RestartSlot =
  | { readonly granted: true; readonly expiresAt: Date }
  | {
      readonly granted: false;
      /** `superseded` (by `latestVersion`), `stopped`, `canary`, `baking`, `max_unavailable`. */
      readonly reason: string;
      readonly retryAfterSeconds: number;
      readonly latestVersion?: number;
    };

/** Whose reports, about what. */
export interface RolloutClientOptions extends HttpOptions {
  identity: AgentIdentity;
  namespace: string;
  /** How long to wait before a report is sent again. */
  backOff?: BackOffOptions;
}

/** Reports and slots of one namespace. */
export interface RolloutClient {
  /**
   * Tells the server: in order, again and again while it is away. Resolves when it was delivered, or dropped because the
   * server refuses it, too many wait, or the client was closed. Never rejects. `reason` must not hold a value.
   */
  report(version: number, state: InstanceState, reason?: string): Promise<void>;
  /**
   * Asks for a restart slot, and waits up to `waitSeconds` (default 50, at most 60) for one. A slot that is held is given
   * again. Rejects with `server_unavailable` when the server is away, and with the signal's reason.
   */
  requestSlot(version: number, options?: { waitSeconds?: number; signal?: AbortSignal }): Promise<RestartSlot>;
  /**
   * Asks until a slot is granted, through refusals and times without the server. Rejects with the signal's reason, or
   * when the server refuses the question itself.
   */
  waitForSlot(version: number, options: { signal: AbortSignal }): Promise<{ readonly expiresAt: Date }>;
  /** Sends what waits for at most `seconds` (default 0), then drops it. */
  close(options?: { seconds?: number }): Promise<void>;
}

interface Report {
  readonly version: number;
  readonly state: InstanceState;
  readonly reason: string | undefined;
  readonly done: () => void;
}

const maxWaiting = 32;
const maxReasonCharacters = 500;
const slotMarginMilliseconds = 15_000;
const leastSlotPauseSeconds = 1;

/** Makes the client of one namespace. */
export function createRolloutClient(options: RolloutClientOptions): RolloutClient {
  const { identity, namespace } = options;
  const path = (name: string) => `/v1/services/${identity.service}/${namespace}/${name}`;
  const closing = new AbortController();
  let waiting: Report[] = [];
  let isSending = false;
  let sent: Promise<void> = Promise.resolve();

  async function post(name: string, body: object, http: HttpOptions, signal: AbortSignal) {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await requestAsAgent(identity, path(name), init, { ...http, signal });
    if (answer.status !== 200) throw agentFailureOf(answer, `Namespace ${namespace}`);
    return parseObject(answer, `Namespace ${namespace}`);
  }

  async function send({ version, state, reason }: Report): Promise<void> {
    const isReasonNeeded = state === 'rejected' || state === 'unhealthy';
    const said = (reason ?? '').slice(0, maxReasonCharacters) || (isReasonNeeded ? 'no reason given' : undefined);
    const body = { version, state, ...(said === undefined ? {} : { reason: said }) };
    await post('instance', body, options, closing.signal);
  }

  /** In order. What the server refuses is dropped: it would refuse it again. */
  async function sendAll(): Promise<void> {
    isSending = true;
    const backOff = createBackOff(options.backOff);
    for (let [first] = waiting; first !== undefined && !closing.signal.aborted; [first] = waiting) {
      try {
        await send(first);
        backOff.reset();
      } catch (error) {
        if (closing.signal.aborted) break;
        if (isGatehouseError(error, 'server_unavailable')) {
          await sleep(backOff.next(error.retryAfterSeconds), closing.signal).catch(() => undefined);
          continue;
        }
      }
      waiting = waiting.filter((report) => report !== first);
      first.done();
    }
    // At once with the last look at what waits: what comes later starts anew.
    isSending = false;
    if (closing.signal.aborted) dropAll();
  }

  function dropAll(): void {
    for (const report of waiting) report.done();
    waiting = [];
  }

  async function requestSlot(
    version: number,
    { waitSeconds = 50, signal }: { waitSeconds?: number; signal?: AbortSignal } = {},
  ): Promise<RestartSlot> {
    const wait = Math.min(60, Math.max(0, Math.round(waitSeconds)));
    const http = { ...options, timeoutMilliseconds: wait * 1000 + slotMarginMilliseconds };
    const answer = await post('slot', { version, wait }, http, signal ?? closing.signal);
    const { granted, expires_at: expiresAt, reason, retry_after: retryAfter, latest_version: latest } = answer;
    if (granted === true && typeof expiresAt === 'string') return { granted, expiresAt: new Date(expiresAt) };
    if (granted !== false) throw new GatehouseError('answer_invalid', `Namespace ${namespace}: not a slot.`);
    return {
      granted,
      reason: typeof reason === 'string' ? reason : 'refused',
      retryAfterSeconds: typeof retryAfter === 'number' ? retryAfter : leastSlotPauseSeconds,
      ...(typeof latest === 'number' ? { latestVersion: latest } : {}),
    };
  }

  return {
    report(version, state, reason) {
      return new Promise((done) => {
        if (closing.signal.aborted) {
          done();
          return;
        }
        waiting.push({ version, state, reason, done });
        // While the server is away for long, the newest tell the most.
        if (waiting.length > maxWaiting) waiting.shift()?.done();
        if (!isSending) sent = sendAll();
      });
    },
    requestSlot,
    async waitForSlot(version, { signal }) {
      const backOff = createBackOff(options.backOff);
      for (;;) {
        signal.throwIfAborted();
        try {
          const slot = await requestSlot(version, { signal });
          if (slot.granted) return slot;
          backOff.reset();
          await sleep(1000 * Math.max(leastSlotPauseSeconds, Math.min(slot.retryAfterSeconds, 5)), signal);
        } catch (error) {
          if (signal.aborted || !isGatehouseError(error, 'server_unavailable')) throw error;
          await sleep(backOff.next(error.retryAfterSeconds), signal);
        }
      }
    },
    async close({ seconds = 0 } = {}) {
      const timer = setTimeout(() => closing.abort(), seconds * 1000);
      await sent;
      clearTimeout(timer);
      closing.abort();
      dropAll();
    },
  };
}
