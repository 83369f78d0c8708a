import { readFile } from 'node:fs/promises';

/**
 * The number of a user (`/etc/passwd`) or group (`/etc/group`), given by name or number; undefined when there is none.
 * Accounts of directory services are given by number: asking for them needs the C library.
 */
export async function accountNumber(kind: 'owner' | 'group', name: string): Promise<number | undefined> {
  if (/^\d{1,10}$/.test(name)) return Number(name) < 2 ** 32 - 1 ? Number(name) : undefined;
  const text = await readFile(kind === 'owner' ? '/etc/passwd' : '/etc/group', 'utf8').catch(() => '');
  const line = text.split('\n').find((each) => each.startsWith(`${name}:`));
  const number = line?.split(':')[2];
  return number !== undefined && /^\d+$/.test(number) ? Number(number) : undefined;
}
