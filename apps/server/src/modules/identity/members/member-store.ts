import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { Membership, User } from '../users/user.ts';

/** A membership with the account it is of. */
export type MemberRow = Pick<User, 'uid' | 'username' | 'status'> &
  Pick<Membership, 'role_ids' | 'created_at' | 'created_by'> & { home_organization: string };

const columns = `u.uid, u.username, u.status, u.organization as home_organization, m.role_ids, m.created_at, m.created_by`;

const page = {
  name: 'identity_list_members',
  text: `select ${columns} from identity.memberships m join identity.users u on u.uid = m.uid
    where m.organization = $1 and ($2::text is null or u.uid > $2) order by u.uid limit $3`,
};
/** Members of an organization by uid. */
export async function listMembers(
  tx: Reader,
  filter: { organization: string; afterUid: string | undefined; limit: number },
): Promise<MemberRow[]> {
  return named<MemberRow>(tx, page, [filter.organization, filter.afterUid ?? null, filter.limit]);
}

const find = {
  name: 'identity_get_member',
  text: `select ${columns} from identity.memberships m join identity.users u on u.uid = m.uid
    where m.organization = $1 and u.uid = $2`,
};
export async function findMemberRow(tx: Reader, organization: string, uid: string): Promise<MemberRow | undefined> {
  return (await named<MemberRow>(tx, find, [organization, uid]))[0];
}

const remove = {
  name: 'identity_delete_membership',
  text: 'delete from identity.memberships where organization = $1 and uid = $2',
};
export async function deleteMembership(tx: Tx, organization: string, uid: string): Promise<void> {
  await named(tx, remove, [organization, uid]);
}
