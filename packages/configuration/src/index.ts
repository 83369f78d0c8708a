/**
 * @gatehouse/configuration: what a configuration is, wherever one is read or written. Values and their markers, what
 * changed between two configurations, the signed bundle that agents get. The file formats are a door of their own,
 * `@gatehouse/configuration/formats`, so that servers and agents do without a parser of YAML.
 *
 * Invariants: no input or output, no clock, no chance; a configuration that one part accepts, every part accepts;
 * whatever shows a secret shows its fingerprint.
 */

export {
  type AgentSecrets,
  type BundlePayload,
  bundleHash,
  bundleType,
  contentHash,
  type SecretDelivery,
  secretFingerprint,
} from './bundle.ts';
export { type ConfigurationChange, diffConfigurations } from './diff.ts';
export { ConfigurationError, type ConfigurationProblem } from './errors.ts';
export {
  isVisibleSecret,
  type KeyReference,
  limits,
  parseWritten,
  type VisibleConfiguration,
  type VisibleSecret,
  type WrittenConfiguration,
  type WrittenValue,
} from './values.ts';
export {
  BundleError,
  type BundleExpectations,
  type BundleRefusal,
  bundleValues,
  maxBundleBytes,
  verifyBundle,
} from './verify-bundle.ts';
