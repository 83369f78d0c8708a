/**
 * @gatehouse/configuration: what a configuration is, wherever one is read or written. Values and their markers, what
 * changed between two configurations, the signed bundle that agents get, and the file formats.
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
export type { FormatWarning, ParsedConfiguration } from './formats/entries.ts';
export {
  type ConfigurationFormat,
  type ConfigurationText,
  configurationFormats,
  formatConfiguration,
  formatOfFile,
  parseConfiguration,
} from './formats/formats.ts';
export { typescriptName, typescriptType } from './formats/typescript-type.ts';
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
