import { AppError, type Changes, type Logger, type Outcome } from '../../../kernel/index.ts';
import { slotTopic } from './rollout-service.ts';
import type { LinedRequest, SlotAnswer, SlotRequest } from './slot-service.ts';

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
  /** In the order in which they came. */
  readonly waiters: Set<Waiter>;
  /** The last request of each agent. */
  readonly byAgent: Map<string, Waiter>;
  running: boolean;
  again: boolean;
}

/** How often those who wait are decided on again when no notice comes. */
const pollIntervalMs = 1000;
/** Most of those who were heard before that are heard in one decision: the front of the line. */
const maxFront = 256;

/**
 * Where agents of this node stand in line for a slot: first come, first served. One decision serves all who came and the
 * front of the line, so ten thousand in line cost hardly more than a few. It holds nothing but open requests: what was granted is in
 * the database, and an agent that asks again gets the same slot.
 */
export function createSlotDesk(deps: {
  changes: Pick<Changes, 'hear'>;
  log: Pick<Logger, 'warn'>;
  decideSlots: (namespaceId: string, requests: readonly LinedRequest[]) => Promise<Outcome<SlotAnswer>[]>;
}) {
  const { changes, log, decideSlots } = deps;
  const lines = new Map<string, Line>();
  let poll: NodeJS.Timeout | undefined;
  let stopping = false;

  const leave = (namespaceId: string, line: Line, waiter: Waiter) => {
    clearTimeout(waiter.timer);
    const { agentId } = waiter.request;
    line.waiters.delete(waiter);
    if (line.byAgent.get(agentId) === waiter) line.byAgent.delete(agentId);
    if (line.waiters.size === 0 && !line.running) lines.delete(namespaceId);
  };

  /** Ends a wait without luck. Where a decision is under way, or none was made yet, that decision is the answer. */
  const answerWithLast = (namespaceId: string, line: Line, waiter: Waiter) => {
    if (waiter.deciding || !waiter.last) return;
    waiter.resolve(waiter.last);
    leave(namespaceId, line, waiter);
  };

  const hearAll = async (namespaceId: string, line: Line): Promise<void> => {
    let front = 0;
    const asking = [...line.waiters].filter((one) => {
      if (one.last) front += 1;
      return !one.last || front <= maxFront;
    });
    for (const waiter of asking) waiter.deciding = true;
    let outcomes: Outcome<SlotAnswer>[];
    try {
      outcomes = await decideSlots(
        namespaceId,
        asking.map((one) => ({ ...one.request, isNew: one.last === undefined })),
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
      if (outcome.value.granted) line.again = true;
      else tellSuperseded(namespaceId, line, outcome.value);
    }
  };

  /** Who waits for an older version than the newest waits for nothing, however far back it stands. */
  const tellSuperseded = (namespaceId: string, line: Line, answer: SlotAnswer & { granted: false }) => {
    if (answer.reason !== 'superseded') return;
    for (const waiter of line.waiters) {
      if (waiter.deciding || !waiter.last || waiter.request.version >= answer.latestVersion) continue;
      waiter.resolve(answer);
      leave(namespaceId, line, waiter);
    }
  };

  /** One decision at a time in a namespace; who comes meanwhile is in the next. */
  const serve = (namespaceId: string) => {
    const line = lines.get(namespaceId);
    if (!line || line.waiters.size === 0) return;
    if (line.running) {
      line.again = true;
      return;
    }
    line.running = true;
    line.again = false;
    void hearAll(namespaceId, line).finally(() => {
      line.running = false;
      if (line.waiters.size === 0) lines.delete(namespaceId);
      else if (line.again) serve(namespaceId);
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
        const line = lines.get(namespaceId) ?? {
          waiters: new Set(),
          byAgent: new Map(),
          running: false,
          again: false,
        };
        // An agent stands in line once: who asks again has given the earlier request up.
        const earlier = line.byAgent.get(request.agentId);
        if (earlier) {
          earlier.over = true;
          answerWithLast(namespaceId, line, earlier);
        }
        const over = waitSeconds === 0;
        const waiter: Waiter = { request, resolve, reject, last: undefined, deciding: false, over, timer: undefined };
        line.waiters.add(waiter);
        line.byAgent.set(request.agentId, waiter);
        lines.set(namespaceId, line);
        if (waitSeconds > 0) {
          waiter.timer = setTimeout(() => {
            waiter.over = true;
            answerWithLast(namespaceId, line, waiter);
          }, waitSeconds * 1000);
          signal?.addEventListener('abort', () => {
            if (!line.waiters.has(waiter)) return; // answered already
            // Nobody reads this.
            reject(new AppError('kernel.request_timeout', { detail: 'The connection was closed while it waited.' }));
            leave(namespaceId, line, waiter);
          });
        }
        serve(namespaceId);
      });
    },

    /** How many wait on this node. */
    waiting: () => [...lines.values()].reduce((sum, line) => sum + line.waiters.size, 0),

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
