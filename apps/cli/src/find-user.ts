import type { JsonObject } from '@gatehouse/contracts';
import type { Api } from './api.ts';
import { CliError, ServerRefusal } from './errors.ts';
import { text } from './values.ts';

/** The user of this uid, else of this user name, in the organization of the call. */
export async function findUser(api: Pick<Api, 'call' | 'list' | 'organization'>, user: string): Promise<JsonObject> {
  try {
    return await api.call(`/v1/users/${encodeURIComponent(user)}`);
  } catch (error) {
    // 400: no uid has this form, but a user name may.
    if (!(error instanceof ServerRefusal) || ![400, 404].includes(error.status)) throw error;
  }
  const wanted = user.normalize('NFKC').toLowerCase();
  const candidates = await api.list('/v1/users', { query: { username: user }, limit: 200 });
  const found = candidates.find((one) => text(one, 'username').normalize('NFKC').toLowerCase() === wanted);
  if (found) return found;
  throw new CliError('cli.not_found', `There is no user with the uid or user name "${user}" in this organization.`, {
    fix: 'look it up with: gatehouse users list',
  });
}
