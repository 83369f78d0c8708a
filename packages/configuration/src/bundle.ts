import { createHash, createHmac } from 'node:crypto';
import type { JsonValue } from '@gatehouse/contracts';
import { canonicalJson, canonicalJsonBytes, encodeBase64Url } from '@gatehouse/crypto';
import type { VisibleConfiguration } from './values.ts';

/** `typ` of a signed bundle. */
export const bundleType = 'gatehouse-configuration+jwt';

/** What a bundle says: one version of one namespace, the same for every agent. Secrets stand by their fingerprints. */
export interface BundlePayload {
  readonly iss: string;
  readonly organization: string;
  readonly service: string;
  readonly namespace: string;
  readonly version: number;
  /** `hash` of the version before; empty for the first. */
  readonly previous_hash: string;
  readonly hash: string;
  readonly content_hash: string;
  /** RFC 3339. */
  readonly published_at: string;
  readonly kind: string;
  readonly configuration: VisibleConfiguration;
}

/** One secret on its way to an agent: the salt lets the agent check the value against the signed fingerprint. */
export interface SecretDelivery {
  readonly salt: string;
  readonly value: JsonValue;
}

/** The plaintext of the JWE beside a bundle: the secrets, for one agent and one version. */
export interface AgentSecrets {
  readonly agent: string;
  readonly service: string;
  readonly namespace: string;
  readonly version: number;
  readonly values: Readonly<Record<string, SecretDelivery>>;
}

/** base64url SHA-256 of the canonical JSON of what agents get: equal for equal content, whatever the version. */
export function contentHash(configuration: VisibleConfiguration): string {
  return sha256(canonicalJsonBytes(configuration));
}

/** The hash that chains a version to the one before it. */
export function bundleHash(
  version: Pick<BundlePayload, 'organization' | 'service' | 'namespace' | 'version' | 'previous_hash' | 'content_hash'>,
): string {
  const { organization, service, namespace, previous_hash, content_hash } = version;
  return sha256(
    canonicalJsonBytes({ organization, service, namespace, version: version.version, previous_hash, content_hash }),
  );
}

/**
 * Fingerprint of a secret: 96 bits of HMAC-SHA-256 under a salt of 256 random bits that is made with each writing and
 * sealed with the value. Whoever has no salt can test no guess, and who writes the same value twice gets two fingerprints.
 */
export function secretFingerprint(salt: Uint8Array, value: JsonValue): string {
  const mac = createHmac('sha256', salt).update(canonicalJson(value)).digest();
  return encodeBase64Url(mac.subarray(0, 12));
}

function sha256(bytes: Uint8Array): string {
  return encodeBase64Url(createHash('sha256').update(bytes).digest());
}
