/** How versions are told: the bytes of answers and events, made once for all who get them. */

/** Events that go out in one write, at most: a client that is far behind gets its backlog in pieces. */
export const eventsPerWrite = 500;

/** Server-sent events of the versions after `from` up to `to`, in order. */
export function eventsText(from: number, to: number): string {
  let text = '';
  for (let version = from + 1; version <= to; version += 1) text += eventText(version);
  return text;
}

/** The event of one version. Its id is what a client that comes back sends as Last-Event-ID. */
export function eventText(version: number): string {
  return `id: ${version}\nevent: version\ndata: {"version":${version}}\n\n`;
}

/** The beginning of a stream: how long a client without a better idea waits before it comes back, milliseconds. */
export const openingText = 'retry: 2000\n\n';

/** A comment: shows proxies and both ends that the stream lives. */
export const pingText = ':\n\n';

/** A piece of a body as HTTP/1.1 writes it (RFC 9112 §7.1): written to a socket as it is. */
export function chunkOf(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
}
