import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';

/** What a receiver was sent. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly method: string;
  readonly body: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read whatever the payload holds
  readonly payload: any;
}

/** What the receiver answers; `never` leaves the request open. */
type Answer = number | 'never' | { status: number; headers?: Record<string, string>; body?: string };

/** A receiver of webhooks on loopback; it keeps what it gets and answers as it is told. */
export async function startReceiver() {
  const received: Received[] = [];
  const waiters = new Set<() => void>();
  let answer: (request: Received) => Answer = () => 204;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const one = { headers: request.headers, method: request.method ?? '', body, payload: JSON.parse(body) };
      const told = answer(one);
      received.push(one);
      for (const check of waiters) check();
      if (told === 'never') return;
      const { status, headers = {}, body: text = '' } = typeof told === 'number' ? { status: told } : told;
      response.writeHead(status, headers).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  after(close);
  return {
    origin,
    url: `${origin}/hook`,
    received,
    close,
    answers(how: Answer | ((request: Received) => Answer)): void {
      answer = typeof how === 'function' ? how : () => how;
    },
    /** Resolves when what was received satisfies the condition. */
    async until(condition: (received: readonly Received[]) => boolean): Promise<void> {
      if (condition(received)) return;
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => {
          waiters.delete(check);
          reject(new Error(`not received in time; got ${received.map(({ payload }) => payload.type).join(', ')}`));
        }, 20_000);
        const check = () => {
          if (!condition(received)) return;
          clearTimeout(late);
          waiters.delete(check);
          resolve();
        };
        waiters.add(check);
      });
    },
    /** The first event of this type. */
    async event(type: string): Promise<Received> {
      await this.until((all) => all.some(({ payload }) => payload.type === type));
      const found = received.find(({ payload }) => payload.type === type);
      if (!found) throw new Error('unreachable');
      return found;
    },
  };
}

/**
 * Verifies a message as the specification of Standard Webhooks 1.0.0 says, written from that text alone: the secret is
 * base64 behind `whsec_`; the signed content is `{id}.{timestamp}.{body}`; the header holds `v1,<base64>` entries
 * separated by spaces, one of which must match; a timestamp may be five minutes off.
 */
export function verifyStandardWebhook(message: Pick<Received, 'headers' | 'body'>, secret: string, now: Date): boolean {
  const id = message.headers['webhook-id'];
  const timestamp = message.headers['webhook-timestamp'];
  const signatures = message.headers['webhook-signature'];
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return false;
  if (!/^\d+$/.test(timestamp) || Math.abs(now.getTime() / 1000 - Number(timestamp)) > 300) return false;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${message.body}`).digest();
  return signatures.split(' ').some((entry) => {
    const [version, encoded = ''] = entry.split(',', 2);
    const given = Buffer.from(encoded, 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
}
