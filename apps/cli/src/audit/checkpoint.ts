import {
  importVerificationKey,
  isCryptoError,
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
}

/** Public keys by `kid`. */
export type CheckpointKeys = ReadonlyMap<string, PublicJwk>;

/** The signature algorithms a checkpoint may have. */
const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const;

/** The usable keys of a key set (`GET /v1/audit/keys`), by `kid`. */
export function readCheckpointKeys(jwks: unknown): CheckpointKeys {
  const { keys } = judgeJwks(jwks, { use: 'sig', maxKeys: 10_000, maxBytes: 10_000_000 });
  return new Map(keys.flatMap(({ kid, jwk }) => (kid === undefined ? [] : [[kid, jwk]])));
}

/** Verifies the signature and the form of a checkpoint; otherwise the text says what is wrong. */
export async function verifyCheckpoint(jws: string, keys: CheckpointKeys): Promise<Checkpoint | string> {
  let key: PublicJwk | undefined;
  try {
    const { payload } = await verifyCompactJws(jws, {
      algorithms,
      findKey: ({ kid }) => {
        key = typeof kid === 'string' ? keys.get(kid) : undefined;
        return key && importVerificationKey(key);
      },
    });
    const statement = readStatement(parseJsonObjectStrict(payload));
    return statement && key ? { ...statement, jws, key } : 'its payload is not a statement about an audit chain';
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return error.code === 'crypto.unknown_key'
      ? 'it names a key that is not among the audit keys'
      : lowerFirst(error.message);
  }
}

function readStatement(payload: JsonObject): Omit<Checkpoint, 'jws' | 'key'> | undefined {
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
