/** The two key pairs of an agent: made here, used here, their private halves never leave the state folder. */
import { hkdfSync, randomUUID } from 'node:crypto';
import {
  type DecryptionKey,
  decodeBase64Url,
  generateKeyPair,
  importDecryptionKey,
  importSigningKey,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  signCompactJws,
} from '@gatehouse/crypto';

/** `typ` of the statement by which an agent proves who it is. */
export const assertionType = 'gatehouse-agent-assertion+jwt';
const assertionSeconds = 60;

/** One pair that signs (ES256) and one that opens (ECDH-ES+A256KW on P-256). Goes into the state folder as it is. */
export interface AgentKeys {
  readonly createdAt: string;
  readonly sig: PrivateJwk;
  readonly enc: PrivateJwk;
}

/** Makes both pairs. */
export async function makeAgentKeys(now: Date): Promise<AgentKeys> {
  const [sig, enc] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ECDH-ES+A256KW')]);
  return { createdAt: now.toISOString(), sig: sig.privateJwk, enc: enc.privateJwk };
}

/** What the server gets to know. */
export function publicKeysOf(keys: AgentKeys): { keys: PublicJwk[] } {
  return { keys: [publicJwkOf(keys.sig), publicJwkOf(keys.enc)] };
}

/** A statement of this agent for the server, good once and for a minute (RFC 7523 §3). */
export async function signAssertion(
  keys: AgentKeys,
  claims: {
    readonly agentId: string;
    readonly issuer: string;
    readonly now: Date;
    /** Whose thumbprints to name, in the statement by which the present keys give way to new ones. */
    readonly successor?: AgentKeys;
  },
): Promise<string> {
  const iat = Math.floor(claims.now.getTime() / 1000);
  const { agentId, issuer, successor } = claims;
  const payload = {
    iss: agentId,
    sub: agentId,
    aud: issuer,
    jti: randomUUID(),
    iat,
    exp: iat + assertionSeconds,
    ...(successor === undefined ? {} : { keys: [successor.sig.kid ?? '', successor.enc.kid ?? ''] }),
  };
  return signCompactJws({ key: importSigningKey(keys.sig), payload, typ: assertionType });
}

/** The key that opens what is sealed to this agent. */
export function decryptionKeyOf(keys: AgentKeys): DecryptionKey {
  return importDecryptionKey(keys.enc, 'ECDH-ES+A256KW');
}

/** A key for what this agent keeps on disk, and its name. */
export interface StorageKey {
  readonly kid: string;
  readonly bytes: Uint8Array;
}

/**
 * Derives the key of the local copies from the private encryption key (HKDF-SHA-256, RFC 5869): a copy is worth nothing
 * without the key file, and a rotated agent leaves no copy that its old key opens.
 */
export function storageKeyOf({ enc }: AgentKeys): StorageKey {
  const secret = decodeBase64Url((enc as { d: string }).d, 'd');
  const bytes = new Uint8Array(hkdfSync('sha256', secret, enc.kid ?? '', 'gatehouse/local-copy/1', 32));
  return { kid: enc.kid ?? '', bytes };
}
