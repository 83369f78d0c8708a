import { invalidField } from '../../../kernel/index.ts';

/** A uid the caller gives: printable ASCII without spaces, so that it is one thing in URLs, tokens and logs. */
export const uidPattern = '^[A-Za-z0-9][A-Za-z0-9._:@+|~-]{0,127}$';

/** Names with a meaning of their own: client of headless sessions, actors of the audit. */
const reservedUids = new Set(['gatehouse', 'system', 'anonymous']);

/** Refuses a uid that could be mistaken for another kind of subject. */
export function assertUid(uid: string): void {
  if (!new RegExp(uidPattern).test(uid)) {
    throw invalidField('uid', 'has characters or a length that a uid cannot have', `use the form ${uidPattern}`);
  }
  if (reservedUids.has(uid.toLowerCase())) throw invalidField('uid', 'is reserved', 'choose another one');
}

/** Most characters of a user name. */
export const maxUsernameCharacters = 128;

/** Refuses a user name that people could not see or type, or that is not in its normal form. */
export function assertUsername(username: string): void {
  const problem = usernameProblem(username);
  if (problem) throw invalidField('username', problem, 'use letters, digits, punctuation and single spaces inside');
}

function usernameProblem(username: string): string | undefined {
  if (!username.isWellFormed()) return 'is not valid Unicode';
  const characters = Array.from(username.normalize('NFKC')).length;
  if (characters < 1 || characters > maxUsernameCharacters)
    return `does not have 1 to ${maxUsernameCharacters} characters`;
  if (username !== username.trim() || /\s\s/u.test(username)) return 'has spaces at an end or several in a row';
  // Control, format, private and unassigned characters, line breaks, and what fonts do not show.
  if (/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(username))
    return 'has characters that cannot be seen';
  return undefined;
}

/**
 * What has to be unique: NFKC and folded case (over upper case, so that ß and ss are one). Empty for a text that
 * cannot be a user name; nobody has that key.
 */
export function usernameKey(username: string): string {
  if (usernameProblem(username) !== undefined) return '';
  return username.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
}
