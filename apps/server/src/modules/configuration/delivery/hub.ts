import type { ServerResponse } from 'node:http';
import { AppError, type Changes, type Db, type Logger } from '../../../kernel/index.ts';
import type { Caller } from '../agents/agent.ts';
import { listNewestVersions } from './delivery-store.ts';
import { chunkOf, eventText, pingText } from './events.ts';
import { advance, dropStream, endStream, openStream, type Pace, type Stream, writeText } from './stream.ts';

/** The topic under which publications are announced: `<namespace id> <version> <milliseconds since the epoch>`. */
export const publishedTopic = 'configuration-published';

/** Turns of the hub's clock in a second. */
const turnsPerSecond = 4;
/** Each stream gets a ping once in this time: one of them in each of these turns, not all at once. */
const pingTurns = 15 * turnsPerSecond;
/** A client that does not read what it was sent within this time is dropped. */
const maxBlockedTurns = 30 * turnsPerSecond;
/** Events, or answers, that are written before other work gets its turn: each about ten milliseconds. */
const eventsPerTurn = 1000;
const answersPerTurn = 400;
/** How often one agent may wait on a node at once: more than it has namespaces, and far less than a node has room. */
const maxWaitsOfAgent = 100;
/** Namespaces whose newest announcement is remembered although nobody waits: for who is on the way to waiting. */
const maxHeard = 10_000;

/** A request that waits for a version other than the one it has. Small: there are ten thousand of them. */
interface Waiter {
  readonly response: ServerResponse;
  readonly caller: Caller;
  readonly since: number;
  readonly channel: Channel;
  readonly untilTurn: number;
}

/** Everybody on this node who waits for one namespace. */
interface Channel {
  readonly namespaceId: string;
  version: number;
  readonly pace: Pace;
  readonly waiters: Set<Waiter>;
  /** Each with the turn of its pings. */
  readonly streams: Map<Stream, number>;
  sending: boolean;
}

/** What the hub tells of itself. */
export interface HubObserver {
  /** Everybody who waited for `version` has been written to, so long after its publication. */
  sent(receivers: number, secondsSincePublication: number): void;
  /** This caller is there: its stream was pinged. */
  seen(caller: Caller, namespaceId: string): void;
}

/**
 * Those who wait on this node. Versions are learned from announcements, which are fast and may be lost, and by looking at
 * the waited-for namespaces each second. A version is written to all who wait in slices: bytes made once, and other
 * requests have their turn in between.
 */
export function createHub(deps: {
  db: Db;
  log: Logger;
  changes: Pick<Changes, 'hear'>;
  now: () => Date;
  observer: HubObserver;
  pollIntervalMs?: number;
}) {
  const { db, log, changes, now, observer, pollIntervalMs = 1000 } = deps;
  const channels = new Map<string, Channel>();
  const heard = new Map<string, number>();
  const waitsOf = new Map<string, number>();
  const deadlines = new Map<number, Set<Waiter>>();
  let turn = 0;
  let nextPing = 0;
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;
  let poller: NodeJS.Timeout | undefined;
  let polling: Promise<void> | undefined;
  let stopHearing = () => {};

  const channelOf = (namespaceId: string, version: number): Channel => {
    let channel = channels.get(namespaceId);
    if (!channel) {
      const made: Channel = {
        namespaceId,
        version: 0,
        pace: { newest: () => made.version, turn: () => turn },
        waiters: new Set(),
        streams: new Map(),
        sending: false,
      };
      channel = made;
      channels.set(namespaceId, made);
    }
    learn(channel, Math.max(version, heard.get(namespaceId) ?? 0));
    return channel;
  };

  const leave = (channel: Channel) => {
    if (channel.waiters.size === 0 && channel.streams.size === 0 && channels.get(channel.namespaceId) === channel) {
      channels.delete(channel.namespaceId);
    }
  };

  /** Service tokens are shared by a fleet, an agent's token is not. */
  const countWait = (caller: Caller, change: 1 | -1) => {
    if (caller.kind !== 'agent') return;
    const count = (waitsOf.get(caller.agentId) ?? 0) + change;
    if (count > 0) waitsOf.set(caller.agentId, count);
    else waitsOf.delete(caller.agentId);
  };

  const removeWaiter = (waiter: Waiter): boolean => {
    if (!waiter.channel.waiters.delete(waiter)) return false;
    countWait(waiter.caller, -1);
    const others = deadlines.get(waiter.untilTurn);
    others?.delete(waiter);
    if (others?.size === 0) deadlines.delete(waiter.untilTurn);
    leave(waiter.channel);
    return true;
  };

  const removeStream = (channel: Channel, stream: Stream) => {
    if (!channel.streams.delete(stream)) return;
    countWait(stream.caller, -1);
    leave(channel);
  };

  /** Notes a newer version and begins to tell it. */
  const learn = (channel: Channel, version: number, publishedAt?: number) => {
    if (version <= channel.version) return;
    channel.version = version;
    if (!channel.sending && channel.waiters.size + channel.streams.size > 0) {
      channel.sending = true;
      void send(channel, publishedAt);
    }
  };

  /** Writes until everybody has the newest version; one that comes meanwhile is written in another round. */
  const send = async (channel: Channel, publishedAt: number | undefined) => {
    try {
      for (let done = 0; done !== channel.version; ) {
        const { version } = channel;
        let receivers = 0;
        const text = eventText(version);
        const chunk = chunkOf(text);
        const body = Buffer.from(`{"version":${version}}`);
        const head = answerHead(version, body);
        for (const slice of slices([...channel.streams.keys()], eventsPerTurn)) {
          for (const stream of slice) {
            if (stream.ended || stream.blockedSince !== undefined || stream.position >= version) continue;
            if (stream.position === version - 1) {
              stream.position = version;
              writeText(stream, channel.pace, text, chunk);
            } else advance(stream, channel.pace);
            receivers += 1;
          }
          if (slice.length === eventsPerTurn) await nextTurn();
        }
        for (const slice of slices([...channel.waiters], answersPerTurn)) {
          for (const waiter of slice) {
            if (waiter.since === version || !removeWaiter(waiter)) continue;
            waiter.response.writeHead(200, head).end(body);
            receivers += 1;
          }
          if (slice.length === answersPerTurn) await nextTurn();
        }
        done = version;
        if (receivers > 0 && publishedAt !== undefined) {
          observer.sent(receivers, Math.max(0, now().getTime() - publishedAt) / 1000);
        }
      }
    } finally {
      channel.sending = false;
    }
  };

  const endWaiter = (waiter: Waiter, isLast: boolean) => {
    if (removeWaiter(waiter)) answerUnchanged(waiter.response, waiter.since, isLast);
  };
  const end = (channel: Channel, stream: Stream) => {
    endStream(stream);
    removeStream(channel, stream);
  };
  const endChannel = (channel: Channel, isLast: boolean) => {
    for (const waiter of channel.waiters) endWaiter(waiter, isLast);
    for (const stream of channel.streams.keys()) end(channel, stream);
  };

  const poll = async () => {
    const ids = [...channels.keys()];
    if (ids.length === 0) return;
    const newest = await db.read((tx) => listNewestVersions(tx, ids));
    for (const id of ids) {
      const channel = channels.get(id);
      const version = newest.get(id);
      if (!channel) continue;
      // The namespace is gone: whoever waited hears so when asking again.
      if (version === undefined) endChannel(channel, false);
      else learn(channel, version);
    }
  };
  const pollOnce = () => {
    polling ??= poll()
      .catch((error: unknown) => log.warn({ err: error }, 'looking for new versions failed; trying again'))
      .finally(() => {
        polling = undefined;
      });
  };

  const hear = (message: string) => {
    const [id = '', version = '', publishedAt = ''] = message.split(' ');
    heard.delete(id);
    heard.set(id, Number(version));
    if (heard.size > maxHeard) heard.delete(heard.keys().next().value as string);
    const channel = channels.get(id);
    if (channel) learn(channel, Number(version), Number(publishedAt));
  };

  const tick = () => {
    turn += 1;
    for (const waiter of deadlines.get(turn) ?? []) endWaiter(waiter, false);
    for (const channel of channels.values()) {
      for (const [stream, pingTurn] of channel.streams) {
        if (stream.blockedSince === undefined) {
          if (turn % pingTurns !== pingTurn) continue;
          writeText(stream, channel.pace, pingText, pingChunk);
          observer.seen(stream.caller, channel.namespaceId);
        } else if (turn - stream.blockedSince > maxBlockedTurns) {
          dropStream(stream);
          removeStream(channel, stream);
        }
      }
    }
  };

  const drain = () => {
    stopping = true;
    for (const channel of channels.values()) endChannel(channel, true);
  };

  return {
    /** Throws when this caller waits on this node as often as it may. To be asked before `wait` and `stream`. */
    assertRoom(caller: Caller): void {
      if (caller.kind !== 'agent' || (waitsOf.get(caller.agentId) ?? 0) < maxWaitsOfAgent) return;
      throw new AppError('configuration.too_many_waiting', {
        detail: `An agent waits at most ${maxWaitsOfAgent} times at once. Let one stream tell all who need it.`,
        headers: { 'retry-after': '5' },
      });
    },

    /**
     * Answers a request when the namespace has a version other than `since`, or with 304 after `waitSeconds` at most.
     * `latest` is what the caller has just read.
     */
    wait(input: {
      response: ServerResponse;
      caller: Caller;
      namespaceId: string;
      latest: number;
      since: number;
      waitSeconds: number;
    }): void {
      const { response, caller, since } = input;
      const channel = channelOf(input.namespaceId, input.latest);
      if (channel.version !== since) {
        leave(channel);
        const body = Buffer.from(`{"version":${channel.version}}`);
        response.writeHead(200, answerHead(channel.version, body)).end(body);
        return;
      }
      if (stopping || response.destroyed) {
        leave(channel);
        answerUnchanged(response, since, true);
        return;
      }
      const untilTurn = turn + input.waitSeconds * turnsPerSecond;
      const waiter: Waiter = { response, caller, since, channel, untilTurn };
      channel.waiters.add(waiter);
      countWait(caller, 1);
      const others = deadlines.get(untilTurn) ?? new Set();
      others.add(waiter);
      deadlines.set(untilTurn, others);
      response.once('close', () => removeWaiter(waiter));
    },

    /** Tells a client of every version after `since`, in order, until one of the two ends it. */
    stream(input: {
      response: ServerResponse;
      caller: Caller;
      namespaceId: string;
      latest: number;
      since: number | undefined;
    }): void {
      const { response, caller, latest, since } = input;
      const channel = channelOf(input.namespaceId, latest);
      // Who has nothing yet, or something from the future (a server restored from a backup), hears where it stands.
      const position = since === undefined || since > latest ? Math.max(0, latest - 1) : since;
      const stream = openStream(response, caller, position);
      if (stopping || response.destroyed) {
        leave(channel);
        endStream(stream);
        return;
      }
      nextPing = (nextPing + 1) % pingTurns;
      channel.streams.set(stream, nextPing);
      countWait(caller, 1);
      response.once('close', () => {
        stream.ended = true;
        removeStream(channel, stream);
      });
      advance(stream, channel.pace);
    },

    /** Ends the waiting of callers that may no longer be served. */
    async endRefused(stillGood: (callers: readonly Caller[]) => Promise<ReadonlySet<Caller>>): Promise<void> {
      const waiting = [...channels.values()].flatMap((channel) => [
        ...[...channel.waiters].map((waiter) => ({ caller: waiter.caller, end: () => endWaiter(waiter, false) })),
        ...[...channel.streams.keys()].map((stream) => ({ caller: stream.caller, end: () => end(channel, stream) })),
      ]);
      const good = await stillGood(waiting.map(({ caller }) => caller));
      for (const { caller, end: endIt } of waiting) if (!good.has(caller)) endIt();
    },

    /** How many wait on this node. */
    counts(): { polls: number; streams: number } {
      let polls = 0;
      let streams = 0;
      for (const channel of channels.values()) {
        polls += channel.waiters.size;
        streams += channel.streams.size;
      }
      return { polls, streams };
    },

    /** Lets everybody go: they come back, to other nodes, with what they have. From now on nobody waits here. */
    drain,

    start(): void {
      stopHearing = changes.hear(publishedTopic, hear);
      timer = setInterval(tick, 1000 / turnsPerSecond);
      poller = setInterval(pollOnce, pollIntervalMs);
      timer.unref();
      poller.unref();
    },
    async stop(): Promise<void> {
      drain();
      stopHearing();
      clearInterval(timer);
      clearInterval(poller);
      await polling;
    },
  };
}

/** What {@link createHub} gives. */
export type Hub = ReturnType<typeof createHub>;

const pingChunk = chunkOf(pingText);

function answerHead(version: number, body: Buffer): Record<string, string | number> {
  return {
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.byteLength,
    'cache-control': 'private, no-cache',
    etag: `"${version}"`,
  };
}

function answerUnchanged(response: ServerResponse, version: number, isLast: boolean): void {
  response
    .writeHead(304, {
      'cache-control': 'private, no-cache',
      etag: `"${version}"`,
      ...(isLast ? { connection: 'close' } : {}),
    })
    .end();
}

function slices<T>(all: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < all.length; start += size) parts.push(all.slice(start, start + size));
  return parts;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
