import { type AgentSecrets, type BundlePayload, bundleType } from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import { encodeBase64Url, encryptCompactJwe, type PublicJwk } from '@gatehouse/crypto';
import { AppError, createGroupCommit, type Db, type Origin, type Outcome, type Tx } from '../../../kernel/index.ts';
import type { Audit, NewEntry } from '../../audit/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { AgentCaller } from '../agents/agent.ts';
import { agentOrigin } from '../agents/agent-service.ts';
import { findAgent } from '../agents/agent-store.ts';
import { namespacePath } from '../namespaces/namespace.ts';
import { isStoredSecret, type SecretValues, toVisible } from '../values/secret-values.ts';
import type { StoredConfiguration } from '../versions/version.ts';
import { findVersion } from '../versions/version-store.ts';
import { createByteCache } from './byte-cache.ts';
import type { NamespaceHead } from './delivery-store.ts';

/** One version, ready to be handed out. It never changes. */
interface Content {
  readonly tag: string;
  readonly effective: StoredConfiguration;
  readonly holdsSecrets: boolean;
  readonly payload: BundlePayload;
  /** `{key: value}`, for service tokens. */
  readonly plain: string;
}

/** An answer as it is sent. */
export interface Answer {
  readonly etag: string;
  readonly body: string;
}

interface SignedBundle {
  readonly kid: string;
  readonly jws: string;
  /** The whole answer for an agent, when there are no secrets to go with it. */
  readonly body: string;
}

interface Delivery {
  readonly caller: AgentCaller;
  readonly origin: Origin;
  readonly namespace: NamespaceHead;
  readonly content: Content;
}

interface Released {
  readonly jwk: PublicJwk;
  readonly values: AgentSecrets['values'];
}

const contentBytes = 32 * 1024 * 1024;
const bundleBytes = 32 * 1024 * 1024;
const sealedBytes = 32 * 1024 * 1024;

/**
 * What agents get: a version as a signed bundle, the same for all of them, and its secrets encrypted to the one who asks.
 * Versions never change, so contents, signatures and ciphertexts are kept. Each encryption of secrets is an audit entry,
 * committed before they are sent; the same ciphertext sent to its agent again is not another release.
 */
export function createBundles(deps: {
  issuer: string;
  db: Db;
  audit: Pick<Audit, 'appendAll'>;
  keys: Pick<Keys, 'sign' | 'inUse'>;
  secretValues: Pick<SecretValues, 'open'>;
}) {
  const { issuer, db, audit, keys, secretValues } = deps;
  const contents = createByteCache<Content>(contentBytes);
  const bundles = createByteCache<SignedBundle>(bundleBytes);
  const sealed = createByteCache<string>(sealedBytes);

  const readContent = async (namespace: NamespaceHead, version: number): Promise<Content> => {
    const found = await db.read((tx) => findVersion(tx, namespace.id, version));
    if (!found) throw noSuchVersion(version, namespace.latestVersion);
    const configuration = toVisible(found.effective);
    const { organization, service, name } = namespace;
    const payload: BundlePayload = {
      iss: issuer,
      organization,
      service,
      namespace: name,
      version,
      previous_hash: found.previousHash,
      hash: found.hash,
      content_hash: found.contentHash,
      published_at: found.createdAt.toISOString(),
      kind: found.kind,
      configuration,
    };
    const plain = JSON.stringify(configuration);
    const holdsSecrets = Object.values(found.effective).some(isStoredSecret);
    return { tag: `${version}.${found.hash.slice(0, 16)}`, effective: found.effective, holdsSecrets, payload, plain };
  };

  /** Many ask for a new version at once: it is read and signed for the first of them. */
  const underWay = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const running = underWay.get(key) as Promise<T> | undefined;
    if (running) return running;
    const started = work().finally(() => underWay.delete(key));
    underWay.set(key, started);
    return started;
  };

  const contentOf = async (namespace: NamespaceHead, version: number): Promise<Content> => {
    const key = `${namespace.id}/${version}`;
    const known = contents.get(key);
    if (known) return known;
    return once(`content ${key}`, async () => {
      const content = await readContent(namespace, version);
      contents.set(key, content, content.plain.length * 4 + 1024);
      return content;
    });
  };

  const bundleOf = async (namespace: NamespaceHead, content: Content): Promise<SignedBundle> => {
    const key = `${namespace.id}/${content.payload.version}`;
    const kid = keys.inUse('configuration')?.kid;
    const known = bundles.get(key);
    if (known && known.kid === kid) return known;
    return once(`bundle ${key}`, async () => {
      const payload = content.payload as unknown as JsonObject;
      const jws = await keys.sign({ keyring: 'configuration', header: { typ: bundleType }, payload });
      const signed = { kid: kid ?? '', jws, body: `{"bundle":"${jws}"}` };
      bundles.set(key, signed, jws.length * 2 + 256);
      return signed;
    });
  };

  /** Lets a crowd of agents have the secrets of versions: one audit entry each, in the transaction that opens them. */
  const release = createGroupCommit<Delivery, Released>(db, async (tx, deliveries) => {
    const opened = new Map<Content, AgentSecrets['values']>();
    const outcomes: Outcome<Released>[] = [];
    const entries: NewEntry[] = [];
    for (const { caller, origin, content, namespace } of deliveries) {
      const agent = await findAgent(tx, caller.agentId);
      if (agent?.encryptionKid !== caller.encryptionKid || agent.revokedAt !== undefined) {
        outcomes.push({ error: new AppError('configuration.agent_revoked') });
        continue;
      }
      const values = opened.get(content) ?? (await openSecrets(tx, namespace, content));
      opened.set(content, values);
      outcomes.push({ value: { jwk: agent.encryptionJwk, values } });
      entries.push({
        action: 'configuration.secrets_delivered',
        organization: namespace.organization,
        origin: { ...agentOrigin(caller.agentId, origin), organization: namespace.organization },
        target: { type: 'namespace', id: namespacePath(namespace) },
        details: { version: content.payload.version },
      });
    }
    await audit.appendAll(tx, entries);
    return outcomes;
  });

  const openSecrets = async (tx: Tx, namespace: NamespaceHead, { effective }: Content) => {
    const opened = await secretValues.open(tx, namespace, effective);
    return Object.fromEntries(
      [...opened].map(([key, { salt, value }]) => [key, { salt: encodeBase64Url(salt), value }] as const),
    );
  };

  const deliver = async (delivery: Delivery): Promise<string> => {
    const { caller, namespace, content } = delivery;
    const { jwk, values } = await release(delivery);
    const plaintext: AgentSecrets = {
      agent: caller.agentId,
      service: namespace.service,
      namespace: namespace.name,
      version: content.payload.version,
      values,
    };
    const input = { jwk, kid: caller.encryptionKid, cty: 'json', plaintext: JSON.stringify(plaintext) };
    return inTurn(() => encryptCompactJwe(input));
  };

  return {
    /** The values themselves, for the holder of a service token. Secrets are for enrolled agents only: 403. */
    async plainAnswer(namespace: NamespaceHead, version: number): Promise<Answer> {
      const content = await contentOf(namespace, version);
      if (content.holdsSecrets) {
        throw new AppError('configuration.enrolment_required', {
          detail: `Version ${version} holds secrets. They are sent encrypted to agents that have enrolled, never to a service token.`,
        });
      }
      return { etag: `"${content.tag}"`, body: content.plain };
    },

    /** The signed bundle, with its secrets encrypted to the agent. */
    async agentAnswer(
      caller: AgentCaller,
      namespace: NamespaceHead,
      version: number,
      request: { origin: () => Origin; isCurrent: (etag: string) => boolean },
    ): Promise<Answer> {
      const content = await contentOf(namespace, version);
      const etag = content.holdsSecrets ? `"${content.tag}.${caller.encryptionKid.slice(0, 8)}"` : `"${content.tag}"`;
      if (request.isCurrent(etag)) return { etag, body: '' };
      const bundle = await bundleOf(namespace, content);
      if (!content.holdsSecrets) return { etag, body: bundle.body };
      const key = `${caller.agentId} ${caller.encryptionKid} ${bundle.kid} ${namespace.id}/${version}`;
      const known = sealed.get(key);
      if (known) return { etag, body: known };
      const origin = request.origin();
      const secrets = await once(`release ${key}`, () => deliver({ caller, origin, namespace, content }));
      const body = `{"bundle":"${bundle.jws}","secrets":"${secrets}"}`;
      sealed.set(key, body, body.length + 512);
      return { etag, body };
    },
  };
}

/** What {@link createBundles} gives. */
export type Bundles = ReturnType<typeof createBundles>;

/** An encryption takes half a millisecond: one a turn of the event loop, so that a crowd of them holds up nobody else. */
let lastTurn: Promise<unknown> = Promise.resolve();
function inTurn<T>(work: () => T): Promise<T> {
  const turn = lastTurn.then(async () => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    return work();
  });
  lastTurn = turn.catch(() => {});
  return turn;
}

function noSuchVersion(version: number, latest: number): AppError {
  return new AppError('kernel.not_found', { detail: `There is no version ${version}; the newest is ${latest}.` });
}
