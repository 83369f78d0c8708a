/**
 * Keys: the root key, sealing at rest, keyrings with their rotation, and the public documents of keys.
 *
 * Tables: `keys.root_keys`, `keys.data_keys`, `keys.data_key_wraps`, `keys.keyrings`, `keys.keys`.
 *
 * Invariants kept here: nothing is stored unsealed, and no key is made in place of one that does not open; a sealed
 * value opens only at its place; a signature key is published before it signs and accepted until its last token has
 * expired; a key past its time, expired or compromised is never used, even when rotation fails; each rotation happens
 * once per cluster; no document or answer carries a private member.
 *
 * Elsewhere: formats (`@gatehouse/crypto`), tokens and their claims (`identity`), user secrets (`secrets`), the
 * checkpoints signed with the keyring `audit` (`audit`). Guide: docs/guides/keys-and-rotation.md.
 */
import type { App, Changes, Clock, Db, Logger, Metrics, Random } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import type { KeyringDefinition } from './key.ts';
import { createKeyMemory } from './key-memory.ts';
import { createKeyUse } from './key-use.ts';
import { defaultKeyrings, longestUseSeconds } from './keyring-defaults.ts';
import { policyProblems } from './keyring-policy.ts';
import { createKeyringPublicKeys } from './keyring-public-keys.ts';
import { keyringRoutes } from './keyring-routes.ts';
import { createKeyringService, type KeyringService } from './keyring-service.ts';
import { publicKeyRoutes } from './public-key-routes.ts';
import type { RootKeys } from './root-key.ts';
import { createRotationLoop } from './rotation-loop.ts';
import { createSealing } from './sealing.ts';

export type { KeyringDefinition, KeyringPolicy, KeyState, PublicKeyEntry } from './key.ts';
export { defaultKeyrings } from './keyring-defaults.ts';
export type { KeyringPublicKeys } from './keyring-public-keys.ts';
export type { LastingJwk, PublicDocument } from './public-documents.ts';
export type { RootKey, RootKeys } from './root-key.ts';
export { openRootKeys } from './root-key-opening.ts';

/** What the module needs. `rootKeys` comes from {@link openRootKeys}, which has proved it against the store. */
export interface KeysDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'registry'>;
  readonly audit: Pick<Audit, 'append'>;
  readonly changes: Pick<Changes, 'touch' | 'watch'>;
  readonly rootKeys: RootKeys;
  /** Keyrings to make when they are not there; the default ones if absent. */
  readonly keyrings?: readonly KeyringDefinition[];
}

/** The module's front door. */
export type Keys = ReturnType<typeof createKeys>;

/** Wires the module. `start` makes what is missing, loads the keys and keeps them rotating. */
export function createKeys(deps: KeysDeps) {
  const { db, clock, random, log, metrics, audit, changes, rootKeys, keyrings = defaultKeyrings } = deps;
  const problems = keyrings.flatMap((one) => policyProblems(one, longestUseSeconds[one.purpose]));
  if (problems.length > 0) throw new Error(`keys: ${problems.join(' ')}`);

  const sealing = createSealing({ rootKeys, clock, random });
  const memory = createKeyMemory({ db, sealing });
  const use = createKeyUse({ memory, clock });
  const service = createKeyringService({ db, clock, audit, changes, sealing });
  const loop = createRotationLoop({ clock, log, metrics, changes, memory, service, use });
  const ensureKeyrings = () => service.ensureKeyrings(keyrings);

  /** Rotates a keyring now, in a transaction of its own: key pairs are made before it. False: another was faster. */
  const rotateKeyring: KeyringService['rotate'] = async (input) => {
    const changed = await service.rotate(input);
    await loop.reload();
    return changed;
  };
  /** Withdraws a key: on this node before this returns, on the others within two seconds. */
  const compromiseKey: KeyringService['compromise'] = async (input) => {
    const changed = await service.compromise(input);
    await loop.reload();
    return changed;
  };

  /** Changes the rotation policy of a keyring; each node's loop follows it within a minute. */
  const changePolicy: KeyringService['changePolicy'] = async (input) => {
    await service.changePolicy(input);
    await loop.reload();
  };

  return {
    ...sealing,
    ...use,
    publicKeysOf: createKeyringPublicKeys(deps),
    onChange: (listener: () => void) => loop.onChange(listener),
    rotateDue: () => loop.rotateDue(),
    ensureKeyrings,
    rotateKeyring,
    compromiseKey,
    changePolicy,
    routes(app: App): void {
      publicKeyRoutes({ use, memory, clock })(app);
      keyringRoutes({ db, clock, rotateKeyring, compromiseKey, changePolicy })(app);
    },
    async start(): Promise<void> {
      await ensureKeyrings();
      await loop.start();
    },
    stop: () => loop.stop(),
  };
}
