import { invalidClient, invalidRequest } from '../oauth-error.ts';

/** How a client says who it is. */
export type ClientCredentials =
  | { readonly kind: 'secret'; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'assertion'; readonly clientId: string | undefined; readonly assertion: string }
  | { readonly kind: 'none'; readonly clientId: string };

/** The only assertion type (RFC 7523 §2.2). */
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/**
 * Reads the client's credentials: HTTP Basic, form fields, an assertion, or a bare client id. One mechanism only
 * (RFC 6749 §2.3).
 */
export function readCredentials(
  authorization: string | undefined,
  params: Readonly<Record<string, string | undefined>>,
): ClientCredentials {
  const { client_id: clientId, client_secret: secret, client_assertion: assertion } = params;
  const mechanisms = [authorization, secret, assertion].filter((value) => value !== undefined);
  if (mechanisms.length > 1) throw invalidRequest('client authentication must use one mechanism only');

  if (authorization !== undefined) {
    const basic = readBasic(authorization);
    if (clientId !== undefined && clientId !== basic.clientId) throw invalidRequest('client_id mismatch');
    return { kind: 'secret', ...basic };
  }
  if (assertion !== undefined) {
    if (params['client_assertion_type'] !== assertionType) {
      throw invalidRequest(`client_assertion_type must be ${assertionType}`);
    }
    return { kind: 'assertion', clientId, assertion };
  }
  // RFC 6749 §5.2 counts "no client authentication included" among the failures of it; RFC 7662 §2.1 asks for 401.
  if (clientId === undefined || clientId === '') throw invalidClient('no client authentication was provided');
  return secret === undefined ? { kind: 'none', clientId } : { kind: 'secret', clientId, secret };
}

/** RFC 6749 §2.3.1: both parts are form-encoded before they are joined and base64-encoded. */
function readBasic(authorization: string): { clientId: string; secret: string } {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization);
  if (!match?.[1]) throw invalidClient('the authorization header is not Basic');
  const text = Buffer.from(match[1], 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) throw invalidClient('the authorization header holds no client id and secret');
  try {
    const decode = (part: string) => decodeURIComponent(part.replaceAll('+', '%20'));
    return { clientId: decode(text.slice(0, colon)), secret: decode(text.slice(colon + 1)) };
  } catch {
    throw invalidClient('client id and secret are not form-encoded');
  }
}
