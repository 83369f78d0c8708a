import type { JsonObject, JsonValue } from '@gatehouse/contracts';
import { isCryptoError, isJsonObject, parseJsonStrict } from '@gatehouse/crypto';
import { AppError, maxBodyBytes, maxBodyDepth } from '../../kernel/index.ts';

/** A request that is not right, with the message the original gives or should have given. */
export function badRequest(message: string): AppError {
  return new AppError('kernel.invalid_request', { detail: message });
}

/**
 * Reads a body. The original's clients send JSON under any content type or none, so that is not looked at; members that
 * are not known are ignored, as the original does.
 */
export function readBody(body: unknown): JsonObject {
  const text = typeof body === 'string' ? body : '';
  if (text === '') throw badRequest('The body is empty: send a JSON object');
  let value: JsonValue;
  try {
    value = parseJsonStrict(text, { maxDepth: maxBodyDepth, maxBytes: maxBodyBytes });
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    throw badRequest(`The body is not JSON: ${error.message}`);
  }
  if (!isJsonObject(value)) throw badRequest('The body is not a JSON object');
  return value;
}

/** A text member; empty when it is absent. Anything but text is refused. */
export function textOf(body: JsonObject, field: string): string {
  const value = body[field] ?? '';
  if (typeof value !== 'string') throw badRequest(`${field} must be a text`);
  return value;
}

/** A whole number of the size the original's columns have; 0 when it is absent. */
export function integerOf(body: JsonObject, field: string): number {
  const value = body[field] ?? 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) > 2_147_483_647) {
    throw badRequest(`${field} must be a whole number`);
  }
  return value;
}
