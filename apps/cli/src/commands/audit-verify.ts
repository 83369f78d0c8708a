import type { Command } from 'commander';
import type { VerifyOptions } from '../audit/verify-audit.ts';
import type { Cli } from '../cli.ts';

/** `gatehouse audit verify`: recomputes the audit trail and names the first entry that is not as it was written. */
export function auditVerifyCommand(parent: Command, cli: Cli): void {
  parent
    .command('verify')
    .description('recompute the audit trail; names the first entry that was changed, removed, reordered or cut off')
    .option(
      '--checkpoint <file>',
      'an earlier checkpoint, kept elsewhere by --save-checkpoint: shows a tail that was cut off',
    )
    .option('--save-checkpoint <file>', 'keep the newest checkpoint in this file when all is well')
    .option('--keys <file>', 'trust these audit keys (a JWK set) instead of asking the server')
    .option('--entries <file>', 'verify this export (NDJSON; - is stdin) instead of asking the server')
    .option('--checkpoints <file>', 'with --entries: the checkpoints, one compact JWS a line')
    .action(async (options: VerifyOptions) => {
      // Loaded when needed: the formats and their cryptography double the start of every other command.
      const { verifyAudit } = await import('../audit/verify-audit.ts');
      await verifyAudit(cli, options);
    });
}
