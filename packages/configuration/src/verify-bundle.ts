import {
  isCryptoError,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseJsonObjectStrict,
  type TokenHeader,
  tryDecodeBase64Url,
  type VerificationKey,
  verifyCompactJws,
} from '@gatehouse/crypto';
import { type BundlePayload, bundleHash, bundleType, contentHash, secretFingerprint } from './bundle.ts';
import { isVisibleSecret, limits } from './values.ts';

/** Why a bundle is refused. Stable; `message` is for people and holds no value. */
export type BundleRefusal =
  /** Not a signed bundle at all, or not of the form. */
  | 'malformed'
  /** No published key, another algorithm, or a signature that does not verify. */
  | 'forged'
  /** Of another issuer, organization, service, namespace or version than was asked for. */
  | 'misplaced'
  /** Its hashes are not those of its content. */
  | 'inconsistent'
  /** Older than the last seen version. */
  | 'older'
  /** The same version as seen before, or its successor, but not of the same chain. */
  | 'forked'
  /** The secrets beside it are not those it names, or not for this agent. */
  | 'secrets';

/** A bundle is refused. */
export class BundleError extends Error {
  override readonly name = 'BundleError';
  readonly refusal: BundleRefusal;

  constructor(refusal: BundleRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.refusal = refusal;
  }
}

/** What the receiver knows. */
export interface BundleExpectations {
  readonly issuer: string;
  readonly organization: string;
  readonly service: string;
  readonly namespace: string;
  /** The version that was asked for. */
  readonly version: number;
  /** The last version that was verified here. */
  readonly seen?: { readonly version: number; readonly hash: string };
  /** A published key of the issuer for bundles, by the unverified header. */
  readonly findKey: (header: TokenHeader) => VerificationKey | undefined | Promise<VerificationKey | undefined>;
}

/** Largest bundle: the configuration's bound, as JSON in base64url, with room for the rest. */
export const maxBundleBytes = 2 * 1024 * 1024;
const jsonBounds = { maxBytes: maxBundleBytes, maxDepth: 64 };

/**
 * Verifies a bundle whole: signature (ES256, by a published key), form, for whom, hashes, and its place after what was
 * seen before. Throws {@link BundleError}; an error of `findKey` passes.
 *
 * A version that is not the direct successor of the seen one cannot be chained to it by itself: its signature and its
 * higher number are what is known of it.
 */
export async function verifyBundle(bundle: string, expected: BundleExpectations): Promise<BundlePayload> {
  const payload = readPayload(await verifiedBytes(bundle, expected));
  for (const [name, value] of [
    ['iss', expected.issuer],
    ['organization', expected.organization],
    ['service', expected.service],
    ['namespace', expected.namespace],
    ['version', expected.version],
  ] as const) {
    if (payload[name] !== value) {
      throw new BundleError('misplaced', `The bundle is for ${name} ${String(payload[name])}, not ${value}.`);
    }
  }
  if (contentHash(payload.configuration) !== payload.content_hash) {
    throw new BundleError('inconsistent', 'The content_hash of the bundle is not that of its configuration.');
  }
  if (bundleHash(payload) !== payload.hash) {
    throw new BundleError('inconsistent', 'The hash of the bundle is not that of its members.');
  }
  if ((payload.version === 1) !== (payload.previous_hash === '')) {
    throw new BundleError('inconsistent', 'Version 1, and no other, follows nothing.');
  }
  assertFollows(payload, expected.seen);
  return payload;
}

/**
 * The values of a verified bundle, its secrets replaced by what stands in the opened JWE beside it (`secrets`, absent when
 * the configuration has none). Each secret must have the fingerprint that was signed. Throws {@link BundleError}.
 */
export function bundleValues(
  payload: BundlePayload,
  secrets: Uint8Array | undefined,
  agentId: string,
): { values: Record<string, JsonValue>; secretKeys: string[] } {
  const secretKeys = Object.keys(payload.configuration).filter((key) => isVisibleSecret(payload.configuration[key]));
  const delivered = secrets === undefined ? {} : readSecrets(payload, secrets, agentId);
  const stray = Object.keys(delivered).find((key) => !secretKeys.includes(key));
  if (stray !== undefined) throw new BundleError('secrets', 'A secret was sent that the bundle does not name.');
  const values = Object.entries(payload.configuration as JsonObject).map(([key, visible]): [string, JsonValue] => {
    if (!isVisibleSecret(visible)) return [key, visible];
    const secret = Object.hasOwn(delivered, key) ? delivered[key] : undefined;
    if (!isJsonObject(secret) || typeof secret.salt !== 'string' || secret.value === undefined) {
      throw new BundleError('secrets', `The secret of ${JSON.stringify(key)} was not sent.`);
    }
    const salt = tryDecodeBase64Url(secret.salt);
    if (salt?.length !== 32 || secretFingerprint(salt, secret.value) !== visible.$secret.fingerprint) {
      throw new BundleError('secrets', `The secret of ${JSON.stringify(key)} does not have the signed fingerprint.`);
    }
    return [key, secret.value];
  });
  return { values: Object.fromEntries(values), secretKeys };
}

async function verifiedBytes(bundle: string, { findKey }: BundleExpectations): Promise<Uint8Array> {
  try {
    const algorithms = ['ES256'] as const;
    const { payload } = await verifyCompactJws(bundle, {
      typ: bundleType,
      algorithms,
      maxBytes: maxBundleBytes,
      findKey,
    });
    return payload;
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    const forged = ['crypto.unknown_key', 'crypto.bad_signature', 'crypto.algorithm_not_allowed'].includes(error.code);
    throw new BundleError(forged ? 'forged' : 'malformed', error.message, { cause: error });
  }
}

function readPayload(bytes: Uint8Array): BundlePayload {
  const payload = parseOr('malformed', 'The bundle', bytes);
  for (const name of [
    'iss',
    'organization',
    'service',
    'namespace',
    'previous_hash',
    'hash',
    'content_hash',
    'published_at',
    'kind',
  ]) {
    if (typeof payload[name] !== 'string') throw new BundleError('malformed', `The bundle lacks ${name}.`);
  }
  const { version, configuration, published_at: publishedAt } = payload;
  if (!Number.isInteger(version) || Number(version) < 1) {
    throw new BundleError('malformed', 'The version of the bundle is not a whole number from 1.');
  }
  if (typeof publishedAt !== 'string' || Number.isNaN(Date.parse(publishedAt))) {
    throw new BundleError('malformed', 'The published_at of the bundle is not a time.');
  }
  if (!isJsonObject(configuration) || Object.keys(configuration).length > limits.keys) {
    throw new BundleError('malformed', `The configuration is not an object of at most ${limits.keys} keys.`);
  }
  return payload as unknown as BundlePayload;
}

function assertFollows(payload: BundlePayload, seen: BundleExpectations['seen']): void {
  if (seen === undefined) return;
  const { version, hash, previous_hash: previousHash } = payload;
  if (version < seen.version) {
    throw new BundleError('older', `Version ${version} is older than the last seen version ${seen.version}.`);
  }
  if (version === seen.version && hash !== seen.hash) {
    throw new BundleError('forked', `Version ${version} is not the version ${version} that was seen before.`);
  }
  if (version === seen.version + 1 && previousHash !== seen.hash) {
    throw new BundleError('forked', `Version ${version} does not follow the version ${seen.version} that was seen.`);
  }
}

function readSecrets(payload: BundlePayload, bytes: Uint8Array, agentId: string): JsonObject {
  const secrets = parseOr('secrets', 'The secrets beside the bundle', bytes);
  const { values } = secrets;
  const isForUs =
    secrets.agent === agentId &&
    secrets.service === payload.service &&
    secrets.namespace === payload.namespace &&
    secrets.version === payload.version;
  if (!isForUs) throw new BundleError('secrets', 'The secrets are for another agent, namespace or version.');
  if (!isJsonObject(values)) throw new BundleError('secrets', 'The secrets lack values.');
  return values;
}

function parseOr(refusal: BundleRefusal, what: string, bytes: Uint8Array): JsonObject {
  try {
    return parseJsonObjectStrict(bytes, jsonBounds);
  } catch (cause) {
    throw new BundleError(refusal, `${what} is not a strict JSON object.`, { cause });
  }
}
