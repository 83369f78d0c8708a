import { isVisibleSecret } from '@gatehouse/configuration';
import { formatConfiguration } from '@gatehouse/configuration/formats';
import type { JsonObject } from '@gatehouse/contracts';
import type { Cli } from '../cli.ts';
import { count } from '../values.ts';
import type { Format } from './options.ts';
import type { Present, Remote } from './remote.ts';

/** The configuration with its secrets in the clear, as a new version is written: `{"$secret": <value>}`. */
export async function withRevealed(
  remote: Remote,
  { version }: Present,
  configuration: JsonObject,
  reason: string | undefined,
): Promise<JsonObject> {
  const keys = Object.entries(configuration).flatMap(([key, value]) => (isVisibleSecret(value) ? [key] : []));
  if (keys.length === 0) return configuration;
  const values = await remote.reveal(version, keys, reason);
  return Object.fromEntries(
    Object.entries(configuration).map(([key, value]) => [key, keys.includes(key) ? { $secret: values[key] } : value]),
  );
}

/** The text of an export; says on stderr what other programs will not find in it. */
export function exportText(cli: Cli, format: Format, configuration: JsonObject): string {
  const { text, hidden } = formatConfiguration(format, configuration);
  const masked = Object.values(configuration).filter((value) => isVisibleSecret(value)).length;
  if (masked > 0) cli.output.progress(`${count(masked, 'secret')} masked: import keeps what is not written anew.`);
  const others = hidden.filter((key) => !isVisibleSecret(configuration[key]));
  if (others.length > 0) {
    const named = others.slice(0, 10).join(', ') + (others.length > 10 ? ` and ${others.length - 10} more` : '');
    cli.output.warning(`this format has no way to write ${named}: in comments, where other programs do not see it`);
  }
  return text;
}
