import { createRequire } from 'node:module';

/** The release this is. */
export const version: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version;
