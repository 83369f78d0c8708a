import type { DeclarationApplied, DeclaredService } from '@gatehouse/contracts';
import { isAppError, type Origin, type Tx } from '../../kernel/index.ts';
import type { Granter, Identity, ServiceSettings } from '../identity/index.ts';
import type { Secrets } from '../secrets/index.ts';
import { applyNamespaces, deleteNamespaces, type NamespaceTargets } from './namespace-apply.ts';
import { atPlace, invalidAt, pathText } from './place.ts';
import type { PlannedStep } from './plan-rules.ts';
import { applyWebhooks, type GeneratedWebhookSecrets, type WebhookTargets } from './webhook-steps.ts';

/** The parts of the modules below that change what exists. */
export interface StepTargets {
  readonly identity: Pick<Identity, 'organizations' | 'services' | 'roles' | 'users'>;
  readonly issuers: Pick<Secrets['issuers'], 'createIssuer' | 'changeIssuer' | 'removeIssuer'>;
  readonly configuration: NamespaceTargets;
  readonly webhooks: WebhookTargets;
}

/** Who applies, and what was prepared outside the transaction. */
export interface StepContext {
  readonly granter: Granter;
  readonly origin: Origin;
  /** Password hashes of the users to be made, by {@link pathText} of the user; empty in a trial run. */
  readonly passwordHashes: ReadonlyMap<string, string>;
}

/** Generated secrets: shown once. */
export interface GeneratedSecrets {
  readonly clients: DeclarationApplied['client_secrets'];
  readonly webhooks: GeneratedWebhookSecrets;
}

type StepOf<K extends PlannedStep['kind']> = Extract<PlannedStep, { kind: K }>;

/**
 * Does the steps in `tx`, in phases: what can hold roles, the roles, the roles of service accounts, namespaces, users,
 * webhooks, deletions. An error names the place in the declaration; the caller's transaction undoes the rest.
 */
export async function applySteps(
  tx: Tx,
  targets: StepTargets,
  steps: readonly PlannedStep[],
  context: StepContext,
): Promise<GeneratedSecrets> {
  const work = steps.filter(({ step }) => step.action !== 'unchanged');
  const kept = work.filter(({ step }) => step.action !== 'delete');
  const deleted = work.filter(({ step }) => step.action === 'delete');
  const clients: DeclarationApplied['client_secrets'] = [];
  for (const one of kept) {
    const secret = await atPlace(one.path, async () => {
      if (one.kind === 'organization') await applyOrganization(tx, targets, one, context);
      if (one.kind === 'trusted_issuer') await applyIssuer(tx, targets, one, context);
      if (one.kind === 'role') await applyRole(tx, targets, one, context);
      return one.kind === 'service' ? applyService(tx, targets, one, context) : undefined;
    });
    if (secret) clients.push(secret);
  }
  for (const one of kept) {
    if (one.kind === 'service') await atPlace(one.path, () => giveAccountRoles(tx, targets, one, context));
  }
  await applyNamespaces(tx, targets.configuration, ofKind(kept, 'namespace'), context);
  for (const one of kept) {
    if (one.kind === 'user') await atPlace(one.path, () => applyUser(tx, targets, one, context));
  }
  const { organizations } = targets.identity;
  const webhookTargets = { webhooks: targets.webhooks, organizations };
  const webhooks = await applyWebhooks(tx, webhookTargets, ofKind(work, 'webhook'), context.origin);
  await deleteNamespaces(tx, targets.configuration, ofKind(deleted, 'namespace'), context);
  for (const one of deleted) await atPlace(one.path, () => applyDeletion(tx, targets, one, deleted, context));
  return { clients, webhooks };
}

function ofKind<K extends PlannedStep['kind']>(steps: readonly PlannedStep[], kind: K): StepOf<K>[] {
  return steps.filter((one): one is StepOf<K> => one.kind === kind);
}

async function applyOrganization(
  tx: Tx,
  { identity }: StepTargets,
  { step }: StepOf<'organization'>,
  { origin }: StepContext,
) {
  await identity.organizations.createOrganization(tx, { name: step.name, origin });
}

async function applyIssuer(
  tx: Tx,
  { issuers }: StepTargets,
  { step, declared, before }: StepOf<'trusted_issuer'>,
  { origin }: StepContext,
) {
  if (!declared) return;
  const { jwks_uri: jwksUri, ...rest } = declared;
  if (step.action === 'create') await issuers.createIssuer(tx, step.name, { jwksUri, ...rest }, origin);
  // A list that the declaration does not name stays as it is.
  else await issuers.changeIssuer(tx, step.name, { audiences: before?.audiences, jwksUri, ...rest }, origin);
}

async function applyRole(
  tx: Tx,
  { identity }: StepTargets,
  { step, declared }: StepOf<'role'>,
  { granter, origin }: StepContext,
) {
  const permissions = declared?.permissions ?? [];
  const change = { organization: step.organization ?? '', ...splitRoleName(step.name), permissions, granter, origin };
  if (step.action === 'create') await identity.roles.createRole(tx, change);
  else await identity.roles.updateRole(tx, change);
}

async function applyService(
  tx: Tx,
  { identity }: StepTargets,
  { step, service: name, declared }: StepOf<'service'>,
  { granter, origin }: StepContext,
): Promise<DeclarationApplied['client_secrets'][number] | undefined> {
  if (!declared) return undefined;
  const organization = step.organization ?? '';
  const change = { organization, name, granter, origin };
  const settings = settingsOf(declared);
  const { client_secret: secret } = declared;
  if (step.action === 'create') {
    const input = secret === undefined ? change : { ...change, clientSecret: secret };
    const { service, clientSecret } = await identity.services.createService(tx, { ...input, settings });
    if (secret !== undefined || clientSecret === undefined) return undefined;
    return { organization, service: name, client_id: service.clientId, client_secret: clientSecret };
  }
  const fields = step.changes.map(({ field }) => field).filter((field) => field !== 'account_roles');
  if (fields.some((field) => field !== 'client_secret')) {
    await identity.services.updateService(tx, { ...change, settings });
  }
  if (secret !== undefined && fields.includes('client_secret')) {
    // The declared secret is the service's secret: the others end with it.
    const { id } = await identity.services.getService(tx, organization, name);
    for (const other of (await identity.services.listSecrets(tx, [id])).get(id) ?? []) {
      try {
        await identity.services.deleteSecret(tx, { ...change, secretId: other.id });
      } catch (error) {
        // Running instances authenticate with it until they have the version with the new one.
        if (!isAppError(error, 'configuration.client_secret_in_use')) throw error;
      }
    }
    await identity.services.addSecret(tx, { ...change, secret });
  }
  return undefined;
}

/** After the roles are there: a service's account may hold a role that the same declaration makes. */
async function giveAccountRoles(
  tx: Tx,
  { identity }: StepTargets,
  { step, service: name, declared }: StepOf<'service'>,
  { granter, origin }: StepContext,
) {
  if (declared?.account_roles === undefined || !step.changes.some(({ field }) => field === 'account_roles')) return;
  const change = { organization: step.organization ?? '', name, granter, origin };
  await identity.services.updateService(tx, { ...change, settings: {}, accountRoles: declared.account_roles });
}

async function applyUser(
  tx: Tx,
  { identity }: StepTargets,
  { step, path, user, declared }: StepOf<'user'>,
  { granter, origin, passwordHashes }: StepContext,
) {
  const organization = step.organization ?? '';
  const { uid, roles } = declared ?? {};
  if (!user) {
    const passwordHash = passwordHashes.get(pathText(path));
    const input = { organization, username: step.name, uid, passwordHash, roles: roles ?? [], granter, origin };
    await identity.users.createUser(tx, input);
    return;
  }
  if (uid !== undefined && uid !== user.uid) {
    throw invalidAt(
      [...path, 'uid'],
      `is not the uid of the account ${step.name}`,
      `it is ${user.uid}, and never changes`,
    );
  }
  const change = { organization, uid: user.uid, granter, origin };
  if (!user.member) await identity.users.addMember(tx, { ...change, roles: roles ?? [] });
  else if (roles !== undefined) await identity.users.setRoles(tx, { ...change, roles });
}

async function applyDeletion(
  tx: Tx,
  { identity, issuers }: StepTargets,
  planned: PlannedStep,
  deleted: readonly PlannedStep[],
  { granter, origin }: StepContext,
) {
  const { step } = planned;
  const organization = step.organization ?? '';
  if (planned.kind === 'trusted_issuer') await issuers.removeIssuer(tx, step.name, origin);
  if (planned.kind === 'role') {
    await identity.roles.deleteRole(tx, { organization, ...splitRoleName(step.name), granter, origin });
  }
  if (planned.kind === 'service') {
    await identity.services.deleteService(tx, { organization, name: planned.service, granter, origin });
  }
  if (planned.kind === 'user' && planned.user) {
    const { uid, roles } = planned.user;
    const change = { organization, uid, granter, origin };
    const ending = (name: string) =>
      deleted.some((one) => one.kind === 'role' && one.step.organization === organization && one.step.name === name);
    const isGuest = planned.user.organization !== organization;
    // An archived account keeps its roles for the day it is restored, but none that is about to be deleted.
    const keptRoles = isGuest ? [] : roles.filter((name) => !ending(name));
    if (!isGuest) await identity.users.archiveUser(tx, change);
    if (keptRoles.length < roles.length) await identity.users.setRoles(tx, { ...change, roles: keptRoles });
  }
}

/** The settings that the declaration names. Keys have one source: naming one ends the other. */
function settingsOf(declared: DeclaredService): Partial<ServiceSettings> {
  const settings: Partial<ServiceSettings> = {};
  if (declared.audience !== undefined) settings.audience = declared.audience;
  if (declared.authentication !== undefined) settings.authentication = declared.authentication;
  if (declared.pop_url !== undefined) Object.assign(settings, { popUrl: declared.pop_url, jwks: undefined });
  if (declared.jwks !== undefined) Object.assign(settings, { jwks: declared.jwks, popUrl: undefined });
  if (declared.grants !== undefined) settings.grants = declared.grants;
  if (declared.redirect_uris !== undefined) settings.redirectUris = declared.redirect_uris;
  if (declared.post_logout_redirect_uris !== undefined) {
    settings.postLogoutRedirectUris = declared.post_logout_redirect_uris;
  }
  if (declared.first_party !== undefined) settings.firstParty = declared.first_party;
  if (declared.id_token_signed_response_alg !== undefined) {
    settings.idTokenAlgorithm = declared.id_token_signed_response_alg;
  }
  return settings;
}

function splitRoleName(fullName: string): { service: string | undefined; name: string } {
  const [first = '', second] = fullName.split(':');
  return second === undefined ? { service: undefined, name: first } : { service: first, name: second };
}
