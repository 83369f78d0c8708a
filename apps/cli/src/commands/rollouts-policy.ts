import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../agent/durations.ts';
import type { Cli } from '../cli.ts';
import { serviceArgument, serviceDescription } from '../config/options.ts';
import { policyText } from '../rollout-text.ts';

interface Options {
  maxUnavailable?: number;
  canary?: number;
  bake?: number;
  lease?: number;
  automaticRollback?: 'on' | 'off';
}

/** `gatehouse rollouts policy`: shows how a service takes new versions, or changes what is named. */
export function rolloutsPolicyCommand(parent: Command, cli: Cli): void {
  parent
    .command('policy')
    .description('show how a service takes new versions, or change what is named; it holds at once')
    .argument(serviceArgument, serviceDescription)
    .option('--max-unavailable <n>', 'instances of a namespace that may be down at once', wholeNumber)
    .option('--canary <percent>', 'share of the instances that go first, at least one; 0 for none', wholeNumber)
    .option('--bake <time>', 'how long the canary, and at the end all, have to stay healthy: 10m', seconds)
    .option('--lease <time>', 'how long an instance may take until it says that it is healthy: 2m', seconds)
    .addOption(
      new Option('--automatic-rollback <on|off>', 'the first unhealthy instance brings the old content back').choices([
        'on',
        'off',
      ]),
    )
    .action(async (service: string, options: Options) => {
      const { targetOf } = await import('../config/index.ts');
      const target = targetOf(service);
      const api = await cli.api({ organization: target.organization });
      const path = `/v1/services/${target.service}/rollout-policy`;
      const present = await api.call(path);
      const { automaticRollback: back } = options;
      const changed = {
        ...(options.maxUnavailable === undefined ? {} : { max_unavailable: options.maxUnavailable }),
        ...(options.canary === undefined ? {} : { canary_percent: options.canary }),
        ...(options.bake === undefined ? {} : { bake_seconds: options.bake }),
        ...(options.lease === undefined ? {} : { lease_seconds: options.lease }),
        ...(back === undefined ? {} : { automatic_rollback: back === 'on' }),
      };
      const policy =
        Object.keys(changed).length === 0
          ? present
          : await api.call(path, { method: 'PUT', body: { ...present, ...changed } });
      cli.output.json(policy);
      cli.output.line(`${service}: ${policyText(policy)}`);
    });
}

function wholeNumber(given: string): number {
  if (!/^\d{1,6}$/.test(given)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(given);
}

function seconds(given: string): number {
  const milliseconds = parseDuration(given);
  if (milliseconds === undefined || milliseconds % 1000 !== 0) {
    throw new InvalidArgumentError('Use a time in whole seconds, such as 90s, 10m or 0.');
  }
  return milliseconds / 1000;
}
