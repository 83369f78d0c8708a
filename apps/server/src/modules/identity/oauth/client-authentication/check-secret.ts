import { createHash, timingSafeEqual } from 'node:crypto';
import type { OAuthClient } from '../clients/client.ts';

/**
 * True when the secret is one of the client's living secrets. Secrets are 256 random bits, so SHA-256 is enough.
 * An unknown client costs the same comparison.
 */
export function isClientSecret(client: OAuthClient | undefined, secret: string, now: Date): boolean {
  const given = createHash('sha256').update(secret).digest();
  let matches = false;
  for (const { hash, expiresAt } of client?.secrets ?? decoy) {
    const equal = hash.length === given.length && timingSafeEqual(hash, given);
    if (equal && client && (expiresAt === undefined || expiresAt > now)) matches = true;
  }
  return matches;
}

const decoy = [{ hash: new Uint8Array(32), expiresAt: undefined }] as const;
