/** Runs a vector through our doors: once as they are by default, once with every algorithm named. */
import {
  type ContentAlgorithm,
  CryptoError,
  contentAlgorithms,
  type DecryptionKey,
  decryptCompactJwe,
  defaultContentAlgorithms,
  defaultKeyManagementAlgorithms,
  defaultSignatureAlgorithms,
  importDecryptionKey,
  importSymmetricKey,
  importVerificationKey,
  isJsonObject,
  type JsonObject,
  judgeJwks,
  type KeyManagementAlgorithm,
  type KeyUse,
  keyManagementAlgorithms,
  type OctJwk,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  type SignatureAlgorithm,
  signatureAlgorithms,
  type VerificationKey,
  verifyCompactJws,
} from '../src/index.ts';
import type { VectorCase } from './vector-cases.ts';

/** What a door said. */
export type Outcome =
  | { readonly accepted: true; readonly content: Uint8Array; readonly alg: string; readonly enc: string | undefined }
  | { readonly accepted: false; readonly code: string };

/** Through the doors with every algorithm the package can compute in the allow lists. */
export async function throughWideDoor(vector: VectorCase): Promise<Outcome> {
  return outcomeOf(vector, {
    algorithms: signatureAlgorithms,
    keyManagement: keyManagementAlgorithms,
    contentAlgorithms,
  });
}

/** Through the doors as every caller gets them who names no algorithm. */
export async function throughDefaultDoor(vector: VectorCase): Promise<Outcome> {
  return outcomeOf(vector, {});
}

/** True if the doors accept these algorithms when the caller names none. */
export function isDefault(kind: VectorCase['kind'], alg: string, enc: string | undefined): boolean {
  if (kind === 'jws') return (defaultSignatureAlgorithms as readonly string[]).includes(alg);
  return (
    (defaultKeyManagementAlgorithms as readonly string[]).includes(alg) &&
    (defaultContentAlgorithms as readonly string[]).includes(enc ?? '')
  );
}

interface Lists {
  readonly algorithms?: readonly SignatureAlgorithm[];
  readonly keyManagement?: readonly KeyManagementAlgorithm[];
  readonly contentAlgorithms?: readonly ContentAlgorithm[];
}

async function outcomeOf(vector: VectorCase, lists: Lists): Promise<Outcome> {
  const token = vector.token as string;
  try {
    if (vector.kind === 'jws') {
      const keys = verificationKeys(vector.key);
      const options = lists.algorithms === undefined ? {} : { algorithms: lists.algorithms };
      const { header, payload } = await verifyCompactJws(token, { findKey: ({ kid }) => pick(keys, kid), ...options });
      return { accepted: true, content: payload, alg: header.alg, enc: undefined };
    }
    const keys = decryptionKeys(vector.key);
    const { header, plaintext } = await decryptCompactJwe(token, {
      findKey: (kid) => pick(keys, kid),
      ...(lists.keyManagement === undefined ? {} : { algorithms: lists.keyManagement }),
      ...(lists.contentAlgorithms === undefined ? {} : { contentAlgorithms: lists.contentAlgorithms }),
      ...(vector.cty === undefined ? {} : { cty: vector.cty }),
    });
    return { accepted: true, content: plaintext, alg: header.alg, enc: header.enc as string };
  } catch (error) {
    if (error instanceof CryptoError) return { accepted: false, code: error.code };
    throw error;
  }
}

/** One key serves whatever `kid` the token names (the vectors do so); of a set, the named one. */
function pick<Key extends { readonly kid?: string | undefined }>(keys: readonly Key[], kid: unknown): Key | undefined {
  return keys.length === 1 ? keys[0] : keys.find((key) => key.kid === kid);
}

function verificationKeys(key: JsonObject): VerificationKey[] {
  if (!Array.isArray(key.keys)) {
    return [key.kty === 'oct' ? symmetric(key, 'sig') : importVerificationKey(withoutPrivate(key))];
  }
  const members = key.keys as readonly JsonObject[];
  const { keys, refused } = judgeJwks({ keys: members.map(withoutPrivate) }, { use: 'sig' });
  const isSymmetricSet = members.length > 0 && members.every(({ kty }) => kty === 'oct');
  if (isSymmetricSet) return members.map((member) => symmetric(member, 'sig'));
  if (refused[0] !== undefined && keys.length === 0) throw refused[0].error;
  return keys.map(({ jwk }) => importVerificationKey(jwk));
}

function decryptionKeys(key: JsonObject): DecryptionKey[] {
  const members = Array.isArray(key.keys) ? (key.keys as readonly JsonObject[]) : [key];
  return members.map((member) =>
    member.kty === 'oct' ? symmetric(member, 'enc') : importDecryptionKey(member as unknown as PrivateJwk),
  );
}

function symmetric(key: JsonObject, use: KeyUse): VerificationKey & DecryptionKey {
  return importSymmetricKey(key as unknown as OctJwk, use);
}

/** Some vectors give a private key where a public one is meant; symmetric ones stay as they are. */
function withoutPrivate(key: JsonObject): PublicJwk {
  if (!isJsonObject(key) || key.kty === 'oct' || key.d === undefined) return key as unknown as PublicJwk;
  return publicJwkOf(key as unknown as PrivateJwk);
}
