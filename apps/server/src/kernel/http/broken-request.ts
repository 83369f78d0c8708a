import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../errors.ts';
import type { Random } from '../random.ts';
import { problemOf } from './problem.ts';

/**
 * Answers what Node's parser could not read as HTTP, or did not get in time: a problem with the headers of every answer,
 * then the end of the connection, since where the next request would begin is not known (RFC 9112 §2.2).
 */
export function createBrokenRequestHandler(deps: {
  random: Random;
  headers: readonly (readonly [string, string])[];
}): (error: NodeJS.ErrnoException, socket: Socket) => void {
  return (error, socket) => {
    // A connection that is gone cannot be answered, and an answer that was begun cannot be begun again.
    const begun = (socket as { _httpMessage?: { _headerSent?: boolean } })._httpMessage?._headerSent === true;
    if (error.code === 'ECONNRESET' || !socket.writable || begun) {
      socket.destroy();
      return;
    }
    const refusal = refusalOf(error.code);
    const requestId = deps.random.id('req');
    const body = JSON.stringify(problemOf(refusal, requestId));
    const head = [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
      ...deps.headers.map(([name, value]) => `${name}: ${value}`),
      `x-request-id: ${requestId}`,
      'content-type: application/problem+json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
  };
}

/** What the parser says is not repeated: it may hold a part of the request. */
function refusalOf(code: string | undefined): AppError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new AppError('kernel.headers_too_large', { detail: 'Address and headers may have 16 KiB together.' });
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new AppError('kernel.too_large', { detail: 'The extensions of a chunk are too long.' });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new AppError('kernel.request_timeout', {
        detail: 'Send the headers within 10 s, and the whole within 20 s.',
      });
    default:
      return new AppError('kernel.invalid_request', { detail: 'This is not HTTP/1.1 as RFC 9112 has it.' });
  }
}
