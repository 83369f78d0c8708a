import type { Declaration, DeclarationApplied, DeclarationStep, DeclaredWebhook } from '@gatehouse/contracts';
import type { Origin, Reader, Tx } from '../../kernel/index.ts';
import type { Webhook, Webhooks } from '../audit/index.ts';
import type { Identity } from '../identity/index.ts';
import { compare, deletionOf, stepOf } from './compare.ts';
import { atPlace, invalidAt, type Place } from './place.ts';

/** A webhook as it is. */
export interface CurrentWebhook
  extends Pick<Webhook, 'id' | 'organization' | 'url' | 'events' | 'description' | 'enabled'> {
  /** The declared secret is the one that signs; true without a declared one. */
  readonly secretMatches: boolean;
}

/** A step about a webhook. */
export interface WebhookStep {
  readonly kind: 'webhook';
  readonly step: DeclarationStep;
  readonly path: Place;
  readonly declared?: DeclaredWebhook;
  readonly before?: CurrentWebhook;
}

/** The webhooks of the declaration's organizations, and who makes and changes them. */
export type WebhookTargets = Pick<
  Webhooks,
  'listWebhooks' | 'secretMatches' | 'createWebhook' | 'changeWebhook' | 'rotateSecret' | 'removeWebhook'
>;

/** Generated webhook secrets: shown once. */
export type GeneratedWebhookSecrets = DeclarationApplied['webhook_secrets'];

/** Without an organization a webhook is the operators', and hears of all. */
const defaultOrganization = 'gatehouse';
const pageSize = 500;

/** The webhooks of the organizations that the declaration names, compared with what is declared. */
export async function readWebhooks(
  tx: Reader,
  webhooks: Pick<WebhookTargets, 'listWebhooks' | 'secretMatches'>,
  declaration: Declaration,
): Promise<CurrentWebhook[]> {
  const declared = declaration.webhooks ?? [];
  if (declaration.webhooks === undefined) return [];
  const organizations = new Set([
    ...declared.map(({ organization = defaultOrganization }) => organization),
    ...Object.keys(declaration.organizations ?? {}),
  ]);
  const found: CurrentWebhook[] = [];
  for (const organization of organizations) {
    // An organization has at most 50, so one page is all of them.
    for (const webhook of await webhooks.listWebhooks(tx, organization, '', pageSize)) {
      const secret = declared.find((one) => isSame(webhook, one))?.secret;
      const secretMatches = secret === undefined || (await webhooks.secretMatches(tx, webhook, secret));
      found.push({ ...webhook, secretMatches });
    }
  }
  return found;
}

/** What is to be done about webhooks, and what the writer should know besides. */
export function planWebhooks(
  declaration: Declaration,
  current: readonly CurrentWebhook[],
  options: { prune: boolean },
): { steps: WebhookStep[]; deletions: WebhookStep[]; warnings: string[] } {
  const declared = declaration.webhooks ?? [];
  const warnings: string[] = [];
  const steps = declared.map((wanted, index): WebhookStep => {
    const { organization = defaultOrganization, url, events, description, secret } = wanted;
    const before = current.find((one) => isSame(one, wanted));
    const shown = before && { events: before.events, description: before.description };
    const changes = compare({ events, description }, shown);
    if (!before)
      changes.push(secret === undefined ? { field: 'secret', to: 'generated, shown once' } : { field: 'secret' });
    else if (!before.secretMatches) changes.push({ field: 'secret' });
    if (before && !before.enabled) warnings.push(disabledWarning(organization, url));
    const step = stepOf('webhook', url, before, changes, organization);
    return { kind: 'webhook', path: ['webhooks', index], declared: wanted, step, ...(before ? { before } : {}) };
  });
  const named = new Set(Object.keys(declaration.organizations ?? {}));
  const deletions = options.prune
    ? current
        .filter((one) => one.organization !== defaultOrganization && named.has(one.organization))
        .filter((one) => !declared.some((wanted) => isSame(one, wanted)))
        .map((before): WebhookStep => {
          const step = deletionOf('webhook', before.url, before.organization);
          return { kind: 'webhook', path: ['webhooks'], before, step };
        })
    : [];
  return { steps, deletions, warnings };
}

/** Makes, changes and deletes webhooks; the secrets that were generated. */
export async function applyWebhooks(
  tx: Tx,
  targets: { webhooks: WebhookTargets; organizations: Pick<Identity['organizations'], 'findOrganization'> },
  steps: readonly WebhookStep[],
  origin: Origin,
): Promise<GeneratedWebhookSecrets> {
  const generated: GeneratedWebhookSecrets = [];
  for (const one of steps) {
    const secret = await atPlace(one.path, () => applyWebhook(tx, targets, one, origin));
    if (secret) generated.push(secret);
  }
  return generated;
}

async function applyWebhook(
  tx: Tx,
  { webhooks, organizations }: Parameters<typeof applyWebhooks>[1],
  { step, path, declared, before }: WebhookStep,
  origin: Origin,
): Promise<GeneratedWebhookSecrets[number] | undefined> {
  const organization = step.organization ?? defaultOrganization;
  if (step.action === 'delete' && before) {
    await webhooks.removeWebhook(tx, { organization, id: before.id, origin });
    return undefined;
  }
  if (!declared) return undefined;
  const { url, events, description, secret } = declared;
  if (!before) {
    if (!(await organizations.findOrganization(tx, organization))) {
      throw invalidAt(
        [...path, 'organization'],
        `is ${organization}, which does not exist`,
        'declare it, or correct it',
      );
    }
    const made = await webhooks.createWebhook(tx, { organization, url, events, description, secret, origin });
    return secret === undefined ? { organization, id: made.webhook.id, url, secret: made.secret } : undefined;
  }
  const change = { organization, id: before.id, origin };
  if (step.changes.some(({ field }) => field !== 'secret')) {
    await webhooks.changeWebhook(tx, { ...change, events, description });
  }
  // The one before goes on signing beside it for a day, so that the receiver can change over.
  if (secret !== undefined && !before.secretMatches) await webhooks.rotateSecret(tx, { ...change, secret });
  return undefined;
}

/** An address has one webhook in an organization; how it is spelled does not matter. */
function isSame(one: Pick<CurrentWebhook, 'organization' | 'url'>, wanted: DeclaredWebhook): boolean {
  const { organization = defaultOrganization, url } = wanted;
  return one.organization === organization && one.url === (URL.parse(url)?.href ?? url);
}

function disabledWarning(organization: string, url: string): string {
  return `The webhook ${url} of ${organization} is declared and disabled; a declaration never enables one: PATCH /v1/webhooks/{id} does.`;
}
