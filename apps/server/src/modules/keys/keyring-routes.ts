import { Name, PageQuery, pageOf, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import { type App, AppError, type Clock, type Db, decodeCursor, pageFrom, type Reader } from '../../kernel/index.ts';
import type { Keyring, KeyringPolicy, StoredKey } from './key.ts';
import { keyInUse, nextTransitionAt } from './keyring-rules.ts';
import type { KeyringService } from './keyring-service.ts';
import { findKeyring, listKeyringsOf, listKeysOf } from './keyring-store.ts';

const tags = ['keyrings'];

const Policy = strictObject({
  validity_seconds: Type.Integer({ description: 'how long a key is in use, from its activation' }),
  legacy_seconds: Type.Integer({ description: 'how long a key is accepted, from its activation' }),
  publish_before_seconds: Type.Integer({ description: 'a signature key is published this long before it signs' }),
  min_keys: Type.Integer(),
  check_interval_seconds: Type.Integer(),
  initial_count: Type.Integer(),
});

const seconds = (minimum: number) => Type.Optional(Type.Integer({ minimum, maximum: 315_360_000 }));
const count = Type.Optional(Type.Integer({ minimum: 1, maximum: 10 }));
const PolicyChange = strictObject(
  {
    validity_seconds: seconds(60),
    legacy_seconds: seconds(60),
    publish_before_seconds: seconds(0),
    min_keys: count,
    check_interval_seconds: seconds(1),
  },
  { minProperties: 1 },
);

const KeyState = Type.Union([
  Type.Literal('created'),
  Type.Literal('valid'),
  Type.Literal('legacy'),
  Type.Literal('expired'),
  Type.Literal('compromised'),
]);

const KeyItem = strictObject({
  kid: Type.String(),
  state: KeyState,
  in_use: Type.Boolean({ description: 'the key that signs, or is offered first, at this moment' }),
  created_at: Timestamp,
  ready_at: Type.String({ format: 'date-time', description: 'from when on no cached document can lack the key' }),
  not_before: Timestamp,
  not_after: Type.Optional(Timestamp),
  expire_at: Type.Optional(Timestamp),
  ended_at: Type.Optional(Type.String({ format: 'date-time', description: 'when it expired or was withdrawn' })),
});

const KeyringItem = strictObject({
  name: Type.String(),
  organization: Type.String(),
  purpose: Type.Enum(['tokens', 'audit', 'pop', 'configuration']),
  use: Type.Union([Type.Literal('sig'), Type.Literal('enc')]),
  algorithm: Type.String(),
  key_bits: Type.Optional(Type.Integer()),
  policy: Policy,
  version: Type.Integer({ description: 'counts the changes of its keys' }),
  created_at: Timestamp,
  next_transition_at: Type.Optional(Timestamp),
  keys: Type.Array(KeyItem),
});

const RotateBody = Type.Union([
  strictObject({
    force: Type.Optional(
      Type.Boolean({ description: 'rotate although the next key is not yet in every cache: for emergencies' }),
    ),
  }),
  Type.Null(),
]);
const Rotated = strictObject({
  rotated: Type.Boolean({ description: 'false when another rotation came first: the keyring below is its result' }),
  keyring: KeyringItem,
});
const Compromised = strictObject({
  compromised: Type.Boolean({ description: 'false when the key had been withdrawn before' }),
  keyring: KeyringItem,
});
const ByName = strictObject({ name: Name });
const ByKid = strictObject({ name: Name, kid: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }) });

/** Administration of the keyrings of the caller's organization. Those of the platform belong to `gatehouse`. */
export function keyringRoutes(deps: {
  db: Db;
  clock: Clock;
  rotateKeyring: KeyringService['rotate'];
  compromiseKey: KeyringService['compromise'];
  changePolicy: KeyringService['changePolicy'];
}): (app: App) => void {
  const { db, clock, rotateKeyring, compromiseKey, changePolicy } = deps;
  const withKeys = async (tx: Reader, keyring: Keyring) =>
    toItem(keyring, await listKeysOf(tx, keyring.name), clock.now());
  const readOne = (name: string, organization: string) =>
    db.read(async (tx) => {
      const keyring = await findKeyring(tx, name);
      if (keyring?.organization !== organization) {
        throw new AppError('kernel.not_found', { detail: `There is no keyring ${name} in this organization.` });
      }
      return withKeys(tx, keyring);
    });

  return (app) => {
    app.get(
      '/v1/keyrings',
      {
        config: { auth: { permission: 'keys:read' } },
        schema: {
          summary: 'List keyrings with their keys',
          tags,
          operationId: 'listKeyrings',
          querystring: PageQuery,
          response: { 200: pageOf(KeyringItem) },
        },
      },
      async (request) => {
        const { limit = 50, cursor } = request.query;
        const [afterName = ''] = decodeCursor(cursor, 1) ?? [];
        return db.read(async (tx) => {
          const rows = await listKeyringsOf(tx, request.principal.organization, {
            afterName: String(afterName),
            limit,
          });
          const page = pageFrom(
            rows,
            limit,
            (row) => [row.name],
            (row) => row,
          );
          const items: Static<typeof KeyringItem>[] = [];
          for (const keyring of page.items) items.push(await withKeys(tx, keyring));
          return { ...page, items };
        });
      },
    );
    app.get(
      '/v1/keyrings/:name',
      {
        config: { auth: { permission: 'keys:read' } },
        schema: {
          summary: 'Read a keyring: states and times of its keys',
          tags,
          operationId: 'getKeyring',
          params: ByName,
          response: { 200: KeyringItem },
        },
      },
      async (request) => readOne(request.params.name, request.principal.organization),
    );
    app.patch(
      '/v1/keyrings/:name',
      {
        config: { auth: { permission: 'keys:rotate' } },
        schema: {
          summary: 'Change the rotation policy of a keyring',
          description:
            'Members left out stay. A shorter validity applies to the key in use too; a longer one from the next key on. A policy under which a token could outlive its key is refused with the numbers.',
          tags,
          operationId: 'updateKeyring',
          params: ByName,
          body: strictObject({ policy: PolicyChange }),
          response: { 200: KeyringItem },
        },
      },
      async (request) => {
        const { name } = request.params;
        const { organization } = request.principal;
        const policy = policyOf(request.body.policy);
        await changePolicy({ keyring: name, organization, origin: request.origin, policy });
        return readOne(name, organization);
      },
    );
    app.post(
      '/v1/keyrings/:name/rotate',
      {
        config: { auth: { permission: 'keys:rotate' } },
        schema: {
          summary: 'Rotate a keyring now',
          description:
            'The next key is put in use, the present one is accepted on until the last thing it signed has expired, and a new next key is made. Refused with 409 while the next key may be missing in caches; `force` overrides that.',
          tags,
          operationId: 'rotateKeyring',
          params: ByName,
          body: RotateBody,
          response: { 200: Rotated },
        },
      },
      async (request) => {
        const { name } = request.params;
        const { organization } = request.principal;
        const rotated = await rotateKeyring({
          keyring: name,
          organization,
          origin: request.origin,
          force: request.body?.force ?? false,
        });
        return { rotated, keyring: await readOne(name, organization) };
      },
    );
    app.post(
      '/v1/keyrings/:name/keys/:kid/compromise',
      {
        config: { auth: { permission: 'keys:rotate' } },
        schema: {
          summary: 'Withdraw a compromised key at once',
          description:
            'The key leaves the public documents, is never used or accepted again, and its private part is erased. If it was in use, the next key takes its place now.',
          tags,
          operationId: 'compromiseKey',
          params: ByKid,
          response: { 200: Compromised },
        },
      },
      async (request) => {
        const { name, kid } = request.params;
        const { organization } = request.principal;
        const compromised = await compromiseKey({ keyring: name, kid, organization, origin: request.origin });
        return { compromised, keyring: await readOne(name, organization) };
      },
    );
  };
}

function policyOf(change: Static<typeof PolicyChange>): Partial<KeyringPolicy> {
  const members: [keyof KeyringPolicy, number | undefined][] = [
    ['validitySeconds', change.validity_seconds],
    ['legacySeconds', change.legacy_seconds],
    ['publishBeforeSeconds', change.publish_before_seconds],
    ['minKeys', change.min_keys],
    ['checkIntervalSeconds', change.check_interval_seconds],
  ];
  return Object.fromEntries(members.filter(([, value]) => value !== undefined)) as Partial<KeyringPolicy>;
}

function toItem(keyring: Keyring, keys: readonly StoredKey[], now: Date): Static<typeof KeyringItem> {
  const { policy, keyBits } = keyring;
  const inUse = keyInUse(policy, keys, now)?.kid;
  const next = nextTransitionAt(keys);
  return {
    name: keyring.name,
    organization: keyring.organization,
    purpose: keyring.purpose,
    use: keyring.use,
    algorithm: keyring.algorithm,
    ...(keyBits === undefined ? {} : { key_bits: keyBits }),
    policy: {
      validity_seconds: policy.validitySeconds,
      legacy_seconds: policy.legacySeconds,
      publish_before_seconds: policy.publishBeforeSeconds,
      min_keys: policy.minKeys,
      check_interval_seconds: policy.checkIntervalSeconds,
      initial_count: policy.initialCount,
    },
    version: Number(keyring.version),
    created_at: keyring.createdAt.toISOString(),
    ...(next ? { next_transition_at: next.toISOString() } : {}),
    keys: keys.map((key) => ({
      kid: key.kid,
      state: key.state,
      in_use: key.kid === inUse,
      created_at: key.createdAt.toISOString(),
      ready_at: key.readyAt.toISOString(),
      not_before: key.notBefore.toISOString(),
      ...(key.notAfter ? { not_after: key.notAfter.toISOString() } : {}),
      ...(key.expireAt ? { expire_at: key.expireAt.toISOString() } : {}),
      ...(key.endedAt ? { ended_at: key.endedAt.toISOString() } : {}),
    })),
  };
}
