import type { Permission } from '@gatehouse/contracts';
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { AppError } from '../errors.ts';

/** What a route asks of its caller. A route that does not say stops the boot. */
export type RouteAuth =
  /** Open to all; the text says why. */
  | { readonly public: string }
  /** An access token that holds this permission in its organization. */
  | { readonly permission: Permission }
  /** Any valid access token: the route shows or changes only what is the caller's own. */
  | { readonly self: true }
  /** Credentials of another kind, which the text names; the route's own module checks them before anything else. */
  | { readonly credentials: string };

/** Who calls, as the access token and the database say. */
export interface Principal {
  readonly kind: 'user' | 'service';
  /** The token's `sub`: the uid of a user, the client id of a service. */
  readonly id: string;
  readonly clientId: string;
  /** The organization the call works on: the token's, or the one an operator chose. */
  readonly organization: string;
  readonly homeOrganization: string;
  readonly operator: boolean;
  readonly sessionId?: string;
  readonly roles: readonly string[];
  readonly permissions: ReadonlySet<Permission>;
  readonly scope: readonly string[];
  /** The token's `jti`. */
  readonly tokenId: string;
  readonly authenticatedAt?: Date;
}

/** Who did something and from where, for the audit. */
export interface Origin {
  readonly actor: { readonly type: 'user' | 'service' | 'agent' | 'system' | 'anonymous'; readonly id: string };
  readonly organization?: string;
  readonly requestId?: string;
  readonly address?: string;
  readonly userAgent?: string;
}

/** Finds the caller of a request; undefined when it carries no credentials, throws when they are not valid. */
export type Authenticate = (request: FastifyRequest) => Promise<Principal | undefined>;

declare module 'fastify' {
  interface FastifyContextConfig {
    auth?: RouteAuth;
    /** Answered for any Host header: health probes of load balancers. */
    anyHost?: boolean;
  }
  interface FastifyRequest {
    /** The caller. On a public route it is not there: reading it is a mistake and throws. */
    readonly principal: Principal;
    /** Who and from where, for the audit. */
    readonly origin: Origin;
  }
}

const principals = new WeakMap<FastifyRequest, Principal>();

/** Installs deny-by-default authorization. The authenticator comes later, by {@link setAuthenticator}. */
export function installAuth(app: FastifyInstance): void {
  app.decorateRequest('principal', {
    getter(this: FastifyRequest) {
      const principal = principals.get(this);
      if (!principal) throw new Error('principal read on a public route');
      return principal;
    },
  });
  app.decorateRequest('origin', {
    getter(this: FastifyRequest) {
      return originOf(this, principals.get(this));
    },
  });
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    routes.push(route);
  });
  app.addHook('onReady', async () => {
    const undeclared = routes
      .filter((route) => !route.config?.auth)
      .map((route) => `${String(route.method)} ${route.url}`);
    if (undeclared.length > 0) throw new Error(`${undeclared.join(', ')} declares no auth: add config.auth`);
  });
  app.addHook('onRequest', async (request) => {
    const { auth } = request.routeOptions.config;
    const isKnown = request.routeOptions.url !== undefined;
    if (isKnown ? auth && ('public' in auth || 'credentials' in auth) : true) return;
    const principal = await authenticators.get(request.server.server)?.(request);
    if (!principal) throw unauthenticated();
    if (auth && 'permission' in auth && !principal.permissions.has(auth.permission)) {
      throw new AppError('kernel.forbidden', {
        detail: `This needs the permission ${auth.permission} in the organization ${principal.organization}.`,
        headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' },
      });
    }
    principals.set(request, principal);
  });
}

const authenticators = new WeakMap<object, Authenticate>();

/** Gives the application the way to find a caller. Until then every route that is not public answers 401. */
export function setAuthenticator(app: FastifyInstance, authenticate: Authenticate): void {
  authenticators.set(app.server, authenticate);
}

/** 401 with the challenge of RFC 6750 §3. */
export function unauthenticated(detail?: string): AppError {
  return new AppError('kernel.unauthenticated', {
    detail: detail ?? 'Send an access token: Authorization: Bearer <token>.',
    headers: { 'www-authenticate': detail === undefined ? 'Bearer' : 'Bearer error="invalid_token"' },
  });
}

function originOf(request: FastifyRequest, principal: Principal | undefined): Origin {
  const userAgent = request.headers['user-agent']?.slice(0, 200);
  return {
    actor: principal ? { type: principal.kind, id: principal.id } : { type: 'anonymous', id: 'anonymous' },
    ...(principal ? { organization: principal.organization } : {}),
    requestId: request.id,
    address: request.ip,
    ...(userAgent === undefined ? {} : { userAgent }),
  };
}
