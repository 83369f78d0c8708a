import type { FastifyRequest } from 'fastify';

/**
 * True when the Host header names this server: the public address, or the very IP address the connection arrived at.
 * A name that is not ours is refused: DNS rebinding and poisoned links begin with one.
 */
export function isOurHost(request: FastifyRequest, publicUrl: string): boolean {
  const host = request.headers.host?.toLowerCase();
  if (host === undefined) return false;
  if (host === new URL(publicUrl).host) return true;
  const local = request.socket.localAddress;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (local === undefined) return name === '127.0.0.1' || name === 'localhost';
  const plain = local.replace(/^::ffff:/, '');
  return name === plain || (name === 'localhost' && (plain === '::1' || plain.startsWith('127.')));
}
