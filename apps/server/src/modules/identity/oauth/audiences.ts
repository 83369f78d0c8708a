import type { Db } from '../../../kernel/index.ts';
import type { Form } from './client-authentication/form.ts';
import type { OAuthClient } from './clients/client.ts';
import { isAudienceOf } from './clients/client-store.ts';
import { OAuthError } from './oauth-error.ts';

/**
 * Audiences are names (`acme.records`), while oidc-provider's resource indicators are addresses (RFC 8707). Inside it
 * an audience travels as this URN; an address that is itself an audience is accepted too.
 */
const urnPrefix = 'urn:gatehouse:audience:';

/** The resource indicator that stands for an audience. */
export function resourceOf(audience: string): string {
  return `${urnPrefix}${encodeURIComponent(audience)}`;
}

/** The audience a resource indicator stands for. */
export function audienceOf(resource: string): string {
  if (!resource.startsWith(urnPrefix)) return resource;
  try {
    return decodeURIComponent(resource.slice(urnPrefix.length));
  } catch {
    return ''; // badly encoded: nobody's audience
  }
}

/** `invalid_target`: the audience is none that the client may ask for; whose it is, if anybody's, is not told. */
export function invalidTarget(): OAuthError {
  return new OAuthError('invalid_target', 'the audience is not one of the active services of this organization');
}

/** Judges audiences: our own API, or an active service of the client's organization. */
export function createAudiences({ db, issuer }: { db: Db; issuer: string }) {
  const isKnown = async (client: OAuthClient, audience: string): Promise<boolean> => {
    if (audience === issuer || audience === `${issuer}/` || audience === client.audience) return true;
    if (!/^[\x21-\x7e]{1,255}$/.test(audience)) return false;
    return db.read((tx) => isAudienceOf(tx, client.organization, audience));
  };
  return {
    isKnown,
    /**
     * The audiences a form asks for by `audience` or `resource`; `fallback` without either.
     * One token, at most one service: a token that is good at two services could be passed on by one to the other.
     */
    async requested(client: OAuthClient, form: Form, fallback: readonly string[]): Promise<readonly string[]> {
      const named = [...form.all.getAll('audience'), ...form.all.getAll('resource').map(audienceOf)];
      const wanted = [...new Set(named.map((one) => (one === `${issuer}/` ? issuer : one)))];
      if (wanted.length === 0) return fallback;
      if (wanted.filter((one) => one !== issuer).length > 1) {
        throw new OAuthError('invalid_target', 'ask for one audience at a time');
      }
      for (const audience of wanted) {
        if (!(await isKnown(client, audience))) throw invalidTarget();
      }
      return wanted;
    },
  };
}

export type Audiences = ReturnType<typeof createAudiences>;
