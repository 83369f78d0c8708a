/** Where versions come from: asks the server, and lets nothing through that does not verify. */

import { BundleError, bundleValues, maxBundleBytes, verifyBundle } from '@gatehouse/configuration/verify-bundle';
import { importVerificationKey } from '@gatehouse/crypto';
import type { Clock } from '../clock.ts';
import { GatehouseError } from '../errors.ts';
import { type HttpAnswer, type HttpOptions, issuerUrl, parseObject } from '../http/request.ts';
import { createIssuerKeys } from '../tokens/issuer-keys.ts';
import type { AgentIdentity } from './agent-identity.ts';
import { agentFailureOf, requestAsAgent } from './agent-requests.ts';
import type { KeptVersion, SeenVersion } from './local-copy.ts';

/** What the server says is newest. */
export interface LatestVersion {
  readonly version: number;
  /** What a process that starts now should start with; absent when that is the newest. */
  readonly startVersion?: number;
}

/** The server, as far as versions go. */
export interface BundleSource {
  /**
   * The newest version of a namespace. With `since` and `waitSeconds` the server waits that long for a newer one;
   * undefined when there is none.
   */
  latest(
    namespace: string,
    options: { since?: number; waitSeconds?: number; signal: AbortSignal },
  ): Promise<LatestVersion | undefined>;
  /** One version, verified. Rejects with `version_refused` when it does not verify. */
  fetch(
    namespace: string,
    version: number,
    options: { seen: SeenVersion | undefined; signal: AbortSignal },
  ): Promise<KeptVersion>;
}

const keysRefetchSeconds = 10;
const keysStaleSeconds = 3600;
/** More than the wait asked for: the server's answer has to come back. */
const pollMarginMilliseconds = 15_000;
/** Bundle and secrets, each as large as a configuration may be. */
const maxAnswerBytes = 2 * maxBundleBytes;
const fetchMilliseconds = 30_000;

/** Makes the source of an agent. */
export function createBundleSource(deps: { identity: AgentIdentity; clock: Clock; http: HttpOptions }): BundleSource {
  const { identity, clock, http } = deps;
  const keys = createIssuerKeys({
    jwksUri: issuerUrl(identity.url, '/v1/configuration/keys', http),
    clock,
    http,
    refetchSeconds: keysRefetchSeconds,
    maxStaleSeconds: keysStaleSeconds,
    // A key that was compromised is shown with the time; it verifies nothing any more.
    isPassedOver: (jwk) => jwk.revoked !== undefined,
  });
  const pathOf = (namespace: string, rest: string) => `/v1/services/${identity.service}/${namespace}/${rest}`;

  return {
    async latest(namespace, { since, waitSeconds = 0, signal }) {
      const isWaiting = since !== undefined && waitSeconds > 0;
      const query = isWaiting ? { wait: String(waitSeconds), since: String(since) } : {};
      const headers: Record<string, string> = since === undefined ? {} : { 'if-none-match': `"${since}"` };
      const usual = http.timeoutMilliseconds ?? 5000;
      const timeoutMilliseconds = isWaiting ? waitSeconds * 1000 + pollMarginMilliseconds : usual;
      const bounds = { ...http, timeoutMilliseconds, signal };
      const answer = await requestAsAgent(identity, pathOf(namespace, 'agent'), { headers, query }, bounds);
      if (answer.status === 304) return undefined;
      if (answer.status !== 200) throw agentFailureOf(answer, `Namespace ${namespace}`);
      const { version, start_version: startVersion } = parseObject(answer, `Namespace ${namespace}`);
      if (!isVersion(version) || (startVersion !== undefined && !isVersion(startVersion))) {
        throw new GatehouseError('answer_invalid', `Namespace ${namespace}: the answer has no version.`);
      }
      return startVersion === undefined ? { version } : { version, startVersion };
    },

    async fetch(namespace, version, { seen, signal }) {
      const what = `Version ${version} of namespace ${namespace}`;
      const timeoutMilliseconds = Math.max(fetchMilliseconds, http.timeoutMilliseconds ?? 0);
      const bounds = { ...http, timeoutMilliseconds, signal, maxAnswerBytes };
      const answer = await requestAsAgent(identity, pathOf(namespace, `${version}/agent`), {}, bounds);
      if (answer.status !== 200) throw agentFailureOf(answer, what);
      const { bundle, secrets } = readAnswer(answer, what);
      try {
        const payload = await verifyBundle(bundle, {
          issuer: identity.issuer,
          organization: identity.organization,
          service: identity.service,
          namespace,
          version,
          ...(seen === undefined ? {} : { seen }),
          findKey: async ({ kid }) => {
            const key = typeof kid === 'string' ? await keys.find(kid) : undefined;
            return key === undefined ? undefined : importVerificationKey(key.jwk);
          },
        });
        const opened = secrets === undefined ? undefined : await identity.open(secrets);
        const { values, secretKeys } = bundleValues(payload, opened, identity.agentId);
        const { hash, published_at: publishedAt, kind } = payload;
        return { namespace, version, hash, publishedAt, kind, values, secretKeys };
      } catch (error) {
        if (!(error instanceof BundleError)) throw error;
        throw new GatehouseError('version_refused', `${what}: ${error.message}`, {
          cause: error,
          details: { refusal: error.refusal, namespace, version },
        });
      }
    },
  };
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1;
}

function readAnswer(answer: HttpAnswer, what: string): { bundle: string; secrets: string | undefined } {
  const { bundle, secrets } = parseObject(answer, what);
  if (typeof bundle !== 'string' || (secrets !== undefined && typeof secrets !== 'string')) {
    throw new GatehouseError('answer_invalid', `${what}: the answer is not a bundle.`);
  }
  return { bundle, secrets };
}
