/** How this service proves who it is at the token endpoint: a shared secret, or a signed assertion. */
import { randomUUID } from 'node:crypto';
import { importSigningKey, type PrivateJwk, signCompactJws } from '@gatehouse/crypto';
import type { Clock } from '../clock.ts';
import { GatehouseError } from '../errors.ts';
import type { Pop } from '../pop/pop.ts';

/** Exactly one of the three. */
export interface ClientCredentials {
  /** The client secret the server showed once (`client_secret_basic`, RFC 6749 §2.3.1). */
  clientSecret?: string;
  /** A private key whose public part is registered (`private_key_jwt`, RFC 7523); with `kid` and `alg`. */
  privateKey?: PrivateJwk;
  /** Sign with this service's own pop signature key (`private_key_jwt`); the policy must name one. */
  authenticateWithPop?: boolean;
}

/** What a request carries to authenticate the client. */
export interface ClientAuthentication {
  headers: Record<string, string>;
  parameters: Record<string, string>;
}

const assertionSeconds = 60;

/** Chooses the method from the options; each call makes what one request carries. */
export function createClientAuthentication(
  options: ClientCredentials & { clientId: string; issuer: string; pop: Pick<Pop, 'sign'>; clock: Clock },
): () => Promise<ClientAuthentication> {
  const { clientId, clientSecret, privateKey, authenticateWithPop, issuer, pop, clock } = options;
  const given = [clientSecret !== undefined, privateKey !== undefined, authenticateWithPop === true];
  if (given.filter(Boolean).length !== 1) {
    throw new GatehouseError(
      'configuration_invalid',
      'Give exactly one of clientSecret, privateKey and authenticateWithPop.',
    );
  }
  if (clientSecret !== undefined) {
    const pair = `${formEncode(clientId)}:${formEncode(clientSecret)}`;
    const authorization = `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
    return async () => ({ headers: { authorization }, parameters: {} });
  }
  const key = privateKey === undefined ? undefined : importSigningKey(privateKey);
  return async () => {
    const iat = Math.floor(clock.now().getTime() / 1000);
    const claims = { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat, exp: iat + assertionSeconds };
    const assertion =
      key === undefined
        ? await pop.sign(claims, { typ: 'JWT' })
        : await signCompactJws({ key, payload: JSON.stringify(claims), typ: 'JWT' });
    return {
      headers: {},
      parameters: {
        client_id: clientId,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      },
    };
  };
}

/** `application/x-www-form-urlencoded`, which RFC 6749 §2.3.1 asks for before Basic encoding. */
function formEncode(value: string): string {
  return new URLSearchParams({ v: value }).toString().slice(2);
}
