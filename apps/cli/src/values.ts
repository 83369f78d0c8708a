import type { JsonObject } from '@gatehouse/contracts';

/** Control characters would let a name from the server steer the terminal (CWE-150). */
export function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- removing them is the point
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}

/** A member of an answer as text for people: lists joined, absent ones empty, nothing that steers a terminal. */
export function text(object: JsonObject, name: string): string {
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return oneLine(value);
  if (Array.isArray(value))
    return value.map((item) => (typeof item === 'string' ? oneLine(item) : JSON.stringify(item))).join(', ');
  return JSON.stringify(value);
}

/** `1 key`, `2 keys`. */
export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}

/** Collects an option that may be given several times. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}
