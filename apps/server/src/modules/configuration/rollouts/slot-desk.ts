import { AppError, type Changes, type Logger, type Outcome } from '../../../kernel/index.ts';
import { slotTopic } from './rollout-service.ts';
import type { SlotAnswer, SlotRequest } from './slot-service.ts';

interface Waiter {
  readonly request: SlotRequest;
  readonly resolve: (answer: SlotAnswer) => void;
  readonly reject: (error: unknown) => void;
  /** What it was refused with last, and goes on waiting. */
  last: SlotAnswer | undefined;
  /** A decision on it is under way, and may grant it. */
  deciding: boolean;
  /** Its time is over: whatever is decided next is its answer. */
  over: boolean;
  timer: NodeJS.Timeout | undefined;
}

interface Line {
  waiters: Waiter[];
  running: boolean;
  again: boolean;
}

/** How often those who wait are decided on again when no notice comes. */
const pollIntervalMs = 1000;

/**
 * Where agents of this node stand in line for a slot: first come, first served. One decision serves all who wait in a
 * namespace, so a long line costs no more than a short one. It holds nothing but open requests: what was granted is in
 * the database, and an agent that asks again gets the same slot.
 */
export function createSlotDesk(deps: {
  changes: Pick<Changes, 'hear'>;
  log: Pick<Logger, 'warn'>;
  decideSlots: (namespaceId: string, requests: readonly SlotRequest[]) => Promise<Outcome<SlotAnswer>[]>;
}) {
  const { changes, log, decideSlots } = deps;
  const lines = new Map<string, Line>();
  let poll: NodeJS.Timeout | undefined;
  let stopping = false;

  const leave = (namespaceId: string, line: Line, waiter: Waiter) => {
    clearTimeout(waiter.timer);
    line.waiters = line.waiters.filter((one) => one !== waiter);
    if (line.waiters.length === 0 && !line.running) lines.delete(namespaceId);
  };

  /** Ends a wait without luck. Where a decision is under way, or none was made yet, that decision is the answer. */
  const answerWithLast = (namespaceId: string, line: Line, waiter: Waiter) => {
    if (waiter.deciding || !waiter.last) return;
    waiter.resolve(waiter.last);
    leave(namespaceId, line, waiter);
  };

  const hearAll = async (namespaceId: string, line: Line): Promise<void> => {
    const asking = [...line.waiters];
    for (const waiter of asking) waiter.deciding = true;
    let outcomes: Outcome<SlotAnswer>[];
    try {
      outcomes = await decideSlots(
        namespaceId,
        asking.map((one) => one.request),
      );
    } catch (error) {
      log.warn({ err: error, namespaceId }, 'deciding on restart slots failed');
      outcomes = asking.map(() => ({ error }));
    }
    for (const [index, waiter] of asking.entries()) {
      const outcome = outcomes[index];
      waiter.deciding = false;
      if (!outcome || 'error' in outcome) {
        waiter.reject(outcome?.error ?? new Error('slots: a request without an outcome'));
        leave(namespaceId, line, waiter);
        continue;
      }
      waiter.last = outcome.value;
      const final = outcome.value.granted || outcome.value.reason === 'superseded';
      if (!final && !waiter.over && !stopping) continue;
      waiter.resolve(outcome.value);
      leave(namespaceId, line, waiter);
    }
  };

  /** One decision at a time in a namespace; who comes meanwhile is in the next. */
  const serve = (namespaceId: string) => {
    const line = lines.get(namespaceId);
    if (!line || line.waiters.length === 0) return;
    if (line.running) {
      line.again = true;
      return;
    }
    line.running = true;
    line.again = false;
    void hearAll(namespaceId, line).finally(() => {
      line.running = false;
      if (line.again) serve(namespaceId);
      else if (line.waiters.length === 0) lines.delete(namespaceId);
    });
  };

  const stopHearing = changes.hear(slotTopic, serve);

  return {
    /**
     * Asks for a slot and waits up to `waitSeconds` for one; 0 asks once. An aborted wait leaves the line, so that no
     * slot is given to a connection that is gone.
     */
    ask(namespaceId: string, request: SlotRequest, waitSeconds: number, signal?: AbortSignal): Promise<SlotAnswer> {
      return new Promise((resolve, reject) => {
        const line = lines.get(namespaceId) ?? { waiters: [], running: false, again: false };
        // An agent stands in line once: who asks again has given the earlier request up.
        for (const other of line.waiters.filter((one) => one.request.agentId === request.agentId)) {
          other.over = true;
          answerWithLast(namespaceId, line, other);
        }
        const over = waitSeconds === 0;
        const waiter: Waiter = { request, resolve, reject, last: undefined, deciding: false, over, timer: undefined };
        line.waiters.push(waiter);
        lines.set(namespaceId, line);
        if (waitSeconds > 0) {
          waiter.timer = setTimeout(() => {
            waiter.over = true;
            answerWithLast(namespaceId, line, waiter);
          }, waitSeconds * 1000);
          signal?.addEventListener('abort', () => {
            if (!line.waiters.includes(waiter)) return; // answered already
            // Nobody reads this.
            reject(new AppError('kernel.request_timeout', { detail: 'The connection was closed while it waited.' }));
            leave(namespaceId, line, waiter);
          });
        }
        serve(namespaceId);
      });
    },

    /** How many wait on this node. */
    waiting: () => [...lines.values()].reduce((sum, line) => sum + line.waiters.length, 0),

    start() {
      poll = setInterval(() => {
        for (const namespaceId of lines.keys()) serve(namespaceId);
      }, pollIntervalMs);
      poll.unref();
    },

    /** Answers everybody who waits with what they were last told: they ask again, at another node. */
    release() {
      stopping = true;
      for (const [namespaceId, line] of lines) {
        for (const waiter of line.waiters) answerWithLast(namespaceId, line, waiter);
      }
    },

    stop() {
      stopHearing();
      clearInterval(poll);
    },
  };
}

/** What {@link createSlotDesk} gives. */
export type SlotDesk = ReturnType<typeof createSlotDesk>;
