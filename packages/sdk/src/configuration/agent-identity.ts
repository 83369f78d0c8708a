/**
 * Who this agent is: two key pairs that it made itself, kept in the state folder, and the id the server gave them.
 *
 * Invariants: keys are on disk before the server hears of them; keys the server knows are not removed before those that
 * replace them are known to it; the private halves never leave the folder.
 */
import { hostname } from 'node:os';
import { type DecryptionKey, decryptCompactJwe, isCryptoError } from '@gatehouse/crypto';
import { type Clock, systemClock } from '../clock.ts';
import { GatehouseError, isGatehouseError } from '../errors.ts';
import { type HttpOptions, parseAddress } from '../http/request.ts';
import { decryptionKeyOf, storageKeyOf } from './agent-keys.ts';
import { createAgentRequests } from './agent-requests.ts';
import { type AgentStateStore, createAgentStateStore } from './agent-state.ts';
import { createAgentTokens } from './agent-tokens.ts';
import type { BackOffOptions } from './back-off.ts';
import { type EnrolledState, ensureEnrolled, type WantedAgent } from './enrolment.ts';
import { createKeyRotation, type StateHolder } from './key-rotation.ts';
import { createLocalCopies, type LocalCopies, removeCopies } from './local-copy.ts';
import { createOneAtATime } from './one-at-a-time.ts';
import { openPrivateFolder, stateInvalid } from './private-folder.ts';

/** Where the server is, who this is, and where its keys are kept. */
export interface AgentIdentityOptions extends HttpOptions {
  /** Where the server answers, such as `https://id.example.com`. */
  url: string;
  /** Who signs the bundles: the server's public address. Default: `url`. */
  issuer?: string;
  /** `<organization>.<service>` or `<service>`: whose configuration this agent may read. */
  service: string;
  /**
   * The folder of this instance: keys, local copies, last seen serials. Made with mode 0700 when missing; refused when
   * others may read it. One folder is one instance: give each process its own.
   */
  stateDir: string;
  /** The name people see in the list of agents. Default: the host's name. */
  name?: string;
  /** Works once. Needed for the first start only, as is `serviceToken`; one of the two. */
  enrolmentToken?: string;
  /** The service's authorization token: may enrol any number of agents. */
  serviceToken?: string;
  /** For how long an enrolment is tried again while the server cannot be reached. Default 0: one try. */
  enrolSeconds?: number;
  /** Keys older than this are replaced by `rotateKeysIfDue`. Default 30 days. */
  rotateKeysAfterSeconds?: number;
  /** How long to wait between tries. */
  backOff?: BackOffOptions;
  clock?: Clock;
  /** Ends waiting for the enrolment. */
  signal?: AbortSignal;
}

/** An enrolled agent. */
export interface AgentIdentity {
  readonly url: string;
  readonly issuer: string;
  readonly agentId: string;
  readonly organization: string;
  readonly service: string;
  readonly stateDir: string;
  /** When the keys in use were made. */
  readonly keysCreatedAt: Date;
  /**
   * A token for the routes of agents, kept until a minute before its end. Rejects with `server_unavailable` (try later),
   * `agent_revoked` (final: the local copies are removed) or `agent_refused`.
   */
  accessToken(): Promise<string>;
  /** Forgets the kept token, after the server has refused it. */
  dropAccessToken(): void;
  /** Opens a JWE sealed to one of this agent's keys. Rejects with `sealed_cannot_open`. */
  open(jwe: string): Promise<Uint8Array>;
  /**
   * Replaces both key pairs. Whatever ends the process in between, the next start has a working identity and goes on
   * from there.
   */
  rotateKeys(): Promise<void>;
  /** Rotates when the keys are older than `rotateKeysAfterSeconds`. Tells whether it did. */
  rotateKeysIfDue(): Promise<boolean>;
  /** @internal */
  readonly copies: LocalCopies;
}

const defaultRotateSeconds = 30 * 86_400;
const maxSealedBytes = 2 * 1024 * 1024;
const servicePattern = /^(?:([a-z0-9][a-z0-9_-]{0,62})\.)?([a-z0-9][a-z0-9_-]{0,62})$/;

/**
 * The agent that lives in `stateDir`; enrols a new one when there is none. An agent that is enrolled starts without the
 * server. Rejects with `agent_not_enrolled`, `agent_revoked`, `agent_refused` (the token), `agent_state_invalid` (the
 * folder) or `server_unavailable` (an enrolment could not be made in `enrolSeconds`).
 *
 * @example
 * const identity = await createAgentIdentity({
 *   url: 'https://id.example.com', service: 'acme.billing', stateDir: '/var/lib/billing/gatehouse', enrolmentToken,
 * });
 */
export async function createAgentIdentity(options: AgentIdentityOptions): Promise<AgentIdentity> {
  const { clock = systemClock, rotateKeysAfterSeconds = defaultRotateSeconds } = options;
  const { url, token, wanted } = readOptions(options);
  const folder = await openPrivateFolder(options.stateDir);
  const store = createAgentStateStore(folder);
  const requests = createAgentRequests(url, options);
  const enrolled = await ensureEnrolled({
    store,
    requests,
    wanted,
    stateDir: folder.path,
    token,
    enrolSeconds: options.enrolSeconds ?? 0,
    backOff: options.backOff ?? {},
    clock,
    signal: options.signal,
  });
  const holder = createStateHolder(store, enrolled, folder.path);
  const exclusive = createOneAtATime();
  const { agentId, organization, service } = enrolled.enrolled;
  const owner = { issuer: wanted.issuer, organization, service, agentId };
  const rotation = createKeyRotation({ holder, requests, folder, owner, clock, exclusive });
  await rotation.finish();
  const tokens = createAgentTokens({ clock, fetchToken: () => rotation.fetchToken() });
  const decryptionKeys = new Map<string, DecryptionKey>();

  /** Keys stay known for the life of the process: an answer under way may be sealed to the ones just replaced. */
  function knowKeys(): void {
    const { keys, next, previous } = holder.current();
    for (const each of [keys, next, previous]) {
      const kid = each?.enc.kid;
      if (each !== undefined && kid !== undefined && !decryptionKeys.has(kid)) {
        decryptionKeys.set(kid, decryptionKeyOf(each));
      }
    }
  }

  /** Revocation is final for this folder: the next start says so, and nothing is left for it to start from. */
  async function noteRevocation(): Promise<void> {
    const revokedAt = clock.now().toISOString();
    await exclusive(async () => {
      await holder.change(({ issuer, keys, enrolled: answer }) => ({ issuer, keys, enrolled: answer, revokedAt }));
      await removeCopies(folder);
    }).catch(() => undefined);
  }

  async function refusingRevoked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isGatehouseError(error, 'agent_revoked') && holder.current().revokedAt === undefined) await noteRevocation();
      throw error;
    }
  }

  async function rotateKeys(): Promise<void> {
    knowKeys();
    await refusingRevoked(() => rotation.rotate());
    tokens.drop();
  }

  return {
    url,
    issuer: wanted.issuer,
    agentId,
    organization,
    service,
    stateDir: folder.path,
    get keysCreatedAt() {
      return new Date(holder.current().keys.createdAt);
    },
    accessToken: () => refusingRevoked(() => tokens.get()),
    dropAccessToken: () => tokens.drop(),
    async open(jwe) {
      knowKeys();
      try {
        const findKey = (kid = '') => decryptionKeys.get(kid);
        const algorithms = ['ECDH-ES+A256KW'] as const;
        return (await decryptCompactJwe(jwe, { findKey, algorithms, maxBytes: maxSealedBytes })).plaintext;
      } catch (error) {
        if (!isCryptoError(error)) throw error;
        throw new GatehouseError('sealed_cannot_open', `The sealed values cannot be opened: ${error.message}`);
      }
    },
    rotateKeys,
    async rotateKeysIfDue() {
      const ageMs = clock.now().getTime() - Date.parse(holder.current().keys.createdAt);
      if (ageMs < rotateKeysAfterSeconds * 1000) return false;
      await rotateKeys();
      return true;
    },
    copies: createLocalCopies({
      folder,
      owner,
      exclusive,
      keys() {
        const { keys, previous } = holder.current();
        const current = storageKeyOf(keys);
        return { current, all: previous === undefined ? [current] : [current, storageKeyOf(previous)] };
      },
    }),
  };
}

function readOptions(options: AgentIdentityOptions): { url: string; token: string | undefined; wanted: WantedAgent } {
  const { enrolmentToken, serviceToken } = options;
  const url = withoutSlash(options.url);
  const issuer = withoutSlash(options.issuer ?? options.url);
  parseAddress('url', url, options);
  parseAddress('issuer', issuer, { ...options, allowInsecureHttp: true });
  const [, organization, service] = servicePattern.exec(options.service) ?? [];
  if (service === undefined) {
    throw new GatehouseError(
      'configuration_invalid',
      'service must be <organization>.<service> or <service>: lower-case letters, digits, _ and -.',
    );
  }
  if (typeof options.stateDir !== 'string' || options.stateDir === '') {
    throw new GatehouseError('configuration_invalid', 'stateDir must name a folder for this instance.');
  }
  if (enrolmentToken !== undefined && serviceToken !== undefined) {
    throw new GatehouseError('configuration_invalid', 'Give enrolmentToken or serviceToken, not both.');
  }
  const token = enrolmentToken ?? serviceToken;
  if (token !== undefined && !/^[\w.~+/=-]{1,4096}$/.test(token)) {
    const which = enrolmentToken === undefined ? 'serviceToken' : 'enrolmentToken';
    throw new GatehouseError('configuration_invalid', `${which} has characters that no token has.`);
  }
  return { url, token, wanted: { issuer, organization, service, name: options.name ?? hostname() } };
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, '');
}

/** The state in memory follows the one on disk; a change that another process made first is kept, and ours made on it. */
function createStateHolder(store: AgentStateStore, first: EnrolledState, stateDir: string): StateHolder {
  let state = first;

  async function reload(): Promise<boolean> {
    const found = await store.load();
    if (found?.enrolled?.agentId !== state.enrolled.agentId) {
      throw stateInvalid(`${stateDir} was emptied, or given to another agent, while this one runs. Start it again.`);
    }
    const isNewer = found.revision > state.revision;
    state = found as EnrolledState;
    return isNewer;
  }

  return {
    current: () => state,
    reload,
    async change(edit) {
      for (;;) {
        const saved = await store.save(edit(state), state);
        if (saved !== undefined) {
          state = saved as EnrolledState;
          return;
        }
        await reload();
      }
    },
  };
}
