import type { Declaration, DeclarationApplied, DeclarationPlan } from '@gatehouse/contracts';
import { AppError, type Db, named, type Origin, type Tx } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Granter, Identity } from '../identity/index.ts';
import type { Secrets } from '../secrets/index.ts';
import { applySteps, type StepTargets } from './apply-steps.ts';
import { readCurrentState, type StateSources } from './current-state.ts';
import { invalidAt, pathText } from './place.ts';
import { describePlan, type Planned, planDeclaration } from './plan-rules.ts';

/** A declaration to be applied, and by whom. */
export interface DeclarationInput {
  readonly declaration: Declaration;
  readonly prune: boolean;
  readonly granter: Granter;
  readonly origin: Origin;
}

/** What applying may do besides. */
export interface ApplyOptions {
  /** False where nobody would see a generated client secret: it is refused instead. */
  readonly mayGenerateSecrets: boolean;
  /** Runs in the same transaction, after the steps. */
  readonly alongside?: (tx: Tx) => Promise<void>;
}

/** Plans and applies declarations. */
export interface DeclarationService {
  /** What applying would do. Every step is tried and undone, so that a plan that is shown can be done. */
  plan: (input: DeclarationInput) => Promise<DeclarationPlan>;
  /** Does it in one transaction: all of it or nothing. */
  apply: (input: DeclarationInput, options?: ApplyOptions) => Promise<DeclarationApplied>;
}

/** One apply at a time in the whole cluster: two would plan on the same state and collide half-way. */
const lockStatement = {
  name: 'declaration_lock',
  text: `select pg_advisory_xact_lock(hashtextextended('gatehouse.declaration', 0))`,
};

/** Ends a trial transaction. */
class Undo extends Error {}

/** Creates the service. */
export function createDeclarationService(
  deps: {
    db: Db;
    identity: Pick<Identity, 'organizations' | 'services' | 'roles' | 'users' | 'passwords'>;
    issuers: Secrets['issuers'];
    audit: Pick<Audit, 'append'>;
  } & Pick<StateSources & StepTargets, 'configuration' | 'webhooks'>,
): DeclarationService {
  const { db, identity, audit } = deps;

  const planIn = async (tx: Tx, { declaration, prune }: DeclarationInput): Promise<Planned> =>
    planDeclaration(declaration, await readCurrentState(tx, deps, declaration, { prune }), { prune });

  /** Accounts to be made with a password: where they stand, the password, and what it must not be made of. */
  const newPasswords = ({ steps }: Planned) =>
    steps.flatMap((one) => {
      const password = one.kind === 'user' && one.step.action === 'create' ? one.declared?.password : undefined;
      if (password === undefined) return [];
      const context = [one.step.name, one.step.organization ?? ''];
      return [{ path: pathText(one.path), password, context }];
    });

  /** Hashing takes long and never happens inside a transaction, so the plan is made twice: before, and under the lock. */
  const hashPasswords = async (input: DeclarationInput) => {
    const planned = await db.transaction((tx) => planIn(tx, input));
    const hashes = new Map<string, string>();
    // One after the other: a large declaration leaves the queue to those who sign in meanwhile.
    for (const { path, password, context } of newPasswords(planned)) {
      hashes.set(path, await identity.passwords.hashNew(password, context, `${path}.password`));
    }
    return hashes;
  };

  return {
    async plan(input) {
      let plan: DeclarationPlan | undefined;
      try {
        await db.transaction(async (tx) => {
          await named(tx, lockStatement, []);
          const planned = await planIn(tx, input);
          for (const { path, password, context } of newPasswords(planned)) {
            identity.passwords.assertNew(password, context, `${path}.password`);
          }
          await applySteps(tx, deps, planned.steps, { ...input, passwordHashes: new Map() });
          plan = describePlan(planned);
          throw new Undo();
        });
      } catch (error) {
        if (!(error instanceof Undo) || !plan) throw error;
      }
      if (!plan) throw new Error('plan: the trial ended without a plan');
      return plan;
    },

    async apply(input, { mayGenerateSecrets, alongside } = { mayGenerateSecrets: true }) {
      const passwordHashes = await hashPasswords(input);
      return db.transaction(async (tx) => {
        await named(tx, lockStatement, []);
        const planned = await planIn(tx, input);
        assertHashed(newPasswords(planned), passwordHashes);
        if (!mayGenerateSecrets) assertNothingGenerated(planned);
        const secrets = await applySteps(tx, deps, planned.steps, { ...input, passwordHashes });
        const plan = describePlan(planned);
        const { create, update, delete: removed } = plan.summary;
        if (create + update + removed > 0) {
          await audit.append(tx, {
            action: 'declaration.applied',
            organization: 'gatehouse',
            origin: input.origin,
            details: {
              created: create,
              updated: update,
              deleted: removed,
              prune: input.prune,
              organizations: Object.keys(input.declaration.organizations ?? {}).slice(0, 100),
            },
          });
        }
        await alongside?.(tx);
        return { ...plan, client_secrets: secrets.clients, webhook_secrets: secrets.webhooks };
      });
    },
  };
}

/** Accounts are never deleted, so a user that is new under the lock was new before; a renamed one can be the exception. */
function assertHashed(users: readonly { path: string }[], hashes: ReadonlyMap<string, string>): void {
  const missing = users.find(({ path }) => !hashes.has(path));
  if (!missing) return;
  throw new AppError('kernel.conflict', {
    detail: `${missing.path} was changed while the declaration was being applied. Nothing was changed by it; apply again.`,
  });
}

function assertNothingGenerated({ steps }: Planned): void {
  for (const { kind, path, step } of steps) {
    const generates = (field: string) => step.changes.some((one) => one.field === field && one.to !== undefined);
    const rule = 'is missing: at the start of the server nobody would see a generated secret';
    if (kind === 'service' && generates('client_secret')) {
      const fix = 'name a file, or set authentication to private_key_jwt or none, or apply it by: gatehouse apply -f';
      throw invalidAt([...path, 'client_secret_file'], rule, fix);
    }
    if (kind === 'webhook' && generates('secret')) {
      throw invalidAt([...path, 'secret_file'], rule, 'name a file, or apply it by: gatehouse apply -f');
    }
  }
}
