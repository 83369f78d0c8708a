import { timingSafeEqual } from 'node:crypto';
import type { Random } from '../../../../kernel/index.ts';
import type { OAuthClient } from '../clients/client.ts';
import { currentRequestContext } from '../request-context.ts';

/**
 * How oidc-provider learns that our front has authenticated a client: the forwarded form carries, in place of the
 * client's credentials, a random ticket that is good for this one request in this process. oidc-provider compares it
 * as a client secret (`compareClientSecret`), so a request that did not come through the front is refused by itself.
 */
export interface Ticket {
  readonly clientId: string;
  readonly value: string;
}

/** A ticket for a client that has just been authenticated. */
export function makeTicket(client: OAuthClient, random: Random): Ticket {
  return { clientId: client.clientId, value: Buffer.from(random.bytes(32)).toString('base64url') };
}

/** True when `value` is the ticket of the request under way and was made for this client. */
export function isTicket(clientId: string, value: string): boolean {
  const ticket = currentRequestContext()?.ticket;
  if (ticket?.clientId !== clientId) return false;
  const [given, expected] = [Buffer.from(value), Buffer.from(ticket.value)];
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The form as it is forwarded: the client's own credentials are taken out, the ticket is put in. */
export function withTicket(form: URLSearchParams, client: OAuthClient, ticket: Ticket): URLSearchParams {
  const forwarded = new URLSearchParams(form);
  for (const name of ['client_secret', 'client_assertion', 'client_assertion_type']) forwarded.delete(name);
  forwarded.set('client_id', client.clientId);
  if (client.authentication !== 'none') forwarded.set('client_secret', ticket.value);
  return forwarded;
}
