import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { rolloutsListCommand } from './rollouts-list.ts';
import { rolloutsPolicyCommand } from './rollouts-policy.ts';
import { rolloutsResumeCommand } from './rollouts-resume.ts';
import { rolloutsShowCommand } from './rollouts-show.ts';
import { rolloutsStopCommand } from './rollouts-stop.ts';

/** `gatehouse rollouts …`: how new versions reach the instances of a service. */
export function rolloutsCommands(program: Command, cli: Cli): void {
  const rollouts = program.command('rollouts').description('how new versions reach the instances of a service');
  rolloutsListCommand(rollouts, cli);
  rolloutsShowCommand(rollouts, cli);
  rolloutsStopCommand(rollouts, cli);
  rolloutsResumeCommand(rollouts, cli);
  rolloutsPolicyCommand(rollouts, cli);
}
