import { createRequire } from 'node:module';
import { AppError } from '../../../kernel/index.ts';

/**
 * What a new password has to be (NIST SP 800-63B-4 §3.1.1.2): long, and not one that is guessed first. No composition
 * rules and no forced change. Judged is the normalised password (NFKC), which is also what is hashed.
 */
export const passwordPolicy = { minCharacters: 15, maxCharacters: 256, maxBytes: 1024 } as const;

/** A password below this many bits by {@link guessBits} is among the first that are tried. */
const minBits = 35;

/** The form that is hashed and compared: NFKC, so that one password typed on two keyboards is one password. */
export function normalizePassword(password: string): string {
  return password.normalize('NFKC');
}

/**
 * Refuses a password that breaks the policy, with the reason. `context` are words an attacker would try with this
 * account: the user name, the organization.
 */
export function assertPassword(password: string, context: readonly string[], field = 'password'): void {
  const broken = judgePassword(password, context);
  if (!broken) return;
  throw new AppError('identity.password_refused', {
    detail: `The password ${broken.rule}.`,
    errors: [{ field, ...broken }],
  });
}

/** The rule a password breaks and the fix; undefined when it is fine. */
export function judgePassword(password: string, context: readonly string[]): { rule: string; fix: string } | undefined {
  const { minCharacters, maxCharacters, maxBytes } = passwordPolicy;
  if (!password.isWellFormed()) return { rule: 'is not valid Unicode', fix: 'type it again' };
  const normalized = normalizePassword(password);
  const characters = Array.from(normalized).length;
  if (characters < minCharacters) {
    return { rule: `has fewer than ${minCharacters} characters`, fix: 'use a sentence or several unrelated words' };
  }
  if (characters > maxCharacters || Buffer.byteLength(normalized) > maxBytes) {
    return { rule: `is longer than ${maxCharacters} characters or ${maxBytes} bytes`, fix: 'shorten it' };
  }
  const folded = normalized.toLowerCase();
  const fix = 'use several unrelated words, or a password manager';
  if (commonPasswords().has(folded) || commonPasswords().has(unleet(folded))) {
    return { rule: 'is on the list of common and breached passwords', fix };
  }
  const words = contextWords(context);
  if (guessBits(folded, words) >= minBits && guessBits(unleet(folded), words) >= minBits) return undefined;
  return words.some((word) => folded.includes(word) || unleet(folded).includes(word))
    ? { rule: 'is made of the user name, the organization, the word gatehouse or other words tried first', fix }
    : { rule: 'is made of common passwords, repetitions or sequences', fix };
}

const sequences = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'qwertzuiopü',
  'azertyuiop',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm',
  '1q2w3e4r5t6y7u8i9o0p',
  'qazwsxedcrfvtgbyhnujm',
].flatMap((row) => [row, Array.from(row).toReversed().join('')]);

const repeatedBits = 1;
const contextBits = 2;
const sequenceBits = 5;

/**
 * How many guesses, as a power of two, an attacker needs who tries what people use: context words, the list of common
 * passwords by rank, sequences of the alphabet and the keyboard, repetitions, and single characters for the rest.
 * The cheapest way to build the text counts.
 */
export function guessBits(text: string, context: readonly string[]): number {
  const characters = Array.from(text.slice(0, 512));
  const prefixes = [''];
  for (const character of characters) prefixes.push((prefixes.at(-1) ?? '') + character);
  const best: number[] = [0];
  for (let end = 1; end <= characters.length; end += 1) {
    let least = (best[end - 1] ?? 0) + characterBits(characters, end - 1);
    for (let start = Math.max(0, end - 32); start <= end - 3; start += 1) {
      const before = prefixes[start] ?? '';
      const bits = wordBits(before, (prefixes[end] ?? '').slice(before.length), context);
      if (bits !== undefined) least = Math.min(least, (best[start] ?? 0) + bits);
    }
    best.push(least);
  }
  return Math.min(best.at(-1) ?? 0, wholeRepetitionBits(characters, best));
}

function characterBits(characters: readonly string[], index: number): number {
  const character = characters[index] ?? '';
  if (character === characters[index - 1]) return repeatedBits;
  if (/[a-z]/.test(character)) return 4.7;
  if (/[0-9]/.test(character)) return 3.3;
  // A separator costs once: between further words it is no news.
  return characters.indexOf(character) < index ? repeatedBits : 6;
}

function wordBits(before: string, word: string, context: readonly string[]): number | undefined {
  if (before.includes(word)) return repeatedBits;
  if (context.includes(word)) return contextBits;
  if (word.length < 4) return undefined;
  if (sequences.some((sequence) => sequence.includes(word))) return sequenceBits;
  const rank = commonPasswords().get(word);
  return rank === undefined ? undefined : Math.log2(rank + 2);
}

/** The whole text as one unit said again and again, also when the last time is cut short. */
function wholeRepetitionBits(characters: readonly string[], best: readonly number[]): number {
  for (let unit = 1; unit <= characters.length / 2; unit += 1) {
    if (characters.every((character, index) => character === characters[index % unit])) {
      return (best[unit] ?? 0) + Math.log2(characters.length);
    }
  }
  return Number.POSITIVE_INFINITY;
}

const leet: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
};

/** The usual replacements taken back: `p@ssw0rd` is `password`. */
function unleet(text: string): string {
  return text.replace(/[0134577@$!]/g, (character) => leet[character] ?? character);
}

function contextWords(context: readonly string[]): string[] {
  const words = ['gatehouse', ...context].map((word) => word.normalize('NFKC').toLowerCase());
  return [...new Set([...words, ...words.flatMap((word) => word.split(/[^\p{L}\p{N}]+/u))])].filter(
    (word) => word.length >= 3,
  );
}

let ranks: ReadonlyMap<string, number> | undefined;

/** The list by rank, read at the first use: 49,000 passwords most seen in breaches (zxcvbn-ts, MIT). */
function commonPasswords(): ReadonlyMap<string, number> {
  ranks ??= new Map(
    (createRequire(import.meta.url)('@zxcvbn-ts/language-common/src/passwords.json') as string[]).map((word, rank) => [
      word,
      rank,
    ]),
  );
  return ranks;
}
