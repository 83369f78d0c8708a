/** Sealing to somebody else's published keys, so that no proxy and no log on the way sees what is sent. */
import { encryptCompactJwe, isCryptoError, type JudgedKey, judgeJwks } from '@gatehouse/crypto';
import { GatehouseError } from '../errors.ts';
import { type HttpOptions, parseAddress, request } from '../http/request.ts';

/** Options of `sealTo`. */
export interface SealOptions extends HttpOptions {
  /** Header parameter `cty`: what the payload is. Objects are sealed as JSON and say so by themselves. */
  contentType?: string;
}

const acceptedAlgorithms = ['RSA-OAEP-256', 'ECDH-ES+A256KW'] as const;

/**
 * Seals a payload to a receiver's encryption key as a compact JWE. The receiver is the address of its key set (such as
 * `https://records.example.com/pop`) or the key set itself.
 *
 * @example
 * const body = await sealTo('https://records.example.com/pop', fileBytes);
 * await fetch(url, { method: 'POST', headers: { 'content-type': 'application/jose' }, body });
 */
export async function sealTo(
  receiver: string | { keys: readonly unknown[] },
  payload: Uint8Array | string | Record<string, unknown>,
  options: SealOptions = {},
): Promise<string> {
  const jwks = typeof receiver === 'string' ? await fetchKeySet(receiver, options) : receiver;
  const { jwk, alg } = encryptionKeyOf(jwks);
  const isObject = typeof payload === 'object' && !(payload instanceof Uint8Array);
  const contentType = options.contentType ?? (isObject ? 'json' : undefined);
  return encryptCompactJwe({
    jwk,
    alg,
    plaintext: isObject ? JSON.stringify(payload) : payload,
    ...(contentType === undefined ? {} : { cty: contentType }),
  });
}

async function fetchKeySet(address: string, http: HttpOptions): Promise<string> {
  parseAddress('receiver', address, http);
  const answer = await request(address, { headers: { accept: 'application/jwk-set+json, application/json' } }, http);
  if (answer.status !== 200) {
    throw new GatehouseError('server_unavailable', `${address} answered ${answer.status}.`, { status: answer.status });
  }
  return answer.text;
}

/** The first usable encryption key; keys that are weak or malformed are passed over. */
function encryptionKeyOf(jwks: unknown): { jwk: JudgedKey['jwk']; alg: (typeof acceptedAlgorithms)[number] } {
  try {
    for (const key of judgeJwks(jwks, { use: 'enc' }).keys) {
      const alg = acceptedAlgorithms.find((accepted) => key.algorithms.includes(accepted));
      // A key without `use` may be meant for signatures only.
      if (alg !== undefined && key.kid !== undefined && key.jwk.use === 'enc') return { jwk: key.jwk, alg };
    }
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    throw new GatehouseError('seal_no_key', `The receiver's key set cannot be used: ${error.message}`, {
      cause: error,
    });
  }
  throw new GatehouseError(
    'seal_no_key',
    `The receiver publishes no encryption key (use "enc", with a kid) for ${acceptedAlgorithms.join(' or ')}.`,
  );
}
