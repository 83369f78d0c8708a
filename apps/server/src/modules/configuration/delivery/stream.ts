import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Caller } from '../agents/agent.ts';
import { chunkOf, eventsPerWrite, eventsText, openingText } from './events.ts';

/** One stream of events to one client. */
export interface Stream {
  readonly caller: Caller;
  readonly response: ServerResponse;
  /** Bytes can go straight to the socket, as chunks made once for everybody; undefined for HTTP/1.0 and the like. */
  readonly socket: Socket | undefined;
  /** The last version that was written to it. */
  position: number;
  /** Since when its client is too slow, in turns of the hub's clock; undefined when it keeps up. */
  blockedSince: number | undefined;
  /** Nothing is written any more: what follows on the connection is not ours. */
  ended: boolean;
}

/** Where the namespace stands, and what time it is: both are asked again when a slow client has read. */
export interface Pace {
  newest(): number;
  turn(): number;
}

/** Begins the answer. `position`: the last version that the client has. */
export function openStream(response: ServerResponse, caller: Caller, position: number): Stream {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no', // proxies that would wait for the end
  });
  response.write(openingText);
  // A request that was sent before the answer to the one before it has no socket yet, and HTTP/1.0 knows no chunks.
  const isChunked = (response as { chunkedEncoding?: boolean }).chunkedEncoding === true;
  const socket = isChunked && response.socket ? response.socket : undefined;
  return { caller, response, socket, position, blockedSince: undefined, ended: false };
}

/**
 * Writes text; `chunk` is the same as HTTP/1.1 writes it. When the client has to read before it can get more, the rest
 * follows when it has: what a slow client misses takes no room.
 */
export function writeText(stream: Stream, pace: Pace, text: string, chunk?: Buffer): void {
  if (stream.ended) return;
  const { socket, response } = stream;
  const keepsUp = socket ? socket.write(chunk ?? chunkOf(text)) : response.write(text);
  if (keepsUp || stream.blockedSince !== undefined) return;
  stream.blockedSince = pace.turn();
  (socket ?? response).once('drain', () => {
    stream.blockedSince = undefined;
    advance(stream, pace);
  });
}

/** Brings a stream up to the newest version, each version in its turn, as far as its client reads. */
export function advance(stream: Stream, pace: Pace): void {
  while (!stream.ended && stream.blockedSince === undefined && stream.position < pace.newest()) {
    const from = stream.position;
    stream.position = Math.min(pace.newest(), from + eventsPerWrite);
    writeText(stream, pace, eventsText(from, stream.position));
  }
}

/** Ends a stream as it should end: its client comes back, here or at another node, with where it was. */
export function endStream(stream: Stream): void {
  stream.ended = true;
  stream.response.end();
}

/** Drops a client that does not read. */
export function dropStream(stream: Stream): void {
  stream.ended = true;
  stream.response.destroy();
}
