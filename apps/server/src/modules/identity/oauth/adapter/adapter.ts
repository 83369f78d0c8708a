import { type Adapter, type AdapterFactory, type AdapterPayload, errors } from 'oidc-provider';
import {
  addSeconds,
  type Clock,
  createSystemClock,
  type Db,
  epochSeconds,
  type Reader,
  type Tx,
} from '../../../../kernel/index.ts';
import type { ArtifactSeal } from './artifact-seal.ts';
import {
  type ArtifactRow,
  type ConsumedRow,
  consumeArtifact,
  deleteArtifact,
  findArtifact,
  findArtifactByUid,
  findArtifactByUserCode,
  findConsumedArtifact,
  upsertArtifact,
} from './artifact-store.ts';

/** What happens beside an artefact's row, in its transaction. */
export interface ArtifactHooks {
  /** A browser's sign-in is about to be kept: refused when its user has been suspended or got another password since. */
  browserSaved(tx: Tx, payload: AdapterPayload): Promise<void>;
  /** A grant was saved: the session it stands for begins or goes on. Audits a consent. */
  grantSaved(tx: Tx, grantHash: Buffer, payload: AdapterPayload): Promise<void>;
  /** A grant ended: so does its session. */
  grantEnded(tx: Tx, grantHash: Buffer, reason: string): Promise<void>;
  /** A refresh token was issued with a code or device code. */
  refreshTokenSaved(tx: Tx, grantHash: Buffer, value: string, payload: AdapterPayload): Promise<void>;
  /** The metadata of a client; undefined when there is none. */
  findClient(clientId: string): Promise<AdapterPayload | undefined>;
}

/** oidc-provider judges times by the machine's clock; ours may be another one in tests. */
const providerClock = createSystemClock();

/**
 * oidc-provider's storage over PostgreSQL. Every method is one transaction. Ids never reach the database, only their
 * hashes, and payloads are sealed: see `artifact-seal.ts`.
 */
export function createAdapterFactory(deps: {
  db: Db;
  clock: Clock;
  seal: ArtifactSeal;
  hooks: ArtifactHooks;
}): AdapterFactory {
  const factory: AdapterFactory = (model) => {
    if (model === 'Client') return clientAdapter(deps.hooks);
    if (model === 'RefreshToken') return refreshTokenAdapter(deps);
    return artifactAdapter(model, deps);
  };
  return factory;
}

type Deps = Parameters<typeof createAdapterFactory>[0];

function artifactAdapter(model: string, { db, clock, seal, hooks }: Deps): Adapter {
  const load = async (query: (tx: Reader) => Promise<ArtifactRow | undefined>) => {
    const row = await db.read(query);
    if (!row) return undefined;
    const payload = seal.open(row.id_hash, row.sealed) as AdapterPayload;
    const remaining = Math.floor((row.expires_at.getTime() - clock.now().getTime()) / 1000);
    payload.exp = epochSeconds(providerClock) + remaining;
    // Of codes this is decided in `consume`, after all other checks: oidc-provider would take every rival for a replay.
    if (row.consumed_at && model === 'PushedAuthorizationRequest') payload.consumed = epochSeconds(providerClock);
    return payload;
  };
  return {
    async upsert(id, payload, expiresIn = 0) {
      const idHash = seal.idHash(model, id);
      const grantId = model === 'Grant' ? id : payload.grantId;
      const grantHash = grantId === undefined ? null : seal.grantHash(grantId);
      await db.transaction(async (tx) => {
        if (model === 'Session') await hooks.browserSaved(tx, payload);
        await upsertArtifact(tx, {
          idHash,
          model,
          sealed: seal.seal(idHash, payload),
          grantHash,
          uidHash: model === 'Session' && payload.uid !== undefined ? seal.uidHash(payload.uid) : null,
          userCodeHash: payload.userCode === undefined ? null : seal.userCodeHash(payload.userCode),
          userId: userOf(payload) ?? null,
          clientId: payload.clientId ?? null,
          expiresAt: addSeconds(clock.now(), expiresIn),
        });
        if (model === 'Grant' && grantHash) await hooks.grantSaved(tx, grantHash, payload);
      });
    },
    find: (id) => load((tx) => findArtifact(tx, seal.idHash(model, id))),
    findByUid: (uid) => load((tx) => findArtifactByUid(tx, model, seal.uidHash(uid))),
    findByUserCode: (userCode) => load((tx) => findArtifactByUserCode(tx, model, seal.userCodeHash(userCode))),
    async consume(id) {
      const idHash = seal.idHash(model, id);
      const now = clock.now();
      const won = await db.transaction(async (tx) => {
        if (await consumeArtifact(tx, idHash, now)) return true;
        const first = await findConsumedArtifact(tx, idHash);
        // RFC 6749 §4.1.2: a code that is used again was seen by somebody else; whatever came of it ends.
        if (first?.grant_hash && isReplay(first, now))
          await hooks.grantEnded(tx, first.grant_hash, `${model} used twice`);
        return false;
      });
      // oidc-provider reads, checks, and only then consumes: losing must stop the request here, before anything is issued.
      if (won) return;
      if (model === 'PushedAuthorizationRequest') throw new errors.InvalidRequestUri('request_uri was already used');
      throw new errors.InvalidGrant('already used');
    },
    async destroy(id) {
      await db.transaction(async (tx) => {
        if (model === 'Grant') await hooks.grantEnded(tx, seal.grantHash(id), 'grant revoked');
        else await deleteArtifact(tx, seal.idHash(model, id));
      });
    },
    revokeByGrantId: endsWithItsGrant,
  };
}

/** A request that loses may run beside the winner for this long; a winner that died does not shield replays for ever. */
const rivalSeconds = 30;

/**
 * A rival lost a race that is still on: a client that sent its request twice. It is refused, and the winner keeps what it
 * gets. Whoever comes when the winner has its answer replays the code.
 */
function isReplay(first: ConsumedRow, now: Date): boolean {
  if (first.completed_at) return true;
  return !first.consumed_at || addSeconds(first.consumed_at, rivalSeconds) < now;
}

/**
 * oidc-provider asks each model at once to end what belongs to a grant, and then the grant to end itself. That last one
 * ends them all, in one transaction and in one order; doing it here too would make the transactions wait for each other.
 */
async function endsWithItsGrant(): Promise<void> {}

/** Whose artefact it is, so that suspending a user ends it: also a sign-in that has not come back to us yet. */
function userOf(payload: AdapterPayload): string | undefined {
  const result = payload.result as { login?: { accountId?: string } } | undefined;
  const session = payload.session as { accountId?: string } | undefined;
  return payload.accountId ?? result?.login?.accountId ?? session?.accountId;
}

/**
 * Refresh tokens have a store of their own, shared with the headless sessions (`tokens/refresh-rotation.ts`).
 * oidc-provider only hands over the first of a family; reading and rotating is our grant handler's work.
 */
function refreshTokenAdapter({ db, seal, hooks }: Deps): Adapter {
  const nothing = async () => undefined;
  return {
    async upsert(id, payload) {
      const { grantId } = payload;
      if (grantId === undefined) throw new errors.InvalidGrant('a refresh token needs a grant');
      await db.transaction((tx) => hooks.refreshTokenSaved(tx, seal.grantHash(grantId), id, payload));
    },
    find: nothing,
    findByUid: nothing,
    findByUserCode: nothing,
    consume: nothing,
    destroy: nothing,
    revokeByGrantId: endsWithItsGrant,
  };
}

/** Clients are our services; oidc-provider never writes them. */
function clientAdapter(hooks: ArtifactHooks): Adapter {
  const refuse = async () => {
    throw new Error('clients are managed as services');
  };
  return {
    upsert: refuse,
    find: (id) => hooks.findClient(id),
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: refuse,
  };
}
