import type { JsonObject } from '@gatehouse/contracts';
import type { Api } from '../api.ts';
import { text } from '../values.ts';

/** Most names that are asked for: a list is to be read soon, and the uid says it too. */
const maxNames = 20;

/** User names of those who made versions, by uid, as far as the caller may see them. */
export async function namesOf(api: Pick<Api, 'call'>, versions: readonly JsonObject[]): Promise<Map<string, string>> {
  const uids = [...new Set(versions.map((version) => text(version, 'created_by')))].filter((id) =>
    id.startsWith('usr_'),
  );
  const found = await Promise.allSettled(uids.slice(0, maxNames).map((uid) => api.call(`/v1/users/${uid}`)));
  return new Map(
    found.flatMap((one) => (one.status === 'fulfilled' ? [[text(one.value, 'uid'), text(one.value, 'username')]] : [])),
  );
}
