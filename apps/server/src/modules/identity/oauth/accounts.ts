import type { Account, FindAccount } from 'oidc-provider';
import type { Db, Reader } from '../../../kernel/index.ts';
import { operatorOrganization } from '../deps.ts';
import type { ResolvedRoles } from '../roles/role.ts';
import type { Roles } from '../roles/role-service.ts';
import { findMember, type MemberRow } from '../tokens/subject-store.ts';
import type { OAuthClient } from './clients/client.ts';
import type { ClientCache } from './clients/client-cache.ts';

/** A user as the subject of a client's tokens. */
export interface ClientUser {
  readonly uid: string;
  readonly username: string;
  /** The organization the user acts in: the client's; for Gatehouse's own applications the user's. */
  readonly organization: string;
  readonly roles: ResolvedRoles;
}

/** Finds users for clients: active, and members of the client's organization. */
export function createClientUsers(deps: { db: Db; roles: Pick<Roles, 'resolve'>; clients: Pick<ClientCache, 'find'> }) {
  const { db, roles, clients } = deps;

  const find = async (uid: string, client: OAuthClient): Promise<ClientUser | undefined> =>
    db.read(async (tx) => {
      const user = await findMemberFor(tx, uid, client);
      if (!user) return undefined;
      const organization = user.organization;
      const resolved = await roles.resolve(tx, organization, user.roleIds);
      return { uid, username: user.username, organization, roles: resolved };
    });

  /** oidc-provider's `findAccount`: undefined also for a user who may not use the client. */
  const findAccount: FindAccount = async (ctx, uid) => {
    const clientId = ctx.oidc.client?.clientId;
    const client = clientId === undefined ? undefined : await clients.find(clientId);
    const user = client && (await find(uid, client));
    return user && toAccount(user);
  };
  return { find, findAccount };
}

export type ClientUsers = ReturnType<typeof createClientUsers>;

function toAccount(user: ClientUser): Account {
  return {
    accountId: user.uid,
    claims: () => ({
      sub: user.uid,
      preferred_username: user.username,
      org: user.organization,
      roles: [...user.roles.names],
    }),
  };
}

/** The membership by which a user may use a client. */
export async function findMemberFor(
  tx: Reader,
  uid: string,
  client: Pick<OAuthClient, 'organization' | 'firstParty'>,
): Promise<{ username: string; organization: string; roleIds: readonly string[] } | undefined> {
  const member = await findMember(tx, uid, client.organization);
  if (!member?.active) return undefined;
  if (member.role_ids) return usable(member, client.organization);
  // Gatehouse's own applications (the portal) serve the users of every organization.
  if (client.organization !== operatorOrganization || !client.firstParty) return undefined;
  const atHome = await findMember(tx, uid, member.home);
  return atHome && usable(atHome, member.home);
}

function usable(member: MemberRow, organization: string) {
  return member.role_ids === null ? undefined : { username: member.username, organization, roleIds: member.role_ids };
}
