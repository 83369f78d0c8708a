import type { Reader, Tx } from '../../kernel/index.ts';
import type { Identity } from '../identity/index.ts';
import { takeOrganizationIds, takeUserIds } from './ids-store.ts';
import { type ReuniRole, roleOf } from './rights.ts';
import { signUpOrganization } from './sign-up.ts';

/** A user as the original shows it. */
export interface ShownUser {
  readonly id: number;
  readonly uid: string;
  readonly name: string;
  readonly username: string;
}

type MemberRow = Awaited<ReturnType<Identity['members']['listMembers']>>[number];

/** Users and organizations by the original's integers, and by what people call them. */
export function createDirectory({ identity }: { identity: Identity }) {
  const { members, roles, users } = identity;

  const listAll = async (tx: Reader, organization: string): Promise<MemberRow[]> => {
    const all: MemberRow[] = [];
    const limit = 500;
    for (let count = limit; count === limit; ) {
      const page = await members.listMembers(tx, { organization, afterUid: all.at(-1)?.uid, limit });
      all.push(...page);
      count = page.length;
    }
    return all;
  };

  const show = async (tx: Tx, found: readonly Pick<MemberRow, 'uid' | 'username'>[]): Promise<ShownUser[]> => {
    const ids = await takeUserIds(
      tx,
      found.map(({ uid }) => uid),
    );
    return found
      .map(({ uid, username }) => {
        const { id = 0, name = null } = ids.get(uid) ?? {};
        return { id, uid, username, name: name ?? username };
      })
      .sort((a, b) => a.id - b.id);
  };

  return {
    /** The integer of an organization. */
    async organizationId(tx: Tx, organization: string): Promise<number> {
      return (await takeOrganizationIds(tx, [organization])).get(organization) ?? 0;
    },

    /** Active accounts that a caller may see: who signed up here, and who shares an organization with the caller. */
    async listVisibleUsers(tx: Tx, uid: string): Promise<ShownUser[]> {
      const visible = new Map<string, MemberRow>();
      const own = (await users.listMemberships(tx, uid)).map(({ organization }) => organization);
      for (const organization of new Set([signUpOrganization, ...own])) {
        for (const member of await listAll(tx, organization)) {
          if (member.status === 'active') visible.set(member.uid, member);
        }
      }
      return show(tx, [...visible.values()]);
    },

    /** The members of an organization who have a role of the original there. */
    async listMembers(tx: Tx, organization: string): Promise<(ShownUser & { role: ReuniRole; since: Date })[]> {
      const rows = new Map<string, { role: ReuniRole; since: Date; username: string }>();
      for (const { uid, username, role_ids, created_at } of await listAll(tx, organization)) {
        const role = roleOf(await roles.resolve(tx, organization, role_ids));
        if (role !== undefined) rows.set(uid, { role, since: created_at, username });
      }
      const shown = await show(
        tx,
        [...rows].map(([uid, { username }]) => ({ uid, username })),
      );
      return shown.flatMap((user) => {
        const row = rows.get(user.uid);
        return row ? [{ ...user, role: row.role, since: row.since }] : [];
      });
    },

    /** Where the caller has a role of the original, with the integers of those organizations. */
    async listOrganizations(tx: Tx, uid: string): Promise<{ id: number; name: string; role: ReuniRole }[]> {
      const found: { name: string; role: ReuniRole }[] = [];
      for (const { organization, role_ids } of await users.listMemberships(tx, uid)) {
        const role = roleOf(await roles.resolve(tx, organization, role_ids));
        if (role !== undefined) found.push({ name: organization, role });
      }
      const ids = await takeOrganizationIds(
        tx,
        found.map(({ name }) => name),
      );
      return found.map(({ name, role }) => ({ id: ids.get(name) ?? 0, name, role })).sort((a, b) => a.id - b.id);
    },

    /** User names of those who did something, as the original says it; others (services, the system) by their id. */
    async namesOf(tx: Reader, ids: readonly string[]): Promise<Map<string, string>> {
      const names = new Map<string, string>();
      for (const id of new Set(ids)) names.set(id, (await users.findUser(tx, id))?.username ?? id);
      return names;
    },
  };
}

/** Users and organizations as the original shows them. */
export type Directory = ReturnType<typeof createDirectory>;
