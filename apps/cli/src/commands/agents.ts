import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { agentsInvitationsCommand } from './agents-invitations.ts';
import { agentsInviteCommand } from './agents-invite.ts';
import { agentsListCommand } from './agents-list.ts';
import { agentsRevokeCommand } from './agents-revoke.ts';
import { agentsWithdrawCommand } from './agents-withdraw.ts';

/** `gatehouse agents`: who may read the configuration of a service. */
export function agentsCommands(program: Command, cli: Cli): void {
  const agents = program.command('agents').description('agents that read the configuration of a service');
  agentsInviteCommand(agents, cli);
  agentsInvitationsCommand(agents, cli);
  agentsWithdrawCommand(agents, cli);
  agentsListCommand(agents, cli);
  agentsRevokeCommand(agents, cli);
}
