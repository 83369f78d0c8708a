import { AsyncLocalStorage } from 'node:async_hooks';
import type { Origin } from '../../../kernel/index.ts';

/**
 * What our front knows about a request that oidc-provider works on, and its callbacks (storage, claims, client
 * authentication) need again: they are called with ids only.
 */
export interface RequestContext {
  readonly origin: Origin;
  /** Set when the front has authenticated the client: see `client-authentication/ticket.ts`. */
  readonly ticket?: { readonly clientId: string; readonly value: string };
}

const contexts = new AsyncLocalStorage<RequestContext>();

/** Runs `work`, and everything that follows from it, in this context. */
export function runWithContext<T>(context: RequestContext, work: () => T): T {
  return contexts.run(context, work);
}

/** The context of the request under way; undefined outside of one. */
export function currentRequestContext(): RequestContext | undefined {
  return contexts.getStore();
}

/** Who the request under way comes from, for the audit. */
export function currentOrigin(): Origin {
  return contexts.getStore()?.origin ?? { actor: { type: 'system', id: 'oauth' } };
}
