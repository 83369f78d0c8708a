/** Tokens made with the server's own private keys: what is refused then is refused for what it says. */
import { createGatehouse } from '../../src/app.ts';
import { readSettings } from '../../src/config.ts';
import { createLog, createSystemClock, createSystemRandom } from '../../src/kernel/index.ts';
import type { Cluster } from './cluster.ts';

/** Signs anything with the keys of a cluster. */
export interface Forge {
  sign(input: {
    keyring?: 'tokens-es256' | 'tokens-rs256' | 'audit';
    header?: { typ?: string };
    payload: object | Uint8Array;
  }): Promise<string>;
  close(): Promise<void>;
}

/** Opens the keys of a cluster in this process, as one more node that serves nobody. */
export async function createForge(cluster: Pick<Cluster, 'env'>): Promise<Forge> {
  const settings = readSettings(cluster.env);
  const gatehouse = await createGatehouse({
    settings,
    connectionString: settings.databaseUrl ?? '',
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: createLog({ level: 'silent' }),
  });
  await gatehouse.start();
  return {
    sign: ({ keyring = 'tokens-es256', header = { typ: 'at+jwt' }, payload }) =>
      gatehouse.modules.keys.sign({ keyring, header, payload: payload as Uint8Array }),
    close: () => gatehouse.stop(),
  };
}
