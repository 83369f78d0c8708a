import { createHash } from 'node:crypto';
import { canonicalJson, isJsonObject, type JsonObject } from '@gatehouse/crypto';

/** A line of the export that has the form of an entry. Whether it is true is another question. */
export interface ChainLine {
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
  /** Every member but `hash`: what the hash is taken over. */
  readonly content: JsonObject;
}

/** The hash before the first entry, and before the first checkpoint. */
export const zeroHash: string = '0'.repeat(64);
/** The format versions this program can verify. */
const knownVersions: readonly unknown[] = [1];
/** Longest line looked at, characters; an entry is far below it. */
const maxLineLength = 256 * 1024;

/** Reads a line. It must be the canonical JSON of an object, byte by byte; otherwise the text says what is wrong. */
export function readChainLine(text: string): ChainLine | string {
  if (text.length > maxLineLength) return `the line is longer than ${maxLineLength} characters`;
  let value: unknown;
  try {
    value = JSON.parse(text);
    if (canonicalJson(value) !== text) return 'the line is not in canonical form (RFC 8785)';
  } catch {
    return 'the line is not JSON';
  }
  if (!isJsonObject(value)) return 'the line is not a JSON object';
  const { hash, ...content } = value;
  const { sequence, previous_hash: previousHash, version } = content;
  if (!knownVersions.includes(version)) return 'its format version is not known; is there a newer gatehouse program?';
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 1)
    return 'its sequence is not a whole number from 1';
  if (!isHash(previousHash) || !isHash(hash))
    return 'its hash or previous_hash is not 64 lower-case hexadecimal digits';
  return { sequence, previousHash, hash, content };
}

/** The hash of an entry's content, at the place the content names or at another one. */
export function hashOf(content: JsonObject, place?: { sequence: number; previousHash: string }): string {
  return sha256(
    canonicalJson(place ? { ...content, sequence: place.sequence, previous_hash: place.previousHash } : content),
  );
}

/** True for 64 lower-case hexadecimal digits. */
export function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** SHA-256 of the text in UTF-8, as 64 lower-case hexadecimal digits. */
export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
