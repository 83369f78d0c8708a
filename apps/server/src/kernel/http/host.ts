import type { FastifyRequest } from 'fastify';

/**
 * True when there is one Host header. None or several is a broken request (RFC 9112 §3.2): Node's parser would answer the
 * one without our headers and take the first of the others, where a proxy before us may have taken the last.
 */
export function hasOneHost(request: FastifyRequest): boolean {
  const { rawHeaders, httpVersion } = request.raw;
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.length === 4 && rawHeaders[index]?.toLowerCase() === 'host') count += 1;
  }
  return count === 1 || (count === 0 && httpVersion === '1.0');
}

/**
 * True when the Host header names this server: `ownHost`, that of the public address, or the very IP address the connection arrived at.
 * A name that is not ours is refused: DNS rebinding and poisoned links begin with one.
 */
export function isOurHost(request: FastifyRequest, ownHost: string): boolean {
  const host = request.headers.host?.toLowerCase();
  if (host === undefined) return false;
  if (host === ownHost) return true;
  const local = request.socket.localAddress;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (local === undefined) return name === '127.0.0.1' || name === 'localhost';
  const plain = local.replace(/^::ffff:/, '');
  return name === plain || (name === 'localhost' && (plain === '::1' || plain.startsWith('127.')));
}
