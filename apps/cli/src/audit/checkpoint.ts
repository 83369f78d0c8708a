import {
  importVerificationKey,
  isCryptoError,
  isJsonObject,
  type JsonObject,
  judgeJwks,
  type PublicJwk,
  parseJsonObjectStrict,
  verifyCompactJws,
} from '@gatehouse/crypto';
import { isHash } from './chain-line.ts';

/** What a verified checkpoint states. */
export interface Checkpoint {
  readonly number: number;
  readonly at: string;
  readonly sequence: number;
  readonly hash: string;
  /** SHA-256 of the checkpoint before it. */
  readonly previous: string;
  readonly jws: string;
  /** The key that verified it. */
  readonly key: PublicJwk;
  /** False when the key was revoked: who stole it can sign with any date, so only a later checkpoint vouches for this. */
  readonly trusted: boolean;
}

/** Public keys by `kid`. */
export type CheckpointKeys = ReadonlyMap<string, CheckpointKey>;

/** A public audit key. */
export interface CheckpointKey {
  readonly jwk: PublicJwk;
  readonly revoked: boolean;
}

/** The signature algorithms a checkpoint may have. */
const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const;

/** The `typ` of a checkpoint. */
const checkpointType = 'gatehouse-checkpoint+jwt';

/** The usable keys of a key set (`GET /v1/audit/keys`), by `kid`. A member `revoked` marks a compromised key. */
export function readCheckpointKeys(jwks: string | Readonly<Record<string, unknown>>): CheckpointKeys {
  const set = typeof jwks === 'string' ? parseJsonObjectStrict(jwks, { maxBytes: 10_000_000 }) : jwks;
  const { keys } = judgeJwks(set, { use: 'sig', maxKeys: 10_000 });
  const entries = Array.isArray(set['keys']) ? (set['keys'] as readonly unknown[]) : [];
  const revoked = new Set(
    entries
      .filter((key) => isJsonObject(key) && Object.hasOwn(key, 'revoked'))
      .map((key) => (key as JsonObject)['kid']),
  );
  return new Map(
    keys.flatMap(({ kid, jwk }) => (kid === undefined ? [] : [[kid, { jwk, revoked: revoked.has(kid) }]])),
  );
}

/** Verifies the signature and the form of a checkpoint; otherwise the text says what is wrong. */
export async function verifyCheckpoint(jws: string, keys: CheckpointKeys): Promise<Checkpoint | string> {
  let key: CheckpointKey | undefined;
  try {
    const { payload } = await verifyCompactJws(jws, {
      algorithms,
      typ: checkpointType,
      findKey: ({ kid }) => {
        key = typeof kid === 'string' ? keys.get(kid) : undefined;
        return key && importVerificationKey(key.jwk);
      },
    });
    const statement = readStatement(parseJsonObjectStrict(payload));
    return statement && key
      ? { ...statement, jws, key: key.jwk, trusted: !key.revoked }
      : 'its payload is not a statement about an audit chain';
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return error.code === 'crypto.unknown_key'
      ? 'it names a key that is not among the audit keys'
      : lowerFirst(error.message);
  }
}

function readStatement(payload: JsonObject): Omit<Checkpoint, 'jws' | 'key' | 'trusted'> | undefined {
  const { type, version, number, at, sequence, hash, previous } = payload;
  if (type !== 'gatehouse-audit-checkpoint' || version !== 1 || typeof at !== 'string') return undefined;
  if (!isCount(number) || !isCount(sequence) || !isHash(hash) || !isHash(previous)) return undefined;
  return { number, at, sequence, hash, previous };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`.replace(/\.$/, '');
}
