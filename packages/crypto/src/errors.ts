/**
 * The stable error codes of this package. Callers branch on `code`, never on the message.
 * Each message names the field, the rule and, where there is one, the fix.
 */
export const cryptoErrorMessages = {
  'crypto.invalid_argument': 'An argument is not what this function takes.',
  'crypto.invalid_json': 'The text is not strict JSON.',
  'crypto.not_canonicalizable': 'The value has no canonical JSON form.',
  'crypto.invalid_base64url': 'The text is not strict base64url.',
  'crypto.too_large': 'The input is larger than its bound.',
  'crypto.invalid_key': 'The key is not well formed or not of the expected kind.',
  'crypto.weak_key': 'The key is well formed, but gives no security.',
  'crypto.private_key_exposed': 'A public key must not carry private members.',
  'crypto.invalid_jwks': 'The key set is not well formed.',
  'crypto.invalid_jws': 'The token is not an acceptable compact JWS.',
  'crypto.invalid_jwe': 'The token is not an acceptable compact JWE.',
  'crypto.algorithm_not_allowed': 'The algorithm is not in the allow list.',
  'crypto.unknown_key': 'No key matches the token.',
  'crypto.bad_signature': 'The signature does not verify.',
  'crypto.invalid_claims': 'A claim is missing, malformed or not as expected.',
  'crypto.cannot_open': 'The sealed value cannot be opened.',
  'crypto.cannot_decrypt': 'The content cannot be decrypted.',
} as const;

/** One of the codes this package throws. */
export type CryptoErrorCode = keyof typeof cryptoErrorMessages;

/** What a thrower may add to a code. */
export interface CryptoErrorOptions {
  /** The sentence shown instead of the code's own. Never contains a secret. */
  readonly message?: string;
  /** The member, header parameter or claim the rule is about. */
  readonly field?: string;
  readonly cause?: unknown;
}

/** The only error class this package throws on bad input. */
export class CryptoError extends Error {
  readonly code: CryptoErrorCode;
  readonly field: string | undefined;

  constructor(code: CryptoErrorCode, options: CryptoErrorOptions = {}) {
    super(
      options.message ?? cryptoErrorMessages[code],
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = 'CryptoError';
    this.code = code;
    this.field = options.field;
  }
}

/** True for errors of this package, optionally of one code. */
export function isCryptoError(error: unknown, code?: CryptoErrorCode): error is CryptoError {
  return error instanceof CryptoError && (code === undefined || error.code === code);
}
