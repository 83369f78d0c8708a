import type { JsonObject } from '@gatehouse/contracts';
import type { Entries } from './entries.ts';
import { JsonTextError, parseJsonText } from './json-text.ts';

/** Reads a JSON object: each member is a key. */
export function readJson(text: string, entries: Entries): void {
  if (text.trim() === '') {
    entries.problem(1, '', 'is empty', 'write {} for a configuration without keys');
    return;
  }
  try {
    const value = parseJsonText(text, entries.add);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      entries.problem(1, '', 'is not an object', 'write {"KEY": "value", …}');
    }
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    entries.problem(error.line, error.field, error.rule, error.fix);
  }
}

/** Writes a configuration as JSON, a key a line. */
export function writeJson(configuration: JsonObject): string {
  return `${JSON.stringify(configuration, undefined, 2)}\n`;
}
