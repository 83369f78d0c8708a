/**
 * The secret server. It owns the trusted issuers (whose tokens are accepted), the user secrets (sealed at rest, never
 * shown) and token exchange: a service hands in its user's token and gets the user's secret, sealed to that service.
 *
 * Tables: `secrets.trusted_issuers`, `secrets.user_secrets`.
 * Invariants: a secret leaves only as a JWE to a registered service's key; every release is an audit entry in the
 * transaction that opens it; a secret that cannot be opened is an error, never a reason to make another; a destroyed
 * secret keeps its row, so that nobody gets a fresh one in its place.
 * Elsewhere: client authentication and `/oauth/token` are identity's (the grant comes in as a function), sealing is keys'.
 */
import type { Settings } from '../../config.ts';
import { type App, type Clock, createGuardedFetch, type Db, type Jobs, type Random } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Keys } from '../keys/index.ts';
import { createOriginalExchange, type FindRecipients } from './exchange/original-exchange.ts';
import { originalExchangeRoutes } from './exchange/original-routes.ts';
import { createRecipients } from './exchange/recipients.ts';
import { createSubjectTokens, type VerifyOwnToken } from './exchange/subject-tokens.ts';
import { createTokenExchange } from './exchange/token-exchange.ts';
import { issuerRoutes } from './issuers/issuer-routes.ts';
import { createIssuers } from './issuers/issuer-service.ts';
import { createRemoteKeys } from './remote-keys.ts';
import { userSecretRoutes } from './user-secrets/user-secret-routes.ts';
import { createUserSecrets } from './user-secrets/user-secret-service.ts';

export { ExchangeRefused } from './exchange/refusal.ts';
export type { ExchangeResponse } from './exchange/token-exchange.ts';
export type { TrustedIssuer } from './issuers/issuer.ts';
export type { IssuerInput, Issuers } from './issuers/issuer-service.ts';

interface SecretsDeps {
  settings: Pick<Settings, 'publicUrl' | 'allowPrivateNetworks'>;
  db: Db;
  clock: Clock;
  random: Random;
  jobs: Pick<Jobs, 'cron'>;
  audit: Pick<Audit, 'append' | 'appendAll'>;
  keys: Pick<Keys, 'seal' | 'open' | 'sign'>;
  /** Identity's judgement of Gatehouse's own access tokens. */
  verifyOwn: VerifyOwnToken;
  findRecipients: FindRecipients;
  /** True for a `sub` of one of our own users or services. */
  isOwnSubject: (subject: string) => Promise<boolean>;
}

/** Creates the secret server. */
export function createSecrets(deps: SecretsDeps) {
  const { db, settings } = deps;
  const { publicUrl, allowPrivateNetworks } = settings;
  const fetch = createGuardedFetch({ allowedOrigins: allowPrivateNetworks });
  const remoteKeys = createRemoteKeys({ fetch, clock: deps.clock });
  const issuers = createIssuers({ ...deps, publicUrl, allowPrivateNetworks });
  const userSecrets = createUserSecrets(deps);
  const subjectTokens = createSubjectTokens({ ...deps, issuers, remoteKeys, publicUrl });
  const recipients = createRecipients({ remoteKeys });
  const shared = { ...deps, publicUrl, subjectTokens, recipients, userSecrets };
  const exchangeOriginal = createOriginalExchange(shared);
  deps.jobs.cron('secrets-destroy-due', '* * * * *', async () => {
    while ((await userSecrets.destroyDueSecrets()) > 0);
  });
  return {
    issuers,
    userSecrets,
    /** Keys published at addresses, fetched with the guarded client. */
    remoteKeys,
    exchangeToken: createTokenExchange(shared),
    routes(app: App): void {
      issuerRoutes({ db, issuers })(app);
      userSecretRoutes({ db, userSecrets })(app);
      originalExchangeRoutes({ exchangeOriginal, subjectTokens })(app);
    },
  };
}

/** What {@link createSecrets} gives. */
export type Secrets = ReturnType<typeof createSecrets>;
