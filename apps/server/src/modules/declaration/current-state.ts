import type { Declaration, DeclaredOrganization, JsonObject } from '@gatehouse/contracts';
import { AppError, type Reader, type Tx } from '../../kernel/index.ts';
import type { Identity, Role, Service, User } from '../identity/index.ts';
import type { Secrets } from '../secrets/index.ts';
import { type CurrentNamespace, type NamespaceSources, readNamespaces } from './namespace-state.ts';
import { type CurrentWebhook, readWebhooks, type WebhookTargets } from './webhook-steps.ts';

/** A service as it is, in the words of the declaration. */
export interface CurrentService {
  /** Fields of the declaration by their names there. */
  readonly fields: JsonObject;
  /** True when the declared client secret is one of its living secrets; true without a declared one. */
  readonly secretMatches: boolean;
  /** Its namespaces by name; read when the declaration says something of them. */
  readonly namespaces: ReadonlyMap<string, CurrentNamespace>;
}

/** A role as it is; by its full name. */
export interface CurrentRole {
  readonly permissions: readonly string[];
  readonly builtIn: boolean;
}

/** An account as it is in one organization. */
export interface CurrentUser {
  readonly uid: string;
  readonly username: string;
  /** The organization that administers the account. */
  readonly organization: string;
  readonly status: 'active' | 'archived' | 'deactivated';
  /** False when the account is another organization's and not yet a member of this one. */
  readonly member: boolean;
  /** Full names of its roles in this organization. */
  readonly roles: readonly string[];
}

/** An organization as it is. */
export interface CurrentOrganization {
  /** False when only accounts of its declared user names exist, in other organizations. */
  readonly exists: boolean;
  readonly services: ReadonlyMap<string, CurrentService>;
  readonly roles: ReadonlyMap<string, CurrentRole>;
  /** Accounts of the declared user names. */
  readonly users: ReadonlyMap<string, CurrentUser>;
  /** Members that the declaration does not name; read only to prune. */
  readonly others: readonly CurrentUser[];
}

/** A trusted issuer as it is. */
export interface CurrentIssuer {
  readonly issuer: string;
  readonly jwks_uri: string;
  readonly algorithms: readonly string[];
  readonly audiences: readonly string[];
}

/** What exists of what a declaration names. */
export interface CurrentState {
  readonly organizations: ReadonlyMap<string, CurrentOrganization>;
  readonly issuers: ReadonlyMap<string, CurrentIssuer>;
  readonly webhooks: readonly CurrentWebhook[];
}

/** The parts of the modules below that say what exists. */
export interface StateSources {
  readonly identity: Pick<Identity, 'organizations' | 'services' | 'roles' | 'users'>;
  readonly issuers: Pick<Secrets['issuers'], 'list'>;
  readonly configuration: NamespaceSources;
  readonly webhooks: Pick<WebhookTargets, 'listWebhooks' | 'secretMatches'>;
}

/** Rows read at a time. */
const pageSize = 500;

/** Reads what exists of what the declaration names; with `prune` also what it does not name. */
export async function readCurrentState(
  tx: Tx,
  { identity, issuers, configuration, webhooks }: StateSources,
  declaration: Declaration,
  { prune }: { prune: boolean },
): Promise<CurrentState> {
  const organizations = new Map<string, CurrentOrganization>();
  for (const [name, declared] of Object.entries(declaration.organizations ?? {})) {
    if (!(await identity.organizations.findOrganization(tx, name))) {
      // Not there yet, but its declared users may be accounts of others.
      const users = await readDeclaredUsers(tx, identity, name, declared);
      if (users.size > 0) organizations.set(name, { ...emptyOrganization, users, exists: false });
      continue;
    }
    const roles = await readRoles(tx, identity, name);
    const users = await readDeclaredUsers(tx, identity, name, declared);
    organizations.set(name, {
      exists: true,
      roles,
      users,
      services: await readServices(tx, { identity, configuration }, name, declared),
      others: prune && declared.users !== undefined ? await readOthers(tx, identity, name, users) : [],
    });
  }
  const trusted = (await issuers.list(tx)).map(
    ({ name, issuer, jwksUri, algorithms, audiences }) =>
      [name, { issuer, jwks_uri: jwksUri, algorithms, audiences }] as const,
  );
  return { organizations, issuers: new Map(trusted), webhooks: await readWebhooks(tx, webhooks, declaration) };
}

const emptyOrganization = { services: new Map(), roles: new Map(), others: [] } as const;

type IdentitySource = StateSources['identity'];

async function readServices(
  tx: Tx,
  { identity: { services, roles }, configuration }: Pick<StateSources, 'identity' | 'configuration'>,
  organization: string,
  declared: DeclaredOrganization,
): Promise<Map<string, CurrentService>> {
  const found = new Map<string, CurrentService>();
  for await (const service of pages<Service>((after) =>
    services.listServices(tx, organization, after?.name, pageSize),
  )) {
    const wanted = ownMember(declared.services, service.name);
    const secret = wanted?.client_secret;
    const owner = {
      organization,
      service: service.name,
      path: ['organizations', organization, 'services', service.name],
    };
    found.set(service.name, {
      fields: fieldsOf(service, (await roles.resolve(tx, organization, service.roleIds)).names),
      secretMatches: secret === undefined || (await services.verifyServiceSecret(tx, service, secret)),
      namespaces: wanted?.namespaces ? await readNamespaces(tx, configuration, owner, wanted.namespaces) : new Map(),
    });
  }
  return found;
}

/** A service in the words of the declaration. */
function fieldsOf(service: Service, accountRoles: readonly string[]): JsonObject {
  return {
    audience: service.audience,
    authentication: service.authentication,
    pop_url: service.popUrl,
    jwks: service.jwks as JsonObject | undefined,
    grants: service.grants,
    redirect_uris: service.redirectUris,
    post_logout_redirect_uris: service.postLogoutRedirectUris,
    first_party: service.firstParty,
    id_token_signed_response_alg: service.idTokenAlgorithm,
    account_roles: accountRoles,
  };
}

async function readRoles(
  tx: Reader,
  { roles }: IdentitySource,
  organization: string,
): Promise<Map<string, CurrentRole>> {
  const found = new Map<string, CurrentRole>();
  for await (const role of pages<Role>((after) => roles.listRoles(tx, organization, after?.id, pageSize))) {
    found.set(role.name, { permissions: role.permissions, builtIn: role.builtIn });
  }
  return found;
}

/** Accounts by declared user name. Two spellings of one name are one account, and refused. */
async function readDeclaredUsers(
  tx: Reader,
  { users, roles }: IdentitySource,
  organization: string,
  declared: DeclaredOrganization,
): Promise<Map<string, CurrentUser>> {
  const found = new Map<string, CurrentUser>();
  const spellings = new Map<string, string>();
  for (const username of Object.keys(declared.users ?? {})) {
    const user = await users.findUserByUsername(tx, username);
    if (!user) continue;
    const other = spellings.get(user.uid);
    if (other !== undefined) throw sameAccount(organization, username, other);
    spellings.set(user.uid, username);
    const membership = await users.findMembership(tx, organization, user.uid);
    found.set(username, {
      ...account(user),
      member: membership !== undefined,
      roles: membership ? (await roles.resolve(tx, organization, membership.role_ids)).names : [],
    });
  }
  return found;
}

async function readOthers(
  tx: Reader,
  { users, roles }: IdentitySource,
  organization: string,
  declared: ReadonlyMap<string, CurrentUser>,
): Promise<CurrentUser[]> {
  const named = new Set([...declared.values()].map(({ uid }) => uid));
  const others: CurrentUser[] = [];
  for (const user of await users.listMembers(tx, organization)) {
    if (named.has(user.uid)) continue;
    const { names } = await roles.resolve(tx, organization, user.role_ids);
    others.push({ ...account(user), member: true, roles: names });
  }
  return others;
}

function account({ uid, username, status, organization }: User) {
  return { uid, username, status, organization };
}

/** Every row of a list that is read page by page. */
async function* pages<T>(read: (after: T | undefined) => Promise<readonly T[]>): AsyncGenerator<T> {
  let last: T | undefined;
  do {
    const rows = await read(last);
    yield* rows;
    last = rows.length === pageSize ? rows.at(-1) : undefined;
  } while (last !== undefined);
}

function ownMember<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record && Object.hasOwn(record, name) ? record[name] : undefined;
}

function sameAccount(organization: string, username: string, other: string): AppError {
  const field = `organizations.${organization}.users.${username}`;
  const rule = `is the same account as ${other}`;
  return new AppError('kernel.invalid_request', {
    detail: `${field} ${rule}`,
    errors: [{ field, rule, fix: 'name it once; user names do not differ by upper and lower case' }],
  });
}
