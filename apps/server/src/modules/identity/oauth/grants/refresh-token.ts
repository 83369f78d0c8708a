import type Provider from 'oidc-provider';
import { errors, type FindAccount, type KoaContextWithOIDC } from 'oidc-provider';
import { issueIdToken } from 'oidc-provider/lib/helpers/grant_common.js';
import validateDpop, { checkDpopReplay } from 'oidc-provider/lib/helpers/validate_dpop.js';
import type { Clock, Db } from '../../../../kernel/index.ts';
import { accessTokenSeconds } from '../../tokens/limits.ts';
import { judgeRefreshToken, refreshTokenHash } from '../../tokens/refresh-rotation.ts';
import type { RefreshSession } from '../../tokens/refresh-service.ts';
import { findRefreshToken, type RefreshRow } from '../../tokens/refresh-store.ts';
import type { ArtifactSeal } from '../adapter/artifact-seal.ts';
import { currentOrigin } from '../request-context.ts';
import type { DescribeResource } from '../resource-servers.ts';
import { defaultResource, markRecorded } from '../token-claims.ts';

/** What oidc-provider stored with the first refresh token of a family. */
interface RefreshDetails {
  accountId: string;
  clientId: string;
  grantId: string;
  acr?: string;
  amr?: string[];
  authTime?: number;
  claims?: object;
  expiresWithSession?: boolean;
  gty?: string;
  jkt?: string;
  nonce?: string;
  resource?: string | string[];
  scope?: string;
  sessionUid?: string;
  sid?: string;
}

/**
 * The refresh grant for every OAuth client (RFC 6749 §6, RFC 9700 §4.14): oidc-provider's own rotates only some
 * clients' tokens, and not atomically. The rotation itself is shared with the headless sessions.
 */
export function createRefreshGrant(deps: {
  db: Db;
  clock: Clock;
  seal: () => ArtifactSeal;
  refresh: RefreshSession;
  findAccount: FindAccount;
  describeResource: DescribeResource;
}) {
  return (provider: Provider) =>
    async (ctx: KoaContextWithOIDC): Promise<void> => {
      const client = ctx.oidc.client as NonNullable<typeof ctx.oidc.client>;
      const params = ctx.oidc.params as Record<string, string | undefined>;
      // 1. The token: there, this client's, alive. (Whether it was used before is judged under its lock, in step 5.)
      const value = params['refresh_token'];
      if (value === undefined) throw new errors.InvalidRequest("missing required parameter 'refresh_token'");
      const proof = await validateDpop(provider, ctx);
      const token = await deps.db.read((tx) => findRefreshToken(tx, refreshTokenHash(value)));
      const details = token && detailsOf(token, deps.seal());
      if (!token || !details || token.client_id !== client.clientId) throw refused();

      // 2. The proof of possession, if the family is bound to a key (RFC 9449 §5).
      await checkDpopReplay(provider, ctx, proof, client.clientId);
      if (details.jkt !== undefined && details.jkt !== proof?.thumbprint) throw refused();

      // 3. The grant, the user and, for sign-ins that end with the browser's, the browser session.
      const alive = judgeRefreshToken(token, client.clientId, deps.clock.now()) === undefined;
      const grant = alive ? await provider.Grant.find(details.grantId) : undefined;
      const account = grant && (await deps.findAccount(ctx, details.accountId));
      if (alive && (!grant || !account || !(await isSignedIn(provider, details)))) throw refused();

      // 4. No wider scope, no other audience.
      const granted = new Set((details.scope ?? '').split(' ').filter(Boolean));
      const scope = params['scope'] === undefined ? granted : new Set(params['scope'].split(' '));
      if ([...scope].some((name) => !granted.has(name))) {
        throw new errors.InvalidScope('refresh token missing requested scope', [...scope].join(' '));
      }
      const resource = resourceFor(details, params['resource']);

      // 5. The new access token, not yet signed; then rotation, reuse detection and audit in one transaction.
      const accessToken = new provider.AccessToken({
        accountId: details.accountId,
        client,
        grantId: details.grantId,
        gty: 'refresh_token',
      });
      const server = await deps.describeResource(client.clientId, resource);
      accessToken.resourceServer = new provider.ResourceServer(resource, server);
      if (proof) accessToken.setThumbprint('jkt', proof.thumbprint);
      const tokenId = (accessToken as unknown as { generateTokenId(): string }).generateTokenId();
      accessToken.jti = tokenId;
      const result = await deps.refresh({ value, clientId: client.clientId, tokenId, origin: currentOrigin() });
      if ('refused' in result || !grant || !account) throw refused();

      // 6. The answer.
      ctx.oidc.entity('Account', account);
      ctx.oidc.entity('Grant', grant);
      ctx.oidc.entity('RefreshToken', { ...details });
      accessToken.scope = grant.getResourceScopeFiltered(resource, scope);
      markRecorded(accessToken);
      const accessTokenValue = await accessToken.save();
      const source = { ...details, scopes: granted };
      const idToken = await issueIdToken(provider, ctx, source, accessToken, grant, scope);
      ctx.body = {
        access_token: accessTokenValue,
        token_type: accessToken.tokenType,
        expires_in: accessTokenSeconds,
        refresh_token: result.refreshToken,
        scope: accessToken.scope,
        ...(idToken === undefined ? {} : { id_token: idToken }),
      };
    };
}

/** One answer for every reason. */
function refused(): Error {
  return new errors.InvalidGrant('refresh token is not accepted');
}

function detailsOf(token: RefreshRow, seal: ArtifactSeal): RefreshDetails | undefined {
  return token.details ? (seal.openDetails(token.session_id, token.details) as unknown as RefreshDetails) : undefined;
}

async function isSignedIn(provider: Provider, details: RefreshDetails): Promise<boolean> {
  if (!details.expiresWithSession) return true;
  if (details.sessionUid === undefined) return false;
  const session = await provider.Session.findByUid(details.sessionUid);
  return session?.accountId === details.accountId && session.grantIdFor(details.clientId) === details.grantId;
}

/** The resource of the code, or the one of several that is asked for now (RFC 8707 §2.2). */
function resourceFor(details: RefreshDetails, wanted: string | undefined): string {
  const granted = typeof details.resource === 'string' ? [details.resource] : (details.resource ?? [defaultResource]);
  const resource = wanted ?? granted[0] ?? defaultResource;
  if (!granted.includes(resource)) throw new errors.InvalidTarget();
  return resource;
}
