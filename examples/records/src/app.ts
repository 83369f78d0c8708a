/** The service, wired: keys of its own, verified callers, their secrets, their files. */

import { join } from 'node:path';
import { createPop, createSecretClient, createTokenVerifier, fileStore } from '@gatehouse/sdk';
import { gatehouseAuth, gatehousePop } from '@gatehouse/sdk/fastify';
import fastify, { type FastifyInstance } from 'fastify';
import { openFileCatalogue } from './file-catalogue.ts';
import { fileRoutes } from './file-routes.ts';
import { answerError } from './problem.ts';
import type { Settings } from './settings.ts';

/** Builds the application. Closing it closes everything it opened. */
export async function createRecords(settings: Settings): Promise<FastifyInstance> {
  const { issuer, audience, clientId, clientSecret, maxFileBytes, maxFilesPerUser } = settings;
  const app = fastify({ logger: { level: settings.logLevel }, requestTimeout: 120_000 });

  // 1. Keys of our own: others seal to them, only we open. Instances on one machine share the folder.
  const pop = await createPop({
    store: fileStore(popFolder(settings), settings.popStoreKey === undefined ? {} : { storeKey: settings.popStoreKey }),
    policy: { checkIntervalSeconds: settings.popCheckSeconds },
    onError: (error) => app.log.error({ err: error }, 'the keys of this service could not be rotated'),
  });
  // 2. Who is calling: verified here, with the server's public keys.
  const tokens = createTokenVerifier({ issuer, audience });
  // 3. The secret of whoever is calling, sealed to our key by the server.
  const secrets = createSecretClient({
    issuer,
    clientId,
    clientSecret,
    audience,
    pop,
    cache: { maxSeconds: settings.secretCacheSeconds },
  });
  // 4. Where their encrypted files are.
  const files = openFileCatalogue(settings.dataDir);

  app.setErrorHandler(answerError);
  app.addHook('onClose', async () => {
    pop.close();
    secrets.clear();
    files.close();
  });
  await app.register(gatehouseAuth, { tokens });
  await app.register(gatehousePop, { pop, maxPlaintextBytes: maxFileBytes });
  await app.register(fileRoutes({ files, secrets, maxFileBytes, maxFilesPerUser }));
  app.get('/health', { config: { public: true } }, async () => ({ status: 'ok' }));
  return app;
}

/** Where this service's own keys are. */
export function popFolder(settings: Pick<Settings, 'dataDir'>): string {
  return join(settings.dataDir, 'pop');
}
