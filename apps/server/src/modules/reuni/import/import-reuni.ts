import { isJsonObject } from '@gatehouse/crypto';
import { type Db, isAppError, type Origin, type Tx } from '../../../kernel/index.ts';
import { type Configuration, readWritten } from '../../configuration/index.ts';
import type { Identity } from '../../identity/index.ts';
import { insertUserId } from '../ids-store.ts';
import { roleNamed } from '../rights.ts';
import { signUpOrganization } from '../sign-up.ts';
import { collisions, nameProblem, newName, type Renames } from './import-rules.ts';
import type { ReuniSource, SourceNamespace, SourceVersion } from './source.ts';

/** How an import is done. */
export interface ImportOptions {
  readonly renames: Renames;
  /** Take over the services' tokens, so that agents need nothing but the new address. */
  readonly keepTokens: boolean;
  /** Look only: say what is wrong, and write nothing. */
  readonly dryRun: boolean;
}

/** What was made; what was there from a run before is not counted. */
export interface ImportReport {
  readonly problems: readonly string[];
  readonly made: Readonly<
    Record<'organizations' | 'users' | 'members' | 'services' | 'namespaces' | 'versions', number>
  >;
}

/** Who makes all this, for the audit. */
export const importOrigin: Origin = { actor: { type: 'system', id: 'reuni-import' } };

/**
 * Brings a Reuni database over: organizations, users without passwords (the original's hashes are not taken), members,
 * services, and namespaces with all their versions in order. First everything is looked at, and with one problem nothing
 * is written. Run again it adds what is new since, until somebody publishes here.
 */
export async function importReuni(
  deps: { db: Db; identity: Identity; configuration: Configuration },
  source: ReuniSource,
  options: ImportOptions,
): Promise<ImportReport> {
  const { db, identity, configuration } = deps;
  const { renames } = options;
  const origin = importOrigin;
  const users = await source.listUsers();
  const organizations = await source.listOrganizations();
  const members = await source.listMembers();
  const services = await source.listServices();
  const namespaces = await source.listNamespaces();
  const made = { organizations: 0, users: 0, members: 0, services: 0, namespaces: 0, versions: 0 };
  const organizationName = new Map(organizations.map(({ id, name }) => [id, newName('organization', name, renames)]));
  const serviceName = (name: string) => newName('service', name, renames);
  const namesOf = (one: SourceNamespace) => ({
    organization: organizationName.get(one.organizationId) ?? '',
    service: serviceName(one.service),
    name: newName('namespace', one.name, renames),
  });

  const problems = await findProblems();
  if (problems.length > 0 || options.dryRun) return { problems, made };

  for (const organization of organizationName.values()) await importOrganization(organization);
  const uids = new Map<number, string>();
  for (const user of users) uids.set(user.id, await importUser(user));
  const uidOfName = new Map(users.map(({ id, username }) => [username, uids.get(id) ?? '']));
  for (const member of members) await importMember(member, uids);
  for (const service of services) await importService(service);
  for (const namespace of namespaces) await importNamespace(namespace, uidOfName);
  return { problems, made };

  async function findProblems(): Promise<string[]> {
    const found: (string | undefined)[] = [
      ...organizations.map(({ name }) => nameProblem('organization', name, renames)),
      ...services.map(({ name }) => nameProblem('service', name, renames)),
      ...namespaces.map(({ name }) => nameProblem('namespace', name, renames)),
      ...collisions('organization', [...organizationName.values()]),
      ...collisions(
        'user',
        users.map(({ username }) => newName('user', username, renames).toLowerCase()),
      ),
      ...collisions(
        'service',
        services.map((one) => `${organizationName.get(one.organizationId)}/${serviceName(one.name)}`),
      ),
      ...collisions(
        'namespace',
        namespaces.map((one) => Object.values(namesOf(one)).join('/')),
      ),
    ];
    const known = new Set(users.map(({ id }) => id));
    for (const { userId } of members)
      if (!known.has(userId)) found.push(`a member is the user ${userId}, who is not there`);
    await db.read(async (tx) => {
      for (const organization of organizationName.values()) {
        const present = await identity.organizations.findOrganization(tx, organization);
        if (present && present.created_by !== origin.actor.id) {
          found.push(`the organization "${organization}" is here already: add --rename 'organization:<old>=<new>'`);
        }
      }
      for (const { username } of users) {
        const name = newName('user', username, renames);
        const present = await identity.users.findUserByUsername(tx, name);
        if (present && present.created_by !== origin.actor.id) {
          found.push(`the user "${name}" is here already: add --rename 'user:${username}=<new>'`);
        }
      }
    });
    for (const namespace of namespaces) found.push(...(await namespaceProblems(namespace)));
    return found.filter((one) => one !== undefined);
  }

  async function namespaceProblems(namespace: SourceNamespace): Promise<string[]> {
    const path = `${organizationName.get(namespace.organizationId)}/${namespace.service}/${namespace.name}`;
    if (namespace.versions !== namespace.newest) {
      return [`${path} has ${namespace.versions} versions, but the newest is ${namespace.newest}: numbers are missing`];
    }
    const found: string[] = [];
    for (const version of await source.listVersions(namespace, 0)) {
      try {
        readConfiguration(version);
      } catch (error) {
        if (!isAppError(error)) throw error;
        found.push(`${path} version ${version.version}: ${error.detail}`);
      }
    }
    return found;
  }

  async function importOrganization(name: string): Promise<void> {
    await db.transaction(async (tx) => {
      if (await identity.organizations.findOrganization(tx, name)) return;
      await identity.organizations.createOrganization(tx, { name, origin });
      made.organizations += 1;
    });
  }

  async function importUser(user: { name: string; username: string }): Promise<string> {
    const username = newName('user', user.username, renames);
    return db.transaction(async (tx) => {
      const present = await identity.users.findUserByUsername(tx, username);
      if (present) return present.uid;
      const { uid } = await identity.users.createUser(tx, {
        organization: signUpOrganization,
        username,
        roles: [],
        granter: 'system',
        origin,
      });
      await insertUserId(tx, uid, user.name.slice(0, 256) || username);
      made.users += 1;
      return uid;
    });
  }

  async function importMember(
    { organizationId, userId, role }: { organizationId: number; userId: number; role: string },
    uids: ReadonlyMap<number, string>,
  ): Promise<void> {
    const [organization, uid, name] = [organizationName.get(organizationId), uids.get(userId), roleNamed(role)];
    if (organization === undefined || uid === undefined || name === undefined) return;
    await db.transaction(async (tx) => {
      if (await identity.users.findMembership(tx, organization, uid)) return;
      await identity.users.addMember(tx, { organization, uid, roles: [name], granter: 'system', origin });
      made.members += 1;
    });
  }

  async function importService(service: { organizationId: number; name: string; token: string }): Promise<void> {
    const [organization = '', name] = [organizationName.get(service.organizationId), serviceName(service.name)];
    await db.transaction(async (tx) => {
      if (await identity.services.findService(tx, organization, name)) return;
      const settings = { authentication: 'none' } as const;
      const change = { organization, name, settings, granter: 'system', origin } as const;
      const { service: created } = await identity.services.createService(tx, change);
      await configuration.agents.tokens.createServiceToken(tx, {
        service: created,
        name: 'reuni',
        mayEnrol: false,
        origin,
        authorizationToken: options.keepTokens ? service.token : undefined,
      });
      made.services += 1;
    });
  }

  async function importNamespace(namespace: SourceNamespace, uidOfName: ReadonlyMap<string, string>): Promise<void> {
    const target = namesOf(namespace);
    const latest = await db.transaction((tx) => ensureNamespace(tx, target));
    for (const version of await source.listVersions(namespace, latest)) {
      await db.transaction(async (tx) => {
        const found = await configuration.namespaces.getNamespace(tx, target);
        await configuration.versions.publishVersion(tx, {
          namespace: found,
          // The original takes any number for a parent.
          parentVersion: version.parent > 0 && version.parent < version.version ? version.parent : 0,
          allowOlderParent: true,
          configuration: readConfiguration(version),
          message: messageOf(version),
          author: uidOfName.get(version.author),
          origin: { ...origin, organization: target.organization },
        });
      });
      made.versions += 1;
    }
  }

  async function ensureNamespace(
    tx: Tx,
    target: { organization: string; service: string; name: string },
  ): Promise<number> {
    const { organization, service } = target;
    const page = { afterName: undefined, limit: 10_000 };
    const present = (await configuration.namespaces.listNamespaces(tx, organization, service, page)).find(
      ({ name }) => name === target.name,
    );
    if (present) return present.latestVersion;
    await configuration.namespaces.createNamespace(tx, { ...target, origin: { ...origin, organization } });
    made.namespaces += 1;
    return 0;
  }
}

function readConfiguration({ configuration }: SourceVersion) {
  return readWritten(isJsonObject(configuration) ? configuration : {});
}

function messageOf({ author, at }: SourceVersion): string {
  return `Imported from Reuni: published by ${author || 'somebody'} at ${at || 'an unknown time'}`.slice(0, 500);
}
