import { isCryptoError, judgeJwks } from '@gatehouse/crypto';
import { invalidField } from '../../../kernel/index.ts';
import type { ServiceSettings } from './service.ts';

/** What the rules need to know of this installation. */
export interface ServiceRulesContext {
  readonly publicUrl: string;
  /** Exact origins at private addresses that outgoing requests may reach. */
  readonly allowPrivateNetworks: readonly string[];
  /** Algorithms of the token keyrings. */
  readonly signatureAlgorithms: readonly string[];
  readonly clientId: string;
}

/** Refuses settings that are not safe or do not fit together; names field, rule and fix. */
export function assertServiceSettings(settings: ServiceSettings, context: ServiceRulesContext): void {
  assertAudience(settings.audience, context);
  settings.redirectUris.forEach((uri, index) => assertRedirectUri(uri, `redirect_uris.${index}`));
  settings.postLogoutRedirectUris.forEach((uri, index) => assertRedirectUri(uri, `post_logout_redirect_uris.${index}`));
  if (settings.popUrl !== undefined && settings.jwks !== undefined) {
    throw invalidField('jwks', 'is set beside pop_url', 'keep one of the two: keys have one source');
  }
  if (settings.popUrl !== undefined) assertPopUrl(settings.popUrl, context);
  if (settings.jwks !== undefined) assertJwks(settings.jwks);
  const { authentication, grants } = settings;
  if (authentication === 'private_key_jwt' && settings.popUrl === undefined && settings.jwks === undefined) {
    throw invalidField('authentication', 'is private_key_jwt without keys', 'give jwks or pop_url');
  }
  if (authentication === 'none') {
    const secretive = grants.find((grant) => grant === 'client_credentials' || grant === 'token_exchange');
    if (secretive !== undefined) {
      throw invalidField(
        'grants',
        `holds ${secretive}, which a public client cannot use`,
        'choose client_secret or private_key_jwt as authentication',
      );
    }
  }
  if (grants.includes('authorization_code') && settings.redirectUris.length === 0) {
    throw invalidField('redirect_uris', 'is empty although authorization_code is granted', 'register at least one');
  }
  if (!context.signatureAlgorithms.includes(settings.idTokenAlgorithm)) {
    throw invalidField(
      'id_token_signed_response_alg',
      'is not an algorithm of this server',
      `use one of ${context.signatureAlgorithms.join(', ')}`,
    );
  }
}

/** A short name, or the service's own client id; never the issuer, and never in the form of another's client id. */
function assertAudience(audience: string, context: ServiceRulesContext): void {
  if (audience === context.clientId) return;
  if (!/^[\x21-\x7e]{1,255}$/.test(audience)) {
    throw invalidField('audience', 'is not 1 to 255 characters of visible ASCII', 'leave it out to use the client id');
  }
  if (audience === context.publicUrl || audience.startsWith(`${context.publicUrl}/`) || audience === 'gatehouse') {
    throw invalidField('audience', 'is that of Gatehouse itself', 'choose one of the service’s own');
  }
  if (/^[a-z0-9][a-z0-9_-]{0,62}\.[a-z0-9][a-z0-9_-]{0,62}$/.test(audience)) {
    throw invalidField(
      'audience',
      'has the form of a client id, which is another service’s audience',
      `use ${context.clientId}, or a name without a dot, or a URL`,
    );
  }
}

/** RFC 9700 §4.1: compared character by character later, so it has to be exact now. */
export function assertRedirectUri(uri: string, field: string): void {
  const url = URL.parse(uri);
  if (!url || !/^[\x21-\x7e]{1,2048}$/.test(uri) || uri.includes('\\')) {
    throw invalidField(field, 'is not an absolute URI in ASCII', 'use a form such as https://app.example/callback');
  }
  if (uri.includes('#')) throw invalidField(field, 'has a fragment', 'leave out everything from the #');
  if (url.username !== '' || url.password !== '') throw invalidField(field, 'carries a user name', 'leave it out');
  if (uri.includes('*')) throw invalidField(field, 'has a wildcard', 'register each address');
  if (/\/\.{1,2}(\/|$|\?)/.test(uri) || /%2e/i.test(uri))
    throw invalidField(field, 'has dots as path segments', 'write the path out');
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
  throw invalidField(
    field,
    'is neither https nor http on loopback',
    'use https; http only for 127.0.0.1, [::1] or localhost',
  );
}

function assertPopUrl(address: string, { allowPrivateNetworks }: ServiceRulesContext): void {
  const url = URL.parse(address);
  if (!url || address.length > 2048 || !['https:', 'http:'].includes(url.protocol)) {
    throw invalidField('pop_url', 'is not an https URL', 'use a form such as https://records.example/pop');
  }
  if (url.username !== '' || url.password !== '' || address.includes('#')) {
    throw invalidField('pop_url', 'carries a user name or a fragment', 'leave it out');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !allowPrivateNetworks.includes(url.origin)) {
    throw invalidField(
      'pop_url',
      'is http on an address that is not loopback',
      `use https, or let the server name ${url.origin} in GATEHOUSE_ALLOW_PRIVATE_NETWORKS`,
    );
  }
}

/** Every key must be good for its use, and public. */
function assertJwks(jwks: NonNullable<ServiceSettings['jwks']>): void {
  try {
    const limits = { maxKeys: 20, maxBytes: 51_200 };
    const verdicts = (['sig', 'enc'] as const).map((use) => judgeJwks(jwks, { use, ...limits }));
    for (const [index] of jwks.keys.entries()) {
      // A key without `use` is judged for both; one good verdict is enough.
      const errors = verdicts.flatMap((verdict) => verdict.refused.filter((refused) => refused.index === index));
      const own = (jwks.keys[index] as { use?: unknown }).use;
      if (errors[0] && errors.length >= (own === undefined ? verdicts.length : 1)) throw errors[0].error;
    }
    if (verdicts.every((verdict) => verdict.keys.length === 0)) {
      throw invalidField('jwks', 'holds no usable key', 'give public keys with "use":"sig" or "use":"enc"');
    }
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    throw invalidField('jwks', `is not a set of good public keys: ${error.message}`, 'give the public keys only');
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** A secret somebody chose: as long as ours in effect, so that its plain hash cannot be guessed. */
export function assertClientSecret(secret: string): void {
  if (!/^[\x21-\x7e]{32,256}$/.test(secret) || new Set(secret).size < 10) {
    throw invalidField(
      'client_secret',
      'is not 32 to 256 varied characters of visible ASCII',
      'make one with: openssl rand -hex 32',
    );
  }
}
