/**
 * `npm run bench [-- tokens logins exchange start configuration-read configuration-watch] [--seconds=5]`: each figure beside its floor or peer of the same run.
 * Ratios are what counts: absolute figures move with the neighbours of the machine. Ends with 1 when a budget is missed.
 */
import { measureConfigurationReads } from './configuration-read.ts';
import { measureConfigurationWatch } from './configuration-watch.ts';
import { measureExchange } from './exchange.ts';
import { measureLogins } from './logins.ts';
import { type Figure, report } from './measure.ts';
import { measureStart } from './start.ts';
import { measureTokens } from './tokens.ts';

const measurements: Record<string, (seconds: number) => Promise<Figure[]>> = {
  start: measureStart,
  tokens: measureTokens,
  logins: measureLogins,
  exchange: measureExchange,
  'configuration-read': measureConfigurationReads,
  'configuration-watch': measureConfigurationWatch,
};

const words = process.argv.slice(2);
const seconds = Number(words.find((word) => word.startsWith('--seconds='))?.slice('--seconds='.length) ?? 5);
const chosen = words.filter((word) => !word.startsWith('--'));
const unknown = chosen.find((name) => !measurements[name]);
if (unknown !== undefined || !(seconds >= 1 && seconds <= 60)) {
  process.stderr.write(`usage: npm run bench -- [${Object.keys(measurements).join('|')}] [--seconds=1…60]\n`);
  process.exit(2);
}
let missed = 0;
for (const name of chosen.length > 0 ? chosen : Object.keys(measurements)) {
  process.stderr.write(`measuring ${name} …\n`);
  missed += report((await measurements[name]?.(seconds)) ?? []);
}
process.exitCode = missed > 0 ? 1 : 0;
