import type {
  Declaration,
  DeclarationChange,
  DeclarationPlan,
  DeclarationStep,
  DeclaredIssuer,
  DeclaredOrganization,
  DeclaredRole,
  DeclaredService,
  DeclaredUser,
  JsonObject,
} from '@gatehouse/contracts';
import { compare, deletionOf, stepOf } from './compare.ts';
import type { CurrentIssuer, CurrentOrganization, CurrentState, CurrentUser } from './current-state.ts';

import { type NamespaceStep, planNamespaceDeletions, planNamespaces } from './namespace-plan.ts';
import type { Place } from './place.ts';
import { planWebhooks, type WebhookStep } from './webhook-steps.ts';

/** A step with what is needed to do it: the declared thing, and where it stands in the declaration. */
export type PlannedStep = { readonly step: DeclarationStep; readonly path: Place } & (
  | { readonly kind: 'organization' }
  | { readonly kind: 'service'; readonly service: string; readonly declared?: DeclaredService }
  | { readonly kind: 'role'; readonly declared?: DeclaredRole }
  | { readonly kind: 'user'; readonly user?: CurrentUser; readonly declared?: DeclaredUser }
  | { readonly kind: 'trusted_issuer'; readonly before?: CurrentIssuer; readonly declared?: DeclaredIssuer }
  | NamespaceStep
  | WebhookStep
);

/** The steps in the order in which they can be done, and what the writer should know besides. */
export interface Planned {
  readonly steps: readonly PlannedStep[];
  readonly warnings: readonly string[];
}

/** The operators' organization: nothing of it is ever pruned, so that a short declaration cannot lock everybody out. */
const neverPruned = 'gatehouse';

/**
 * Compares a declaration with what exists. A field that the declaration does not name is left as it is; a list that it
 * names is the whole list. Deletions come last, in the order in which nothing is left pointing at nothing.
 */
export function planDeclaration(declaration: Declaration, current: CurrentState, options: { prune: boolean }): Planned {
  const steps: PlannedStep[] = [];
  const deletions: PlannedStep[] = [];
  const warnings: string[] = [];
  for (const [name, declared] of Object.entries(declaration.trusted_issuers ?? {})) {
    const before = current.issuers.get(name);
    const path = ['trusted_issuers', name];
    const step = stepOf('trusted_issuer', name, before, compare(declared, before && { ...before }));
    steps.push({ kind: 'trusted_issuer', path, declared, step, ...(before === undefined ? {} : { before }) });
  }
  for (const [name, declared] of Object.entries(declaration.organizations ?? {})) {
    const before = current.organizations.get(name);
    const path = ['organizations', name];
    steps.push({ kind: 'organization', path, step: stepOf('organization', name, before?.exists || undefined, []) });
    steps.push(...planServices(name, declared, before, path), ...planRoles(name, declared, before, path));
    for (const step of planUsers(name, declared, before, path)) {
      steps.push(step);
      const user = step.kind === 'user' ? step.user : undefined;
      if (user && user.status !== 'active') warnings.push(statusWarning(name, user));
    }
    if (options.prune && before?.exists && name !== neverPruned)
      deletions.push(...planDeletions(name, declared, before, path));
  }
  if (options.prune && declaration.trusted_issuers !== undefined) {
    for (const name of current.issuers.keys()) {
      if (Object.hasOwn(declaration.trusted_issuers, name)) continue;
      deletions.push({
        kind: 'trusted_issuer',
        path: ['trusted_issuers', name],
        step: deletionOf('trusted_issuer', name),
      });
    }
  }
  const webhooks = planWebhooks(declaration, current.webhooks, options);
  return {
    steps: [...steps, ...webhooks.steps, ...webhooks.deletions, ...deletions],
    warnings: [...warnings, ...webhooks.warnings],
  };
}

/** The plan as it is answered. */
export function describePlan({ steps, warnings }: Planned): DeclarationPlan {
  const summary = { create: 0, update: 0, delete: 0, unchanged: 0 };
  for (const { step } of steps) summary[step.action] += 1;
  return { steps: steps.map(({ step }) => step), summary, warnings: [...warnings] };
}

function planServices(
  organization: string,
  declared: DeclaredOrganization,
  before: CurrentOrganization | undefined,
  path: Place,
): PlannedStep[] {
  return Object.entries(declared.services ?? {}).flatMap(([service, wanted]): PlannedStep[] => {
    const { client_secret: secret, roles = [], namespaces, ...fields } = wanted;
    const existing = before?.services.get(service);
    const changes = [
      ...compare(fields, existing?.fields),
      ...replacedKeySource(wanted, existing?.fields),
      ...secretChange(secret, existing?.secretMatches, wanted),
    ];
    const own = [...path, 'services', service];
    return [
      {
        kind: 'service',
        service,
        path: own,
        declared: wanted,
        step: stepOf('service', `${organization}.${service}`, existing, changes, organization),
      },
      ...roles.map((role, index): PlannedStep => {
        const name = `${service}:${role}`;
        const step = stepOf('role', name, before?.roles.get(name), [], organization);
        return { kind: 'role', path: [...own, 'roles', String(index)], declared: { permissions: [] }, step };
      }),
      ...planNamespaces(organization, service, namespaces, existing?.namespaces, own),
    ];
  });
}

/** Keys have one source: naming one ends the other. */
function replacedKeySource(declared: DeclaredService, before: JsonObject | undefined): DeclarationChange[] {
  const ended = declared.jwks !== undefined ? 'pop_url' : declared.pop_url !== undefined ? 'jwks' : undefined;
  const from = ended === undefined ? undefined : before?.[ended];
  return ended === undefined || from === undefined ? [] : [{ field: ended, from }];
}

/** Never the value: only that it is set, replaced or generated. */
function secretChange(
  secret: string | undefined,
  matches: boolean | undefined,
  declared: DeclaredService,
): DeclarationChange[] {
  if (matches !== undefined) return matches ? [] : [{ field: 'client_secret' }];
  if (secret !== undefined) return [{ field: 'client_secret' }];
  const needsOne = (declared.authentication ?? 'client_secret') === 'client_secret';
  return needsOne ? [{ field: 'client_secret', to: 'generated, shown once' }] : [];
}

function planRoles(
  organization: string,
  declared: DeclaredOrganization,
  before: CurrentOrganization | undefined,
  path: Place,
): PlannedStep[] {
  return Object.entries(declared.roles ?? {}).map(([name, role]) => {
    const existing = before?.roles.get(name);
    const changes = compare(role, existing && { permissions: [...existing.permissions] });
    const step = stepOf('role', name, existing, changes, organization);
    return { kind: 'role', path: [...path, 'roles', name], declared: role, step };
  });
}

function planUsers(
  organization: string,
  declared: DeclaredOrganization,
  before: CurrentOrganization | undefined,
  path: Place,
): PlannedStep[] {
  return Object.entries(declared.users ?? {}).map(([username, wanted]) => {
    const user = before?.users.get(username);
    const { password, ...fields } = wanted;
    // A password is set with the account and never again: its owner changes it, and an old file must not undo that.
    const changes = user
      ? compare(fields, { uid: user.uid, roles: [...user.roles] })
      : [...compare(fields, undefined), ...(password === undefined ? [] : [{ field: 'password' }])];
    const joins = user && !user.member;
    const step = stepOf(
      'user',
      username,
      user,
      joins ? [{ field: 'member', from: false, to: true }, ...changes] : changes,
      organization,
    );
    return {
      kind: 'user',
      path: [...path, 'users', username],
      declared: wanted,
      step,
      ...(user === undefined ? {} : { user }),
    };
  });
}

/** What a section that the declaration has does not name. A section that it does not have says nothing. */
function planDeletions(
  organization: string,
  declared: DeclaredOrganization,
  before: CurrentOrganization,
  path: Place,
): PlannedStep[] {
  const users = (declared.users === undefined ? [] : before.others).flatMap((user): PlannedStep[] => {
    const change = userDeletion(organization, user);
    if (!change) return [];
    const step: DeclarationStep = { ...deletionOf('user', user.username, organization), changes: [change] };
    return [{ kind: 'user', user, path: [...path, 'users', user.username], step }];
  });
  const unnamedServices =
    declared.services === undefined
      ? []
      : [...before.services.keys()].filter((service) => !Object.hasOwn(declared.services ?? {}, service));
  const roles = [...before.roles]
    .filter(([name, role]) => !role.builtIn && isUnnamedRole(name, declared, unnamedServices))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name]): PlannedStep => {
      return { kind: 'role', path: [...path, 'roles', name], step: deletionOf('role', name, organization) };
    });
  const services = unnamedServices.map((service): PlannedStep => {
    const step = deletionOf('service', `${organization}.${service}`, organization);
    return { kind: 'service', service, path: [...path, 'services', service], step };
  });
  const namespaces = Object.entries(declared.services ?? {}).flatMap(([service, wanted]) => {
    const own = [...path, 'services', service];
    return planNamespaceDeletions(
      organization,
      service,
      wanted.namespaces,
      before.services.get(service)?.namespaces,
      own,
    );
  });
  return [...users, ...roles, ...namespaces, ...services];
}

/** An account of this organization is archived; one of another organization loses its roles here and is otherwise left alone. */
function userDeletion(organization: string, user: CurrentUser): DeclarationChange | undefined {
  if (user.organization === organization) {
    return user.status === 'archived' ? undefined : { field: 'status', from: user.status, to: 'archived' };
  }
  return user.roles.length === 0 ? undefined : { field: 'roles', from: [...user.roles], to: [] };
}

/** A custom role is in the section `roles`, one of a service in the list of its service, or goes with the service. */
function isUnnamedRole(name: string, declared: DeclaredOrganization, unnamedServices: readonly string[]): boolean {
  const [service = '', role] = name.split(':');
  if (role === undefined) return declared.roles !== undefined && !Object.hasOwn(declared.roles, name);
  if (unnamedServices.includes(service)) return true;
  const own = declared.services && Object.hasOwn(declared.services, service) ? declared.services[service] : undefined;
  return own?.roles !== undefined && !own.roles.includes(role);
}

function statusWarning(organization: string, { username, status }: CurrentUser): string {
  const word = status === 'archived' ? 'archived' : 'suspended';
  return `The user ${username} in ${organization} is declared and ${word}; a declaration never restores an account: gatehouse users restore does.`;
}
