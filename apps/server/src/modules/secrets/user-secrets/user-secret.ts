/** A secret of one subject of one issuer, for the services of one organization. The value itself is never in here. */
export interface UserSecret {
  readonly id: string;
  readonly organization: string;
  readonly issuer: string;
  readonly subject: string;
  readonly status: 'active' | 'scheduled' | 'destroyed';
  readonly createdAt: Date;
  /** When the destruction becomes final; only while it is scheduled. */
  readonly destroyAt?: Date;
  readonly destroyedAt?: Date;
}

/** Whose secret is meant. */
export interface SecretSubject {
  readonly organization: string;
  readonly issuer: string;
  readonly subject: string;
}

/** Bytes of a user secret: 256 random bits. */
export const secretBytes = 32;
/** How long a destruction can be taken back unless the caller says otherwise: 7 days. */
export const defaultDestroyDelaySeconds = 7 * 24 * 3600;
/** The longest delay: 90 days. */
export const maxDestroyDelaySeconds = 90 * 24 * 3600;
