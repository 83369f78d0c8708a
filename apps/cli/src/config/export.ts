import { formatConfiguration, isVisibleSecret } from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import type { Cli } from '../cli.ts';
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

/** The text of an export; says on stderr which keys other programs will not find in it. */
export function exportText(cli: Cli, format: Format, configuration: JsonObject): string {
  const { text, hidden } = formatConfiguration(format, configuration);
  if (hidden.length > 0) {
    const named = hidden.slice(0, 10).join(', ') + (hidden.length > 10 ? ` and ${hidden.length - 10} more` : '');
    cli.output.warning(
      `${hidden.length === 1 ? 'one key stands' : `${hidden.length} keys stand`} in comments, which only gatehouse reads: ${named}`,
    );
  }
  return text;
}
