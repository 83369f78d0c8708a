import type { IncomingMessage } from 'node:http';
import type { Origin } from '../../../kernel/index.ts';
import Provider from 'oidc-provider';

/**
 * What our front knows about a request and oidc-provider's callbacks need again. oidc-provider keeps its context in
 * an AsyncLocalStorage (`Provider.ctx`); ours hangs on the same request object.
 */
export interface RequestContext {
  readonly origin: Origin;
  /** Set when the front has authenticated the client: see `client-authentication/ticket.ts`. */
  readonly ticket?: { readonly clientId: string; readonly value: string };
}

const contexts = new WeakMap<IncomingMessage, RequestContext>();

/** Remembers the context of a request that is handed to oidc-provider. */
export function setRequestContext(request: IncomingMessage, context: RequestContext): void {
  contexts.set(request, context);
}

/** The context of the request oidc-provider works on now; undefined outside of a request. */
export function currentRequestContext(): RequestContext | undefined {
  const request = Provider.ctx?.req;
  return request && contexts.get(request);
}

/** Who the request comes from, for the audit. */
export function currentOrigin(): Origin {
  return currentRequestContext()?.origin ?? { actor: { type: 'system', id: 'oauth' } };
}
