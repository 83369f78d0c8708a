import type { DeclarationApplied, DeclarationPlan, JsonObject } from '@gatehouse/contracts';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { assertConfirmed } from '../confirm.ts';
import { CliError } from '../errors.ts';
import { changesAnything, planText } from '../plan-text.ts';
import { oneLine } from '../values.ts';

/** `gatehouse apply -f`: makes what a declaration says exist. */
export function applyCommand(parent: Command, cli: Cli): void {
  parent
    .command('apply')
    .description('make exist what a declaration says: prints the plan, then applies it in one transaction')
    .requiredOption('-f, --file <file>', 'the declaration, such as gatehouse.yaml')
    .option('--prune', 'delete what the named organizations have and the declaration does not name')
    .option('--dry-run', 'print the plan only')
    .option('--yes', 'do not ask before deleting')
    .action(async (options: { file: string; prune?: boolean; dryRun?: boolean; yes?: boolean }) => {
      const { output } = cli;
      const { prune = false, dryRun = false } = options;
      const declaration = await read(options.file);
      const api = await cli.api();
      const body = { declaration: declaration as unknown as JsonObject, ...(prune ? { prune } : {}) };
      const plan = (await api.call('/v1/declaration/plan', { method: 'POST', body })) as unknown as DeclarationPlan;
      for (const line of planText(plan, output.paint)) output.line(line);
      for (const warning of plan.warnings) output.warning(warning);
      if (dryRun) {
        output.json(plan);
        return;
      }
      if (!changesAnything(plan)) {
        output.json({ ...plan, client_secrets: [], webhook_secrets: [] });
        return;
      }
      if (plan.summary.delete > 0) await assertConfirmed(cli, options, `Delete ${plan.summary.delete} as shown above?`);
      output.progress('Applying …');
      const applied = (await api.call('/v1/declaration/apply', {
        method: 'POST',
        body,
      })) as unknown as DeclarationApplied;
      output.json(applied);
      const { create, update, delete: remove } = applied.summary;
      output.line(`Applied: ${create} created, ${update} updated, ${remove} deleted.`);
      showSecrets(
        'Client secrets',
        applied.client_secrets.map(({ client_id, client_secret }) => [client_id, client_secret]),
      );
      showSecrets(
        'Webhook secrets',
        applied.webhook_secrets.map(({ url, secret }) => [url, secret]),
      );

      function showSecrets(what: string, secrets: readonly (readonly [string, string])[]): void {
        if (secrets.length === 0) return;
        output.line();
        output.line(output.paint('strong', `${what}, shown this once:`));
        for (const [name, secret] of secrets) output.line(`  ${oneLine(name)}  ${secret}`);
      }
    });
}

async function read(file: string) {
  // Loaded when needed: schemas and YAML double the start of every other command.
  const { DeclarationError, readDeclaration } = await import('@gatehouse/declaration');
  try {
    return await readDeclaration(file);
  } catch (error) {
    if (!(error instanceof DeclarationError)) throw error;
    const errors = error.faults.map(({ field, rule, fix, line }) => ({
      field,
      rule,
      ...(fix === undefined ? {} : { fix }),
      ...(line === undefined ? {} : { line }),
    }));
    throw new CliError('cli.declaration', error.message, { problem: { errors } });
  }
}
