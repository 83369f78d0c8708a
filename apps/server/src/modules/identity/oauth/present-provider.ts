import type Provider from 'oidc-provider';
import { AppError } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';

/** The keys oidc-provider signs with. */
type SigningKeys = ReturnType<Keys['signingJwks']>;

/**
 * The provider over the signing keys of this moment, for each request anew: a key's time can end between two passes of
 * the rotation, and a provider that was built before would go on signing with it. Building takes 1-3 ms and happens
 * only when the keys are others. Without a key to sign access tokens with there is no provider: 503, until there is one.
 */
export function createPresentProvider(deps: {
  keys: Pick<Keys, 'signingJwks'>;
  build: (jwks: SigningKeys) => Provider;
}): () => Provider {
  let built: { kids: string; provider: Provider } | undefined;
  return () => {
    const jwks = deps.keys.signingJwks();
    if (!jwks.keys.some((key) => key.alg === 'ES256')) {
      throw new AppError('keys.no_valid_key', {
        detail: 'There is no valid key to sign tokens with. Nothing is signed until the keyring is rotated.',
        headers: { 'retry-after': '5' },
      });
    }
    const kids = jwks.keys.map((key) => key.kid).join(' ');
    if (built?.kids !== kids) built = { kids, provider: deps.build(jwks) };
    return built.provider;
  };
}
