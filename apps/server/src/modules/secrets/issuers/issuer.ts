/** An identity provider whose tokens are accepted as subject tokens. */
export interface TrustedIssuer {
  readonly id: string;
  readonly name: string;
  /** Compared exactly with the token's `iss`. */
  readonly issuer: string;
  readonly jwksUri: string;
  readonly algorithms: readonly string[];
  /** Accepted `aud` values; empty accepts any. */
  readonly audiences: readonly string[];
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** Signature algorithms that a trusted issuer may use: asymmetric ones only. */
export const issuerAlgorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const;
