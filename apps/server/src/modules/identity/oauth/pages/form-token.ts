import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Tokens against forged forms: an HMAC over the interaction's id and the step. Only a page that we sent to the browser
 * that holds the interaction's cookie can carry it.
 */
export function createFormTokens(formKey: () => Uint8Array) {
  const make = (uid: string, step: string) =>
    createHmac('sha256', formKey()).update('form\0').update(uid).update('\0').update(step).digest('base64url');
  return {
    make,
    isToken(uid: string, step: string, token: unknown): boolean {
      if (typeof token !== 'string') return false;
      const [given, expected] = [Buffer.from(token), Buffer.from(make(uid, step))];
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}

export type FormTokens = ReturnType<typeof createFormTokens>;
