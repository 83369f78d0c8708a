import type { KeyringDefinition } from './key.ts';

const day = 86_400;

/**
 * The keyrings every Gatehouse has. The figures and their reasons: docs/guides/keys-and-rotation.md.
 * Signature keys for tokens: 90 days in use, then accepted for one more day.
 */
const tokenPolicy = {
  validitySeconds: 90 * day,
  legacySeconds: 91 * day,
  publishBeforeSeconds: 600,
  minKeys: 1,
  checkIntervalSeconds: 60,
  initialCount: 1,
} as const;

/** Encryption keys: 30 days offered, then accepted for a week, for messages that waited in a queue. */
const encryptionPolicy = { ...tokenPolicy, validitySeconds: 30 * day, legacySeconds: 37 * day } as const;

/** Checkpoints and bundles are verified for ever, with public keys that stay; a year in use keeps them few. */
const lastingPolicy = { ...tokenPolicy, validitySeconds: 365 * day, legacySeconds: 366 * day } as const;

const platform = { organization: 'gatehouse' } as const;

/** Keyrings made at the first start. */
export const defaultKeyrings: readonly KeyringDefinition[] = [
  {
    ...platform,
    name: 'tokens-es256',
    purpose: 'tokens',
    use: 'sig',
    algorithm: 'ES256',
    keyBits: undefined,
    policy: tokenPolicy,
  },
  {
    ...platform,
    name: 'tokens-rs256',
    purpose: 'tokens',
    use: 'sig',
    algorithm: 'RS256',
    keyBits: 2048,
    policy: tokenPolicy,
  },
  {
    ...platform,
    name: 'audit',
    purpose: 'audit',
    use: 'sig',
    algorithm: 'ES256',
    keyBits: undefined,
    policy: lastingPolicy,
  },
  {
    ...platform,
    name: 'configuration',
    purpose: 'configuration',
    use: 'sig',
    algorithm: 'ES256',
    keyBits: undefined,
    policy: lastingPolicy,
  },
  {
    ...platform,
    name: 'pop',
    purpose: 'pop',
    use: 'enc',
    algorithm: 'RSA-OAEP-256',
    keyBits: 2048,
    policy: encryptionPolicy,
  },
  {
    ...platform,
    name: 'pop-ec',
    purpose: 'pop',
    use: 'enc',
    algorithm: 'ECDH-ES+A256KW',
    keyBits: undefined,
    policy: encryptionPolicy,
  },
];

/** Longest life of what a key makes, seconds: tokens (ID tokens live longest), sealed messages in a cache or queue. */
export const longestUseSeconds: Readonly<Record<KeyringDefinition['purpose'], number>> = {
  tokens: 3600,
  audit: 0,
  configuration: 0,
  pop: 3600,
};
