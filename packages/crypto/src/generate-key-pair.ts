import { generateKeyPair as generate, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { CryptoError } from './errors.ts';
import { type KeyUse, type PrivateJwk, type PublicJwk, publicJwkOf } from './jwk.ts';
import { jwkThumbprint } from './thumbprint.ts';

const generateAsync = promisify(generate);

/** The algorithms Gatehouse makes keys for. */
export const keyPairAlgorithms = [
  'ES256',
  'RS256',
  'PS256',
  'EdDSA',
  'RSA-OAEP-256',
  'RSA-OAEP',
  'ECDH-ES+A256KW',
] as const;
/** One of the algorithms Gatehouse makes keys for. */
export type KeyPairAlgorithm = (typeof keyPairAlgorithms)[number];

/** Choices within an algorithm. */
export interface GenerateKeyPairOptions {
  /** RSA modulus bits: 2048 (default), 3072 or 4096. */
  readonly modulusBits?: 2048 | 3072 | 4096;
  /** Curve for ECDH-ES+A256KW: P-256 (default) or X25519. */
  readonly curve?: 'P-256' | 'X25519';
}

/** A fresh key pair. `kid` is the RFC 7638 thumbprint and stands in both JWKs, as do `use` and `alg`. */
export interface GeneratedKeyPair {
  readonly kid: string;
  readonly alg: KeyPairAlgorithm;
  readonly use: KeyUse;
  readonly publicJwk: PublicJwk;
  readonly privateJwk: PrivateJwk;
}

/**
 * Makes a key pair off the event loop. RSA-2048 takes 50-500 ms of one core.
 *
 * @example const { publicJwk, privateJwk, kid } = await generateKeyPair('ES256');
 */
export async function generateKeyPair(
  alg: KeyPairAlgorithm,
  options: GenerateKeyPairOptions = {},
): Promise<GeneratedKeyPair> {
  const { privateKey } = await generateFor(alg, options);
  const bare = privateKey.export({ format: 'jwk' }) as unknown as PrivateJwk;
  const kid = jwkThumbprint(bare);
  const use: KeyUse = alg === 'RSA-OAEP' || alg === 'RSA-OAEP-256' || alg === 'ECDH-ES+A256KW' ? 'enc' : 'sig';
  const privateJwk: PrivateJwk = { ...bare, kid, use, alg };
  return { kid, alg, use, publicJwk: publicJwkOf(privateJwk), privateJwk };
}

async function generateFor(
  alg: KeyPairAlgorithm,
  { modulusBits = 2048, curve = 'P-256' }: GenerateKeyPairOptions,
): Promise<{ privateKey: KeyObject }> {
  switch (alg) {
    case 'ES256':
      return generateAsync('ec', { namedCurve: 'P-256' });
    case 'EdDSA':
      return generateAsync('ed25519');
    case 'ECDH-ES+A256KW':
      return curve === 'X25519' ? generateAsync('x25519') : generateAsync('ec', { namedCurve: 'P-256' });
    case 'RS256':
    case 'PS256':
    case 'RSA-OAEP':
    case 'RSA-OAEP-256':
      if (![2048, 3072, 4096].includes(modulusBits)) {
        throw new CryptoError('crypto.invalid_argument', {
          field: 'modulusBits',
          message: 'modulusBits is 2048, 3072 or 4096.',
        });
      }
      return generateAsync('rsa', { modulusLength: modulusBits, publicExponent: 65_537 });
    default:
      throw new CryptoError('crypto.invalid_argument', {
        field: 'alg',
        message: `alg is one of ${keyPairAlgorithms.join(', ')}.`,
      });
  }
}
