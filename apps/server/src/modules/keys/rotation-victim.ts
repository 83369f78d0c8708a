/** A process of its own that stops in the middle of a rotation, for the test that kills it there. */
import { createDb, createLog, createSystemClock, createSystemRandom } from '../../kernel/index.ts';
import { openRootKeys } from './index.ts';
import { createKeyringService } from './keyring-service.ts';
import { envRootKey, origin, testRootKey } from './keys-fixture.ts';
import { createSealing } from './sealing.ts';

const [connectionString = '', keyring = ''] = process.argv.slice(2);
const db = createDb({ connectionString });
const clock = createSystemClock();
const random = createSystemRandom();
const log = createLog({ level: 'silent' });
const rootKeys = await openRootKeys({ db, clock, random, log, settings: envRootKey(testRootKey) });
const service = createKeyringService({
  db,
  clock,
  sealing: createSealing({ rootKeys, clock, random }),
  changes: { touch: async () => {} },
  audit: {
    append: () => {
      process.send?.('in the middle');
      return new Promise<void>(() => {});
    },
  },
});
setInterval(() => {}, 1000); // stays until it is killed
await service.rotate({ keyring, organization: 'gatehouse', origin, force: true });
