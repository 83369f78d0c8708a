import { encryptCompactJwe, type JudgedKey, judgeJwks } from '@gatehouse/crypto';
import { type RemoteKeys, RemoteKeysError } from '../remote-keys.ts';
import { ExchangeRefused } from './refusal.ts';

/** A registered service as far as a release needs it. */
export interface Recipient {
  readonly clientId: string;
  readonly organization: string;
  readonly audience: string;
  readonly popUrl?: string | undefined;
  readonly jwks?: unknown;
}

/** A recipient with the key its secret will be sealed to. */
export interface SealTarget {
  readonly recipient: Recipient;
  readonly key: JudgedKey;
}

/** Key management algorithms we write. RSA-OAEP with SHA-1 only to a key that names it: an original client's. */
const writable = ['RSA-OAEP-256', 'ECDH-ES+A256KW', 'RSA-OAEP'];

/** Finds the public key of a service: registered with it, or fetched from its `pop_url`. */
export function createRecipients({ remoteKeys }: { remoteKeys: RemoteKeys }) {
  return {
    /**
     * The key a service's secret is sealed to: the first usable encryption key it publishes.
     * @throws ExchangeRefused `temporarily_unavailable` when the address does not answer, `invalid_target` without a key
     */
    async findTarget(recipient: Recipient): Promise<SealTarget> {
      const keys = await publishedKeys(recipient);
      const key = writable
        .map((algorithm) => keys.find((one) => one.algorithms.includes(algorithm)))
        .find((found) => found !== undefined);
      if (!key) {
        throw new ExchangeRefused(
          'invalid_target',
          `The service ${recipient.clientId} publishes no usable encryption key: an RSA (2048 bits and more), P-256 or X25519 key with "use":"enc" is needed at its pop_url.`,
        );
      }
      return { recipient, key };
    },
  };

  async function publishedKeys(recipient: Recipient): Promise<readonly JudgedKey[]> {
    if (recipient.jwks) return judgeJwks(recipient.jwks, { use: 'enc' }).keys;
    if (recipient.popUrl === undefined) {
      throw new ExchangeRefused(
        'invalid_target',
        `The service ${recipient.clientId} has neither pop_url nor jwks: register one so that secrets can be sealed to it.`,
      );
    }
    try {
      return await remoteKeys.get(recipient.popUrl, 'enc');
    } catch (error) {
      if (!(error instanceof RemoteKeysError)) throw error;
      throw new ExchangeRefused(
        'temporarily_unavailable',
        `The keys of ${recipient.clientId} cannot be had: ${error.message}.`,
        error,
      );
    }
  }
}

/** What {@link createRecipients} gives. */
export type Recipients = ReturnType<typeof createRecipients>;

/** Seals a secret to a service's key as a compact JWE. The plaintext is the secret's text, as in the original. */
export function sealSecret(target: SealTarget, secret: string): string {
  const alg = writable.find((one) => target.key.algorithms.includes(one)) as
    | 'RSA-OAEP-256'
    | 'RSA-OAEP'
    | 'ECDH-ES+A256KW';
  return encryptCompactJwe({ jwk: target.key.jwk, plaintext: secret, alg });
}
