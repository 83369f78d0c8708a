import { AppError, type Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { operatorOrganization } from '../deps.ts';
import { assertCovers } from '../roles/role-rules.ts';
import type { Roles } from '../roles/role-service.ts';
import type { SessionEnding } from '../sessions/session-ending.ts';
import type { Membership } from '../users/user.ts';
import type { UserChange, Users } from '../users/user-service.ts';
import { countOtherOperators, findMembership, findUserForUpdate, lockOperators } from '../users/user-store.ts';
import { deleteMembership, listMembers } from './member-store.ts';

/** Who is a member of an organization, whichever organization has the account. */
export interface Members {
  /**
   * Makes an existing account a member. An account of another organization is named by its uid, and is as if it were
   * not there unless it is active: nothing about it is told but that it can be added.
   */
  addMember(tx: Tx, change: UserChange & { roles: readonly string[] }): Promise<Membership>;
  /** Members by uid, a page. */
  listMembers: typeof listMembers;
  /** Ends a membership and the user's sessions in this organization. The organization that has the account keeps it. */
  removeMember(tx: Tx, change: UserChange): Promise<void>;
}

/** Creates the membership service. */
export function createMembers(deps: {
  audit: Pick<Audit, 'append'>;
  users: Pick<Users, 'addMember' | 'getMember'>;
  roles: Pick<Roles, 'grantable' | 'resolve'>;
  ending: Pick<SessionEnding, 'endAllOfUser'>;
}): Members {
  const { audit, users, roles, ending } = deps;
  return {
    listMembers,
    async addMember(tx, change) {
      const { organization, uid, granter } = change;
      if (organization === operatorOrganization) assertCovers(granter, { permissions: [], operator: true });
      const user = await findUserForUpdate(tx, uid);
      const present = await findMembership(tx, organization, uid);
      const isVisible = user && (present || user.organization === organization || user.status === 'active');
      if (!isVisible) throw new AppError('kernel.not_found', { detail: 'There is no user with this uid.' });
      if (present) {
        throw new AppError('identity.member_exists', { detail: 'Change the roles with PATCH /v1/members/{uid}.' });
      }
      await roles.grantable(tx, { organization, names: change.roles, granter });
      return users.addMember(tx, { ...change, granter: 'system' });
    },
    async removeMember(tx, change) {
      const { organization, uid, granter, origin } = change;
      await users.getMember(tx, organization, uid);
      const user = await findUserForUpdate(tx, uid);
      // Once more behind the lock: somebody may have removed it, or given it other roles.
      const { membership } = await users.getMember(tx, organization, uid);
      if (user?.organization === organization) {
        throw new AppError('identity.home_organization', {
          detail: `The account belongs to ${organization}: suspend or archive the user instead.`,
        });
      }
      const before = await roles.resolve(tx, organization, membership.role_ids);
      assertCovers(granter, before);
      if (before.operator && user?.status === 'active') {
        await lockOperators(tx);
        if ((await countOtherOperators(tx, uid)) === 0) {
          throw new AppError('identity.last_operator', {
            detail: 'This is the last active operator. Make another user of gatehouse an admin first.',
          });
        }
      }
      await deleteMembership(tx, organization, uid);
      await ending.endAllOfUser(tx, { userId: uid, organization, reason: 'member.removed', origin });
      await audit.append(tx, {
        action: 'member.removed',
        organization,
        origin,
        target: { type: 'user', id: uid },
        details: { roles: [...before.names] },
      });
    },
  };
}
