/**
 * Every lifetime of identity's tokens in one place, so that the guide and the code say the same.
 * docs/guides/sessions-and-tokens.md repeats these numbers for users.
 */

/** An access token (RFC 9068). Revocation reaches our own API at once and resource servers within this time. */
export const accessTokenSeconds = 600;

/** How far clocks may differ when a token's times are judged. */
export const clockSkewSeconds = 60;

/** A refresh token that nobody uses ends its session. */
export const refreshIdleSeconds = 14 * 24 * 3600;

/** A session (or grant) ends at the latest, however often it is refreshed. */
export const sessionAbsoluteSeconds = 90 * 24 * 3600;

/**
 * The same refresh token presented again within this time by its client gets the same successor: two tabs, or an
 * answer lost on the way. After it, presenting it again means that it was copied, and the whole family is revoked.
 */
export const refreshGraceSeconds = 10;

/** Longest life of a client assertion (RFC 7523), counted from now and from its `iat`. */
export const assertionSeconds = 300;

/** A DPoP proof is accepted this long around its `iat` (RFC 9449 §11.1). */
export const proofSeconds = 300;

/** A browser's sign-in ends when it is not used for this long … */
export const browserIdleSeconds = 8 * 3600;

/** … and at the latest after this. */
export const browserAbsoluteSeconds = 7 * 24 * 3600;

/** An authorization code (RFC 6749 §4.1.2 asks for ten minutes at most). */
export const authorizationCodeSeconds = 60;

/** A person has this long for the sign-in and consent pages. */
export const interactionSeconds = 900;

/** A device code and its user code (RFC 8628 §3.2). */
export const deviceCodeSeconds = 600;

/** An ID token. */
export const idTokenSeconds = 600;

/** Most audiences in the token of a headless session. */
export const maxAudiences = 50;
