import {
  isCryptoError,
  isJsonObject,
  type JudgedKey,
  judgeJwks,
  jwkThumbprint,
  type PublicJwk,
} from '@gatehouse/crypto';
import { AppError } from '../../../kernel/index.ts';
import type { AgentKeys } from './agent.ts';

/**
 * Judges the keys of an agent: exactly one to sign (ES256) and one to receive secrets (ECDH-ES+A256KW on P-256), both
 * public, sound and not the same. Anything else is refused with what is wrong: a key that we took by mistake would have
 * to be told from a stolen one for years.
 */
export function judgeAgentKeys(jwks: unknown): AgentKeys {
  const entries = isJsonObject(jwks) && Array.isArray(jwks['keys']) ? (jwks['keys'] as readonly unknown[]) : [];
  if (entries.length !== 2) throw refused('jwks.keys', 'holds not exactly two keys', twoKeys);
  const signature = only(jwks, 'sig', 'ES256');
  const encryption = only(jwks, 'enc', 'ECDH-ES+A256KW');
  const signatureKid = kidOf(signature);
  const encryptionKid = kidOf(encryption);
  if (signatureKid === encryptionKid) throw refused('jwks.keys', 'is one key for both uses', 'make two key pairs');
  return {
    signatureKid,
    signatureJwk: withKid(signature.jwk, signatureKid),
    encryptionKid,
    encryptionJwk: withKid(encryption.jwk, encryptionKid),
  };
}

const twoKeys = 'send one with "use":"sig","alg":"ES256" and one with "use":"enc","alg":"ECDH-ES+A256KW", both P-256';

function only(jwks: unknown, use: 'sig' | 'enc', alg: string): JudgedKey {
  let judged: ReturnType<typeof judgeJwks>;
  try {
    judged = judgeJwks(jwks, { use, maxKeys: 2, maxBytes: 4096 });
  } catch (error) {
    if (isCryptoError(error)) throw refused('jwks', lowerFirst(error.message), twoKeys);
    throw error;
  }
  const [first] = judged.refused;
  if (first) throw refused(`jwks.keys.${first.index}`, lowerFirst(first.error.message), twoKeys);
  const [key] = judged.keys;
  if (!key || judged.keys.length !== 1)
    throw refused('jwks.keys', `holds not exactly one key with "use":"${use}"`, twoKeys);
  const { jwk } = key;
  if (jwk.use !== use || jwk.alg !== alg || jwk.kty !== 'EC' || jwk.crv !== 'P-256') {
    throw refused('jwks.keys', `holds a key for "${use}" that is not "alg":"${alg}" on P-256`, twoKeys);
  }
  return key;
}

function kidOf({ jwk, kid }: JudgedKey): string {
  const thumbprint = jwkThumbprint(jwk);
  if (kid !== undefined && kid !== thumbprint) {
    throw refused('jwks.keys.kid', 'is not the RFC 7638 thumbprint of its key', 'leave kid out');
  }
  return thumbprint;
}

/** As it is kept: known members only, so that equal keys are equal. */
function withKid(jwk: PublicJwk, kid: string): PublicJwk {
  const { key_ops: _ops, ...rest } = jwk;
  return { ...rest, kid };
}

function lowerFirst(text: string): string {
  return `is refused: ${text}`;
}

function refused(field: string, rule: string, fix: string): AppError {
  return new AppError('configuration.invalid_agent_keys', {
    detail: `${field} ${rule}`,
    errors: [{ field, rule, fix }],
  });
}
