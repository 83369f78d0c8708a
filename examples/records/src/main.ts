/** Starts the records service; everything it needs comes from the environment. SIGTERM and SIGINT end it in order. */
import { createRecords } from './app.ts';
import { readSettings, type Settings } from './settings.ts';

let settings: Settings;
try {
  settings = readSettings(process.env);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

const app = await createRecords(settings);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void app.close());
const address = await app.listen({ host: settings.host, port: settings.port });
console.log(`records: ready at ${address}`);
