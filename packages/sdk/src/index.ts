/**
 * `@gatehouse/sdk`: what a backend needs to be a service of Gatehouse.
 *
 * Verify users' tokens (`createTokenVerifier`), keep and publish this service's own keys (`createPop`), receive users'
 * secrets (`createSecretClient`), and keep their data so that only they open it (`encryptForUser`). For clients: sign in
 * (`createSession`) and seal what is sent (`sealTo`).
 */

export { type SealOptions, sealTo } from './client/seal.ts';
export { type CreateSessionOptions, createSession, refreshSession, type Session } from './client/session.ts';
export { type Clock, systemClock } from './clock.ts';
export type { AgentIdentity, AgentIdentityOptions } from './configuration/agent-identity.ts';
export type { ConfigurationValue, ConfigurationVersion } from './configuration/configuration-version.ts';
export type { Follower, FollowerOptions, NamespaceStatus } from './configuration/follower.ts';
export type { InstanceState, RestartSlot, RolloutClient } from './configuration/rollout-client.ts';
export { errorCodes, GatehouseError, type GatehouseErrorCode, isGatehouseError } from './errors.ts';
export type { Fetch, HttpOptions } from './http/request.ts';
export { fileStore } from './pop/file-store.ts';
export { memoryStore } from './pop/memory-store.ts';
export { createPop, type Opened, type Pop, type PopKeyInfo, type PopOptions, type PublishedKeys } from './pop/pop.ts';
export { createPopHandler, type PopHandler } from './pop/pop-handler.ts';
export type {
  PopAlgorithm,
  PopDocument,
  PopKey,
  PopKeyPolicy,
  PopKeyState,
  PopPolicy,
  PopStore,
  PopUse,
} from './pop/pop-key.ts';
export type { ClientCredentials } from './secrets/client-authentication.ts';
export { createSecretClient, type SecretClient, type SecretClientOptions } from './secrets/secret-client.ts';
export type { AccessToken } from './tokens/access-token.ts';
export {
  bearerToken,
  createTokenVerifier,
  type TokenVerifier,
  type TokenVerifierOptions,
  verifyAccessToken,
} from './tokens/token-verifier.ts';
export {
  decryptForUser,
  decryptStreamForUser,
  encryptForUser,
  encryptStreamForUser,
  type UserDataContext,
  type UserSecret,
} from './user-data.ts';
