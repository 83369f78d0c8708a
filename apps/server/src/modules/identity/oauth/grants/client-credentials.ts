import type { Origin } from '../../../../kernel/index.ts';
import type { ResolvedRoles } from '../../roles/role.ts';
import type { AccessTokenClaims, AccessTokens } from '../../tokens/access-token.ts';
import { accessTokenSeconds } from '../../tokens/limits.ts';
import type { Audiences } from '../audiences.ts';
import type { Form } from '../client-authentication/form.ts';
import type { OAuthClient } from '../clients/client.ts';
import type { RecordIssue } from '../issue-recorder.ts';
import { OAuthError } from '../oauth-error.ts';
import { parseScope } from '../scopes.ts';

/** A successful token response (RFC 6749 §5.1). */
export interface TokenResponse {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly scope?: string;
  readonly refresh_token?: string;
  readonly issued_token_type?: string;
}

export interface ClientCredentialsDeps {
  readonly issuer: string;
  readonly audiences: Audiences;
  readonly resolveRoles: (client: OAuthClient) => Promise<ResolvedRoles>;
  readonly tokens: AccessTokens;
  readonly recordIssue: RecordIssue;
}

/**
 * The client credentials grant (RFC 6749 §4.4): a service acts for itself, with the roles of its own account.
 * It is the busiest path of all, so it does not go through oidc-provider; the rules are the same as elsewhere.
 */
export function createClientCredentialsGrant(deps: ClientCredentialsDeps) {
  return async function issue(input: {
    client: OAuthClient;
    form: Form;
    origin: Origin;
    keyThumbprint: string | undefined;
  }): Promise<TokenResponse> {
    const { client, form, keyThumbprint } = input;
    // 1. Only a client that proved who it is (RFC 6749 §4.4: confidential clients).
    if (client.authentication === 'none') {
      throw new OAuthError('unauthorized_client', 'a public client cannot act for itself');
    }
    // 2. What for, and how far?
    const audience = await deps.audiences.requested(client, form, [deps.issuer]);
    const scope = parseScope(form.single['scope']).filter((name) => name === 'gatehouse');
    // 3. The token, on record before it leaves.
    const roles = await deps.resolveRoles(client);
    const claims: AccessTokenClaims = deps.tokens.claimsOf({
      subject: client.clientId,
      clientId: client.clientId,
      audience,
      organization: client.organization,
      roles: roles.names,
      scope,
      keyThumbprint,
    });
    const [token] = await Promise.all([
      deps.tokens.sign(claims),
      deps.recordIssue({ claims, grant: 'client_credentials', origin: input.origin }),
    ]);
    return {
      access_token: token,
      token_type: keyThumbprint === undefined ? 'Bearer' : 'DPoP',
      expires_in: accessTokenSeconds,
      scope: scope.join(' '),
    };
  };
}

export type IssueClientCredentials = ReturnType<typeof createClientCredentialsGrant>;
