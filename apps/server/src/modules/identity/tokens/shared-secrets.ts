import { hkdfSync } from 'node:crypto';
import { type Db, named, type Random, type Tx } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';

/**
 * Secrets that all nodes share: they sign cookies, seal what oidc-provider stores, and make DPoP nonces.
 * One random master secret lies sealed in `identity.shared_secrets`; the rest is derived from it (HKDF-SHA256).
 */
export interface SharedSecrets {
  /** Signs the cookies of the sign-in pages (oidc-provider's `cookies.keys`). */
  readonly cookieKeys: readonly string[];
  /** 32 bytes: `features.dPoP.nonceSecret`, the same on all nodes so that a nonce of one is good on another. */
  readonly dpopNonceSecret: Buffer;
  /** 32 bytes: seals the payloads of codes, grants, browser sessions and device codes. */
  readonly artifactKey: Uint8Array;
  /** 32 bytes: keys the lookup hash of short user codes and the form tokens against request forgery. */
  readonly formKey: Uint8Array;
}

const masterId = 'oauth';
const lockStatement = { name: 'identity_lock_shared_secrets', text: `select pg_advisory_xact_lock(7240811005)` };
const findStatement = {
  name: 'identity_find_shared_secret',
  text: 'select sealed from identity.shared_secrets where id = $1',
};
const insertStatement = {
  name: 'identity_insert_shared_secret',
  text: 'insert into identity.shared_secrets (id, sealed) values ($1, $2)',
};

/** Loads the master secret, making it at the first start of the cluster. A secret that does not open stops the start. */
export async function loadSharedSecrets(deps: {
  db: Db;
  random: Random;
  keys: Pick<Keys, 'seal' | 'open'>;
}): Promise<SharedSecrets> {
  const master = await deps.db.transaction(async (tx) => {
    await named(tx, lockStatement, []);
    return (await findMaster(tx, deps)) ?? (await makeMaster(tx, deps));
  });
  const derive = (info: string) => new Uint8Array(hkdfSync('sha256', master, 'gatehouse identity', info, 32));
  return {
    cookieKeys: [Buffer.from(derive('cookies')).toString('base64url')],
    dpopNonceSecret: Buffer.from(derive('dpop-nonce')),
    artifactKey: derive('artifacts'),
    formKey: derive('forms'),
  };
}

const place = {
  organization: 'gatehouse',
  schema: 'identity',
  table: 'shared_secrets',
  rowId: masterId,
  owner: 'gatehouse',
} as const;

async function findMaster(tx: Tx, { keys }: { keys: Pick<Keys, 'open'> }): Promise<Uint8Array | undefined> {
  const [row] = await named<{ sealed: Buffer }>(tx, findStatement, [masterId]);
  return row ? keys.open(tx, place, row.sealed) : undefined;
}

async function makeMaster(tx: Tx, { keys, random }: { keys: Pick<Keys, 'seal'>; random: Random }): Promise<Uint8Array> {
  const master = random.bytes(32);
  await named(tx, insertStatement, [masterId, Buffer.from(await keys.seal(tx, place, master))]);
  return master;
}
