import type { Clock, Db, Logger, Origin } from '../../../../kernel/index.ts';
import type { Audit } from '../../../audit/index.ts';
import type { OAuthClient } from '../clients/client.ts';
import { invalidClient } from '../oauth-error.ts';
import { checkAssertion } from './check-assertion.ts';
import { isClientSecret } from './check-secret.ts';
import type { RemoteKeys } from './client-keys.ts';
import { type ClientCredentials, readCredentials } from './read-credentials.ts';
import { createRefusalBound } from './refusal-bound.ts';

export interface ClientAuthenticationDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Logger;
  readonly audit: Pick<Audit, 'append'>;
  readonly remoteKeys: RemoteKeys;
  readonly findClient: (clientId: string, options?: { fresh?: boolean }) => Promise<OAuthClient | undefined>;
  readonly issuer: string;
}

/** What of a request says who the client is. */
export interface ClientRequest {
  readonly authorization: string | undefined;
  readonly params: Readonly<Record<string, string | undefined>>;
  /** Full address of the endpoint. */
  readonly url: string;
  readonly origin: Origin;
}

/**
 * Authenticates the client of a request to any OAuth endpoint: the only place where it is decided. Requests that go on
 * to oidc-provider carry the result as a ticket (`ticket.ts`).
 */
export function createClientAuthentication(deps: ClientAuthenticationDeps) {
  const boundRefusals = createRefusalBound(deps);

  /** Throws `invalid_client` after noting a failure of a client we know; unknown names are not worth an entry. */
  const refuse = async (client: OAuthClient | undefined, reason: string, origin: Origin): Promise<never> => {
    const details = client && boundRefusals(client.clientId);
    if (client && details) {
      await deps.db.transaction((tx) =>
        deps.audit.append(tx, {
          action: 'service.authentication_refused',
          organization: client.organization,
          origin,
          target: { type: 'service', id: client.clientId },
          outcome: 'failure',
          reason,
          details,
        }),
      );
    }
    throw invalidClient(reason);
  };

  return async function authenticateClient(request: ClientRequest): Promise<OAuthClient> {
    // 1. What was presented, by which one mechanism?
    const credentials = readCredentials(request.authorization, request.params);
    const clientId = claimedClientId(credentials);

    // 2. Is there such a client?
    const client = clientId === undefined ? undefined : await deps.findClient(clientId);

    // 3. Does the mechanism fit what the service registered, and is the credential right?
    switch (credentials.kind) {
      case 'secret': {
        const accepts = (candidate: OAuthClient | undefined) =>
          isClientSecret(candidate, credentials.secret, deps.clock.now()) &&
          candidate?.authentication === 'client_secret';
        if (accepts(client)) return client as OAuthClient;
        // A secret that another node has just added is not in this node's memory yet: look again before refusing.
        const fresh = client && (await deps.findClient(client.clientId, { fresh: true }));
        return accepts(fresh) ? (fresh as OAuthClient) : refuse(client, 'wrong client secret', request.origin);
      }
      case 'assertion': {
        if (client?.authentication !== 'private_key_jwt') {
          return refuse(client, 'the client does not authenticate by assertions', request.origin);
        }
        const reason = await checkAssertion(client, credentials.assertion, {
          ...deps,
          audiences: [deps.issuer, request.url, `${deps.issuer}/oauth/token`],
        }).catch((error: unknown) => {
          deps.log.warn({ err: error, client_id: client.clientId }, 'the keys of a client cannot be had');
          return 'the keys of the client cannot be had';
        });
        return reason === undefined ? client : refuse(client, reason, request.origin);
      }
      default:
        if (client?.authentication !== 'none') return refuse(client, 'no credentials', request.origin);
        return client;
    }
  };
}

export type AuthenticateClient = ReturnType<typeof createClientAuthentication>;

/** The client id that was presented; of an assertion its (not yet trusted) `sub`, which must agree with `client_id`. */
function claimedClientId(credentials: ClientCredentials): string | undefined {
  if (credentials.kind !== 'assertion') return credentials.clientId;
  try {
    const payload = credentials.assertion.split('.')[1] ?? '';
    const { sub } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { sub?: unknown };
    if (typeof sub !== 'string') return undefined;
    return credentials.clientId === undefined || credentials.clientId === sub ? sub : undefined;
  } catch {
    return undefined;
  }
}
