import { named, type Reader, type Tx } from '../../kernel/index.ts';

/** A user as the original's clients know it. */
export interface UserId {
  readonly id: number;
  readonly uid: string;
  readonly name: string | null;
}

const findUsers = {
  name: 'reuni_find_user_ids',
  text: 'select id, uid, name from reuni.users where uid = any($1)',
};
const insertUsers = {
  name: 'reuni_insert_user_ids',
  text: `insert into reuni.users (uid) select uid from unnest($1::text[]) as uid order by uid on conflict (uid) do nothing`,
};
/** The integers of users; those who have none get one. */
export async function takeUserIds(tx: Tx, uids: readonly string[]): Promise<Map<string, UserId>> {
  let rows = await named<UserId>(tx, findUsers, [uids]);
  if (rows.length < new Set(uids).size) {
    await named(tx, insertUsers, [uids]);
    rows = await named<UserId>(tx, findUsers, [uids]);
  }
  return new Map(rows.map((row) => [row.uid, row]));
}

const insertNamed = {
  name: 'reuni_insert_user',
  text: `insert into reuni.users (uid, name) values ($1, $2)
    on conflict (uid) do update set name = excluded.name returning id`,
};
/** Gives a user an integer, with the name told at sign-up. */
export async function insertUserId(tx: Tx, uid: string, name: string): Promise<void> {
  await named(tx, insertNamed, [uid, name]);
}

const findUser = { name: 'reuni_find_user_by_id', text: 'select uid from reuni.users where id = $1' };
export async function findUidById(tx: Reader, id: number): Promise<string | undefined> {
  return (await named<{ uid: string }>(tx, findUser, [id]))[0]?.uid;
}

const findOrganizations = {
  name: 'reuni_find_organization_ids',
  text: 'select id, organization from reuni.organizations where organization = any($1)',
};
const insertOrganizations = {
  name: 'reuni_insert_organization_ids',
  text: `insert into reuni.organizations (organization) select name from unnest($1::text[]) as name order by name
    on conflict (organization) do nothing`,
};
/** The integers of organizations; those that have none get one. */
export async function takeOrganizationIds(tx: Tx, organizations: readonly string[]): Promise<Map<string, number>> {
  const find = () => named<{ id: number; organization: string }>(tx, findOrganizations, [organizations]);
  let rows = await find();
  if (rows.length < new Set(organizations).size) {
    await named(tx, insertOrganizations, [organizations]);
    rows = await find();
  }
  return new Map(rows.map((row) => [row.organization, row.id]));
}
