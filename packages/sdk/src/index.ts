/**
 * `@gatehouse/sdk`: what a backend needs to be a service of Gatehouse.
 *
 * Verify users' tokens (`createTokenVerifier`), keep and publish this service's own keys (`createPop`), receive users'
 * secrets (`createSecretClient`), keep their data so that only they open it (`encryptForUser`), and follow the service's
 * configuration (`createConfiguration`; its parts for agents are `createAgentIdentity`, `createFollower` and
 * `createRolloutClient`). For clients: sign in (`createSession`) and seal what is sent (`sealTo`).
 */

export { type SealOptions, sealTo } from './client/seal.ts';
export { type CreateSessionOptions, createSession, refreshSession, type Session } from './client/session.ts';
export { type Clock, systemClock } from './clock.ts';
export { type AgentIdentity, type AgentIdentityOptions, createAgentIdentity } from './configuration/agent-identity.ts';
export type { BackOffOptions } from './configuration/back-off.ts';
export {
  type Configuration,
  type ConfigurationChange,
  type ConfigurationOptions,
  createConfiguration,
} from './configuration/configuration.ts';
export type { ConfigurationValue, ConfigurationVersion } from './configuration/configuration-version.ts';
export {
  type ApplyVersion,
  createFollower,
  type Follower,
  type FollowerOptions,
  type NamespaceStatus,
} from './configuration/follower.ts';
export {
  createRolloutClient,
  type InstanceState,
  type RestartSlot,
  type RolloutClient,
  type RolloutClientOptions,
} from './configuration/rollout-client.ts';
export type { JsonSchema, StandardIssue, StandardResult, StandardSchema } from './configuration/values-schema.ts';
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
