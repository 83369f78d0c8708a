/**
 * `npm run rotate-keys`: replaces this service's keys now, whatever the schedule says. Running instances follow within
 * RECORDS_POP_CHECK_SECONDS; what was sealed to the old keys still opens until they expire.
 */
import { createPop, fileStore } from '@gatehouse/sdk';
import { popFolder } from './app.ts';
import { readSettings } from './settings.ts';

const settings = readSettings(process.env);
const { popStoreKey: storeKey } = settings;
const pop = await createPop({ store: fileStore(popFolder(settings), storeKey === undefined ? {} : { storeKey }) });
await pop.rotate({ force: true });
pop.close();
for (const key of pop.list()) console.log(`${key.kid}  ${key.use}  ${key.alg}  ${key.state}`);
