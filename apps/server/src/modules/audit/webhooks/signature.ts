import { createHmac } from 'node:crypto';

/** Standard Webhooks: how a secret is written, `whsec_` and base64 of 24 to 64 bytes. */
const secretPattern = /^whsec_([A-Za-z0-9+/]+={0,2})$/;

/** The secret as its owner gets it. */
export function writeSecret(bytes: Uint8Array): string {
  return `whsec_${Buffer.from(bytes).toString('base64')}`;
}

/** The bytes of a written secret; undefined when it is not one. */
export function readSecret(text: string): Uint8Array | undefined {
  const encoded = secretPattern.exec(text)?.[1];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const isExact = bytes.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '');
  return isExact && bytes.length >= 24 && bytes.length <= 64 ? new Uint8Array(bytes) : undefined;
}

/**
 * The headers of Standard Webhooks 1.0.0: one `v1` signature for each valid secret, over id, time and body, so that a
 * receiver that still has the previous secret accepts it too.
 */
export function signedHeaders(input: {
  eventId: string;
  timestampSeconds: number;
  body: string;
  secrets: readonly Uint8Array[];
}): Record<string, string> {
  const { eventId, timestampSeconds, body, secrets } = input;
  const content = `${eventId}.${timestampSeconds}.${body}`;
  const signatures = secrets.map((key) => `v1,${createHmac('sha256', key).update(content, 'utf8').digest('base64')}`);
  return {
    'webhook-id': eventId,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signatures.join(' '),
  };
}
