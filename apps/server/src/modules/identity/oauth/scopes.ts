import { OAuthError } from './oauth-error.ts';

/**
 * The scopes there are. `gatehouse` lets a token use Gatehouse's own API with its holder's permissions: an application
 * that only wants to know who somebody is does not ask for it, and gets a token that can change nothing here.
 */
export const scopes = {
  openid: 'Know who you are',
  profile: 'See your user name',
  offline_access: 'Keep working for you while you are away',
  gatehouse: 'Use Gatehouse with all your permissions',
} as const;

/** All scope names. */
export const scopeNames: readonly string[] = Object.keys(scopes);

/** The scope of a headless session: it signs in to Gatehouse itself. */
export const sessionScope: readonly string[] = ['openid', 'profile', 'gatehouse'];

/** RFC 6749 §3.3: scope tokens are printable ASCII without space, quote and backslash. */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** The scopes named in a request, in order, each once; 400 when the text is not a scope. */
export function parseScope(text: string | undefined): string[] {
  if (text === undefined) return [];
  const names = [...new Set(text.split(' '))];
  if (text.length > 1024 || !names.every((name) => scopeToken.test(name))) {
    throw new OAuthError('invalid_scope', 'scope is a list of names separated by single spaces');
  }
  return names;
}
