import { encryptCompactJwe, judgeJwks } from '@gatehouse/crypto';
import type { Api } from './api.ts';
import { CliError } from './errors.ts';

const algorithms = ['RSA-OAEP-256', 'ECDH-ES+A256KW'] as const;

/** Seals user name and password to a key of the server's `/pop`, so that no proxy or log on the way sees them. */
export async function sealCredentials(
  api: Pick<Api, 'open' | 'server'>,
  credentials: { username: string; password: string },
): Promise<string> {
  const jwks = await api.open('/pop');
  for (const key of Array.isArray(jwks['keys']) ? judgeJwks(jwks, { use: 'enc' }).keys : []) {
    const alg = algorithms.find((one) => key.algorithms.includes(one));
    // A key that does not say what it is for may be meant for signatures only.
    if (alg === undefined || key.jwk.use !== 'enc') continue;
    return encryptCompactJwe({ jwk: key.jwk, alg, plaintext: JSON.stringify(credentials), cty: 'json' });
  }
  throw new CliError('cli.not_gatehouse', `${api.server}/pop shows no encryption key that this program can use.`, {
    fix: 'check --url; does the server run a release that fits this program?',
  });
}
