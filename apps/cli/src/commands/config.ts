import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { configCreateCommand } from './config-create.ts';
import { configDeleteCommand } from './config-delete.ts';
import { configDiffCommand } from './config-diff.ts';
import { configEditCommand } from './config-edit.ts';
import { configExportCommand } from './config-export.ts';
import { configGetCommand } from './config-get.ts';
import { configHistoryCommand } from './config-history.ts';
import { configImportCommand } from './config-import.ts';
import { configInstancesCommand } from './config-instances.ts';
import { configNamespacesCommand } from './config-namespaces.ts';
import { configProposalsCommand } from './config-proposals.ts';
import { configPublishCommand } from './config-publish.ts';
import { configRevealCommand } from './config-reveal.ts';
import { configRollbackCommand } from './config-rollback.ts';
import { configSetCommand } from './config-set.ts';
import { configSettingsCommand } from './config-settings.ts';
import { configTypesCommand } from './config-types.ts';
import { configUnsetCommand } from './config-unset.ts';

/** `gatehouse config …`: configurations of services. */
export function configCommands(program: Command, cli: Cli): void {
  const config = program.command('config').description('configurations of services: values, versions, instances');
  configNamespacesCommand(config, cli);
  configCreateCommand(config, cli);
  configSettingsCommand(config, cli);
  configDeleteCommand(config, cli);
  configGetCommand(config, cli);
  configSetCommand(config, cli);
  configUnsetCommand(config, cli);
  configEditCommand(config, cli);
  configDiffCommand(config, cli);
  configHistoryCommand(config, cli);
  configPublishCommand(config, cli);
  configProposalsCommand(config, cli);
  configRollbackCommand(config, cli);
  configImportCommand(config, cli);
  configExportCommand(config, cli);
  configRevealCommand(config, cli);
  configInstancesCommand(config, cli);
  configTypesCommand(config, cli);
}
