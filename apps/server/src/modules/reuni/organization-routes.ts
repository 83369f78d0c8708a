import { AppError, type Db, isAppError } from '../../kernel/index.ts';
import type { Identity } from '../identity/index.ts';
import { created, done, inWords } from './answer.ts';
import { badRequest, integerOf, textOf } from './body.ts';
import type { Directory } from './directory.ts';
import { findUidById } from './ids-store.ts';
import { assertName } from './names.ts';
import { roleNamed } from './rights.ts';
import type { Routes } from './route.ts';
import type { SignUp } from './sign-up.ts';

/** `/organization` and `/:organization/member`. */
export function organizationRoutes(
  routes: Routes,
  { db, identity, signUp, directory }: { db: Db; identity: Identity; signUp: SignUp; directory: Directory },
): void {
  routes.user({
    method: 'GET',
    path: '/organization',
    operationId: 'reuniListOrganizations',
    summary: 'The caller’s organizations',
    async handle({ who }) {
      return { status: 200, json: await db.transaction((tx) => directory.listOrganizations(tx, who.uid)) };
    },
  });

  routes.user({
    method: 'POST',
    path: '/organization',
    operationId: 'reuniCreateOrganization',
    summary: 'Make an organization; its maker becomes its Admin',
    async handle({ who, body }) {
      const name = textOf(body(), 'name');
      if (name === '') throw badRequest('Name cannot be empty');
      assertName(name, 'Organization');
      const { uid, origin } = who;
      const making = signUp.createOrganization({ name, uid, origin: { ...origin, organization: name } });
      await inWords(['identity.organization_exists'], 'Already Exists', making);
      return created;
    },
  });

  routes.member('read', {
    method: 'GET',
    path: '/:organization/member',
    operationId: 'reuniListMembers',
    summary: 'Members with their roles',
    async handle({ who }) {
      const members = await db.transaction((tx) => directory.listMembers(tx, who.organization));
      const listed = members.map(({ id, name, username, role, since }) => ({
        id,
        name,
        username,
        role,
        created_at: since.toISOString(),
      }));
      return { status: 200, json: listed.length === 0 ? null : listed };
    },
  });

  routes.member('manage', {
    method: 'POST',
    path: '/:organization/member',
    operationId: 'reuniAddMember',
    summary: 'Make somebody who signed up a member',
    async handle({ who, body }) {
      const sent = body();
      const [id, role] = [integerOf(sent, 'user_id'), roleNamed(textOf(sent, 'role'))];
      if (role === undefined) throw badRequest('Role is not valid');
      const { organization, granter, origin } = who;
      await db.transaction(async (tx) => {
        const uid = await findUidById(tx, id);
        // The integers can be counted through: only who signed up here is in reach, as in the list of users.
        if (uid === undefined || !(await signUp.isInPool(tx, uid))) throw noUser();
        await identity.members.addMember(tx, { organization, uid, roles: [role], granter, origin });
      });
      return created;
    },
  });

  routes.member('manage', {
    method: 'PATCH',
    path: '/:organization/member',
    operationId: 'reuniUpdateMember',
    summary: 'Give a member another role',
    async handle({ who, body }) {
      const sent = body();
      const [id, role] = [integerOf(sent, 'user_id'), roleNamed(textOf(sent, 'role'))];
      if (role === undefined) throw badRequest('New role is not valid');
      const { organization, granter, origin } = who;
      await db.transaction(async (tx) => {
        const uid = await findUidById(tx, id);
        if (uid === undefined) throw noUser();
        await identity.users.setRoles(tx, { organization, uid, roles: [role], granter, origin });
      });
      return done;
    },
  });

  routes.member('manage', {
    method: 'DELETE',
    path: '/:organization/member',
    operationId: 'reuniRemoveMember',
    summary: 'End a membership',
    async handle({ who, body }) {
      const id = integerOf(body(), 'user_id');
      const { organization, granter, origin } = who;
      try {
        await db.transaction(async (tx) => {
          const uid = await findUidById(tx, id);
          if (uid !== undefined) await identity.members.removeMember(tx, { organization, uid, granter, origin });
        });
      } catch (error) {
        // As the original: who is no member is no member afterwards.
        if (!isAppError(error, 'kernel.not_found')) throw error;
      }
      return done;
    },
  });
}

function noUser(): AppError {
  return new AppError('kernel.not_found', { detail: 'There is no user with this user_id' });
}
