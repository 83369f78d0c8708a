/**
 * @gatehouse/configuration/formats: configurations as `.env`, JSON, YAML and properties files, read and written without
 * loss, and as a TypeScript type. The dialects are in docs/guides/move-from-env-files.md.
 *
 * Invariants: what is written for a configuration reads as that configuration; what is wrong is refused with line, rule
 * and fix, and no message holds a value; texts are bounded and nothing in them is executed.
 */
export type { FormatWarning, ParsedConfiguration } from './entries.ts';
export {
  type ConfigurationFormat,
  type ConfigurationText,
  configurationFormats,
  formatConfiguration,
  formatOfFile,
  parseConfiguration,
} from './formats.ts';
export { typescriptName, typescriptType } from './typescript-type.ts';
