import type { JsonObject } from '@gatehouse/contracts';
import { type GeneratedKeyPair, generateKeyPair } from '@gatehouse/crypto';
import { AppError, type Changes, type Clock, type Db, type Origin, type Tx } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import {
  type Keyring,
  type KeyringDefinition,
  type KeyringPolicy,
  platformOrganization,
  type StoredKey,
} from './key.ts';
import { privateKeyPlace } from './key-memory.ts';
import { longestUseSeconds } from './keyring-defaults.ts';
import { planPolicyChange, policyProblems } from './keyring-policy.ts';
import {
  isEmptyPlan,
  type NewKeyTimes,
  planCompromise,
  planInitialKeys,
  planManualRotation,
  planRotation,
  type RotationPlan,
} from './keyring-rules.ts';
import {
  bumpKeyring,
  endKey,
  findKeyring,
  findKeyringForUpdate,
  insertKey,
  insertKeyring,
  listKeyrings,
  listKeysOf,
  listLiveKeys,
  updateKeyState,
  updateKeyTimes,
  updatePolicy,
} from './keyring-store.ts';
import { jwksKeys, lastingKeys, popKeys, readyAtOf } from './public-documents.ts';
import type { Sealing } from './sealing.ts';

/** The topic under which nodes hear of changed keys. */
export const changesTopic = 'keys';

/** What the keyring service needs. */
export interface KeyringServiceDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly audit: Pick<Audit, 'append'>;
  readonly changes: Pick<Changes, 'touch'>;
  readonly sealing: Pick<Sealing, 'seal'>;
}

/** Changes keyrings, each change once per cluster. */
export interface KeyringService {
  /** Makes the keyrings that are not there yet. */
  ensureKeyrings(definitions: readonly KeyringDefinition[]): Promise<void>;
  /** One scheduled pass over one keyring; true when it changed something on this node's account. */
  rotateIfDue(name: string): Promise<boolean>;
  /** Rotates now; false when another rotation of the keyring came in between, which is as good. */
  rotate(input: { keyring: string; organization: string; origin: Origin; force: boolean }): Promise<boolean>;
  /** Changes the rotation policy; refused with the numbers when it does not hold. */
  changePolicy(input: {
    keyring: string;
    organization: string;
    origin: Origin;
    policy: Partial<KeyringPolicy>;
  }): Promise<void>;
  /** Withdraws a key at once; false when it was withdrawn already. */
  compromise(input: { keyring: string; kid: string; organization: string; origin: Origin }): Promise<boolean>;
}

const systemOrigin: Origin = { actor: { type: 'system', id: 'keys' }, organization: platformOrganization };

/**
 * Creates the service. Every change goes the same way: read the keyring, plan by pure rules, make key pairs outside any
 * transaction (RSA takes up to half a second), then lock the keyring's row and apply the plan only if its version is
 * still the one planned for. A node that lost throws its keys away; a node killed in between has changed nothing.
 */
export function createKeyringService(deps: KeyringServiceDeps): KeyringService {
  const { db, clock, audit, changes, sealing } = deps;

  const storePairs = async (tx: Tx, keyring: KeyringDefinition, made: readonly Made[], now: Date, atBirth: boolean) => {
    for (const { times, pair } of made) {
      const secret = new TextEncoder().encode(JSON.stringify(pair.privateJwk));
      await insertKey(tx, {
        kid: pair.kid,
        keyring: keyring.name,
        state: times.state,
        createdAt: now,
        // No document without the first keys was ever published, so no cache can lack them.
        readyAt: atBirth ? now : readyAtOf(keyring, now),
        notBefore: times.notBefore,
        notAfter: times.state === 'valid' ? times.notAfter : undefined,
        expireAt: times.state === 'valid' ? times.expireAt : undefined,
        endedAt: undefined,
        publicJwk: pair.publicJwk,
        privateSealed: await sealing.seal(tx, privateKeyPlace(keyring, pair.kid), secret),
      });
      secret.fill(0);
    }
  };

  const makeKeyring = async (definition: KeyringDefinition): Promise<void> => {
    const now = clock.now();
    const plan = planInitialKeys(definition.policy, now);
    const made = await makePairs(definition, plan);
    await db.transaction(async (tx) => {
      if (!(await insertKeyring(tx, definition, now))) return;
      await storePairs(tx, definition, made, now, true);
      await audit.append(tx, {
        action: 'keyring.created',
        organization: definition.organization,
        origin: systemOrigin,
        target: { type: 'keyring', id: definition.name },
        details: { algorithm: definition.algorithm, kids: made.map(({ pair }) => pair.kid) },
      });
      await changes.touch(tx, changesTopic);
    });
  };

  /** Applies a plan if nobody changed the keyring since it was made. */
  const apply = async (keyring: Keyring, plan: RotationPlan, act: Act): Promise<boolean> => {
    const made = await makePairs(keyring, plan);
    return db.transaction(async (tx) => {
      const locked = await findKeyringForUpdate(tx, keyring.name);
      if (locked?.version !== keyring.version) return false;
      const now = clock.now();
      for (const { kid, ...times } of plan.activate) await updateKeyState(tx, kid, { state: 'valid', ...times });
      for (const { kid, ...times } of plan.retire) await updateKeyState(tx, kid, { state: 'legacy', ...times });
      for (const kid of plan.expire) await endKey(tx, kid, 'expired', now);
      for (const kid of plan.compromise) await endKey(tx, kid, 'compromised', now);
      await storePairs(tx, keyring, made, now, false);
      await bumpKeyring(tx, keyring.name);
      await audit.append(tx, {
        action: act.action,
        organization: keyring.organization,
        origin: act.origin,
        target: act.target,
        details: {
          keyring: keyring.name,
          ...act.details,
          activated: plan.activate.map((key) => key.kid),
          retired: plan.retire.map((key) => key.kid),
          expired: [...plan.expire],
          created: made.map(({ pair }) => pair.kid),
          jwks: await publishedAfter(tx, keyring, now),
        },
      });
      await changes.touch(tx, changesTopic);
      return true;
    });
  };

  const readOwn = async (name: string, organization: string) =>
    db.read(async (tx) => {
      const keyring = await findKeyring(tx, name);
      if (keyring?.organization !== organization) throw noKeyring(name);
      return { keyring, keys: await listKeysOf(tx, name) };
    });

  return {
    async ensureKeyrings(definitions) {
      const known = new Set((await db.read(listKeyrings)).map((keyring) => keyring.name));
      await Promise.all(definitions.filter((one) => !known.has(one.name)).map(makeKeyring));
    },
    async rotateIfDue(name) {
      const found = await db.read(async (tx) => {
        const keyring = await findKeyring(tx, name);
        return keyring && { keyring, keys: await listKeysOf(tx, name) };
      });
      if (!found) return false;
      const plan = planRotation(found.keyring.policy, found.keys, clock.now());
      if (isEmptyPlan(plan)) return false;
      return apply(found.keyring, plan, rotated(found.keyring, systemOrigin, { cause: 'schedule' }));
    },
    async rotate({ keyring: name, organization, origin, force }) {
      const { keyring, keys } = await readOwn(name, organization);
      const plan = planManualRotation(keyring.policy, keys, clock.now(), force);
      if ('readyAt' in plan) throw notReady(plan.kid, plan.readyAt, clock.now());
      return apply(keyring, plan, rotated(keyring, origin, { cause: 'request', forced: force }));
    },
    async changePolicy({ keyring: name, organization, origin, policy: change }) {
      await db.transaction(async (tx) => {
        const keyring = await findKeyringForUpdate(tx, name);
        if (keyring?.organization !== organization) throw noKeyring(name);
        const policy = { ...keyring.policy, ...change };
        const problems = policyProblems({ ...keyring, policy }, longestUseSeconds[keyring.purpose]);
        if (problems.length > 0) throw new AppError('keys.invalid_policy', { detail: problems.join(' ') });
        const plan = planPolicyChange(policy, await listKeysOf(tx, name), clock.now());
        await updatePolicy(tx, name, policy);
        for (const { kid, ...times } of plan.shorten) await updateKeyTimes(tx, kid, times);
        for (const { kid, ...times } of plan.advance) await updateKeyTimes(tx, kid, times);
        await bumpKeyring(tx, name);
        await audit.append(tx, {
          action: 'keyring.policy_changed',
          organization,
          origin,
          target: { type: 'keyring', id: name },
          details: { before: { ...keyring.policy }, after: { ...policy } },
        });
        await changes.touch(tx, changesTopic);
      });
    },
    async compromise({ keyring: name, kid, organization, origin }) {
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const { keyring, keys } = await readOwn(name, organization);
        const key = keys.find((one) => one.kid === kid);
        if (!key) throw new AppError('kernel.not_found', { detail: `The keyring ${name} has no key ${kid}.` });
        if (key.state === 'compromised') return false;
        const act = {
          action: 'keys.compromised',
          origin,
          target: { type: 'key', id: kid },
          details: { state_before: key.state },
        };
        if (await apply(keyring, planCompromise(keyring.policy, keys, clock.now(), kid), act)) return true;
      }
      throw new AppError('kernel.conflict', { detail: `The keyring ${name} keeps changing. Try again.` });
    },
  };
}

interface Made {
  readonly times: NewKeyTimes;
  readonly pair: GeneratedKeyPair;
}

interface Act {
  readonly action: string;
  readonly origin: Origin;
  readonly target: { type: string; id: string };
  readonly details: JsonObject;
}

function rotated(keyring: Keyring, origin: Origin, details: JsonObject): Act {
  return { action: 'keys.rotated', origin, target: { type: 'keyring', id: keyring.name }, details };
}

async function makePairs(keyring: KeyringDefinition, plan: RotationPlan): Promise<Made[]> {
  const options = keyring.keyBits === undefined ? {} : { modulusBits: keyring.keyBits };
  return Promise.all(
    plan.create.map(async (times) => ({ times, pair: await generateKeyPair(keyring.algorithm, options) })),
  );
}

/** The public document that a change of this keyring touches, as it is after the change: subscribers need no fetch. */
async function publishedAfter(tx: Tx, changed: Keyring, now: Date): Promise<JsonObject> {
  const live: readonly StoredKey[] = await listLiveKeys(tx);
  const rings = (await listKeyrings(tx)).map((keyring) => ({
    keyring,
    keys: live.filter((key) => key.keyring === keyring.name),
  }));
  const keys =
    changed.purpose === 'audit' || changed.purpose === 'configuration'
      ? lastingKeys(rings, changed.purpose)
      : (changed.purpose === 'pop' ? popKeys(rings, now) : jwksKeys(rings, now)).map((key) => key.publicJwk);
  return { keys: keys as unknown as readonly JsonObject[] };
}

function noKeyring(name: string): AppError {
  return new AppError('kernel.not_found', { detail: `There is no keyring ${name} in this organization.` });
}

function notReady(kid: string, readyAt: Date, now: Date): AppError {
  const seconds = Math.max(1, Math.ceil((readyAt.getTime() - now.getTime()) / 1000));
  return new AppError('keys.not_ready', {
    detail: `The next key ${kid} is in every cache of the JWKS only from ${readyAt.toISOString()}. Try then, or, in an emergency, rotate with force: clients that do not refetch on an unknown kid refuse tokens until their cache ends.`,
    headers: { 'retry-after': String(seconds) },
    extensions: { ready_at: readyAt.toISOString() },
  });
}
