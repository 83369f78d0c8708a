/**
 * The routes of agents and bundles on loopback, in the hands of a test: it signs real bundles, and it can lie, fail and
 * be away. What the real server does is tested with the real server.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bundleHash, bundleType, contentHash, secretFingerprint } from '@gatehouse/configuration';
import {
  encodeBase64Url,
  encryptCompactJwe,
  type GeneratedKeyPair,
  generateKeyPair,
  importSigningKey,
  importVerificationKey,
  type JsonValue,
  type PublicJwk,
  parseJsonObjectStrict,
  signCompactJws,
  verifyCompactJws,
} from '@gatehouse/crypto';
import { type LoopbackServer, listen } from './fake-issuer.ts';

/** A published version: its payload and the secrets in plain. */
export interface StandInVersion {
  payload: Record<string, JsonValue>;
  secrets: Record<string, { salt: string; value: JsonValue }>;
}

interface StandInAgent {
  id: string;
  sig: PublicJwk;
  enc: PublicJwk;
  revoked: boolean;
}

/** An answer, or `hang` to never answer. */
export type StandInAnswer = { status: number; body?: unknown; headers?: Record<string, string> } | 'hang';

/** The server, and what a test may do with it. */
export interface StandInServer extends LoopbackServer {
  readonly agents: Map<string, StandInAgent>;
  readonly versions: Map<string, StandInVersion[]>;
  /** Method and path of each request, and its body. */
  readonly requests: { line: string; body: Record<string, JsonValue> }[];
  /** Signs bundles; a test may put a foreign key here. */
  signingKey: GeneratedKeyPair;
  /** Published at /v1/configuration/keys. */
  publishedKeys: Record<string, unknown>[];
  /** Answers in place of the server, before anything happens there. */
  before: ((line: string, body: Record<string, JsonValue>) => StandInAnswer | undefined) | undefined;
  /** Answers in place of the server, after everything happened there: a lost answer. */
  after: ((line: string) => StandInAnswer | undefined) | undefined;
  /** Changes what is signed. */
  forge: ((payload: Record<string, JsonValue>) => Record<string, JsonValue>) | undefined;
  /** Header parameters of the signature. */
  typ: string;
  slot: (agent: string, version: number) => Record<string, JsonValue>;
  /** Publishes the next version of `acme.billing`'s namespace; `{$secret: value}` is a secret. */
  publish(configuration: Record<string, JsonValue>, namespace?: string): number;
  reports(): string[];
  /** Ends all connections and answers nobody until `comeBack`. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

/** Starts one, at an address that stays the same when it goes away and comes back. */
export async function startStandInServer(): Promise<StandInServer> {
  const signingKey = await generateKeyPair('ES256');
  const tokens = new Map<string, { agent: string; kid: string }>();
  const usedTokens = new Map<string, string>();
  const waiting = new Set<() => void>();
  let http = await listen(answerRequest);
  const { origin } = http;
  const port = Number(new URL(origin).port);

  const server: StandInServer = {
    origin,
    agents: new Map(),
    versions: new Map(),
    requests: [],
    signingKey,
    publishedKeys: [signingKey.publicJwk as unknown as Record<string, unknown>],
    before: undefined,
    after: undefined,
    forge: undefined,
    typ: bundleType,
    slot: () => ({ granted: true, expires_at: '2030-01-01T00:00:00.000Z' }),
    publish(configuration, namespace = 'default') {
      const all = server.versions.get(namespace) ?? [];
      const secrets: StandInVersion['secrets'] = {};
      const visible = Object.fromEntries(
        Object.entries(configuration).map(([key, value]): [string, JsonValue] => {
          const secret = (value as { $secret?: JsonValue } | null)?.$secret;
          if (secret === undefined) return [key, value];
          const salt = randomBytes(32);
          secrets[key] = { salt: encodeBase64Url(salt), value: secret };
          return [key, { $secret: { fingerprint: secretFingerprint(salt, secret) } }];
        }),
      );
      const version = all.length + 1;
      const previous_hash = (all.at(-1)?.payload.hash as string | undefined) ?? '';
      const place = { organization: 'acme', service: 'billing', namespace, version };
      const content_hash = contentHash(visible);
      const hash = bundleHash({ ...place, previous_hash, content_hash });
      const more = { previous_hash, hash, content_hash, published_at: '2026-01-01T00:00:00.000Z', kind: 'author' };
      all.push({ payload: { iss: origin, ...place, ...more, configuration: visible }, secrets });
      server.versions.set(namespace, all);
      for (const wake of waiting) wake();
      return version;
    },
    reports: () =>
      server.requests
        .filter(({ line }) => line.endsWith('/instance'))
        .map(({ body }) => `${Number(body.version)} ${textOf(body.state)}`),
    async goAway() {
      await http.close();
    },
    async comeBack() {
      http = await listen(answerRequest, port);
    },
    async close() {
      for (const wake of waiting) wake();
      await http.close();
    },
  };

  function answerRequest(request: IncomingMessage, response: ServerResponse): void {
    void respond(request, response);
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await handle(request);
    if (answer === 'hang' || response.destroyed) return;
    const headers = { 'content-type': 'application/json', ...answer.headers };
    response.writeHead(answer.status, headers).end(answer.body === undefined ? '' : JSON.stringify(answer.body));
  }

  async function handle(request: IncomingMessage): Promise<StandInAnswer> {
    let text = '';
    for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString();
    const body = text === '' ? {} : parseJsonObjectStrict(text);
    const line = `${request.method} ${request.url}`;
    server.requests.push({ line, body });
    const early = server.before?.(line, body);
    if (early !== undefined) return early;
    const answer = await route(line, body, request);
    return server.after?.(line) ?? answer;
  }

  async function route(
    line: string,
    body: Record<string, JsonValue>,
    request: IncomingMessage,
  ): Promise<StandInAnswer> {
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (line === 'POST /v1/agents') return enrol(bearer, body);
    if (line === 'POST /v1/agents/token') return issueToken(textOf(body.assertion));
    if (line === 'GET /v1/configuration/keys') return { status: 200, body: { keys: server.publishedKeys } };
    const session = tokens.get(bearer);
    const agent = server.agents.get(session?.agent ?? '');
    if (agent === undefined || agent.revoked || agent.sig.kid !== session?.kid)
      return problem(401, 'kernel.unauthenticated');
    if (line === 'POST /v1/agents/keys') return replaceKeys(agent, body);
    const [, method, namespace = '', rest = ''] =
      /^(GET|POST) \/v1\/services\/billing\/([a-z0-9_-]+)\/(.+)$/.exec(line) ?? [];
    const versions = server.versions.get(namespace);
    if (method === undefined || versions === undefined) return problem(404, 'kernel.not_found');
    if (rest === 'instance') return { status: 200, body: { latest_version: versions.length } };
    if (rest === 'slot') return { status: 200, body: server.slot(agent.id, Number(body.version)) };
    const [path = '', query = ''] = rest.split('?');
    if (path === 'agent') return latest(namespace, new URLSearchParams(query), request);
    return deliver(agent, versions[Number.parseInt(path, 10) - 1]);
  }

  function enrol(token: string, body: Record<string, JsonValue>): StandInAnswer {
    const [sig, enc] = (body.jwks as unknown as { keys: [PublicJwk, PublicJwk] }).keys;
    const known = [...server.agents.values()].find((agent) => agent.sig.kid === sig.kid);
    const user = usedTokens.get(token);
    if (token === '' || token.startsWith('bad') || (user !== undefined && user !== known?.id)) {
      return problem(401, 'configuration.enrolment_refused');
    }
    const id = known?.id ?? `agt_${server.agents.size + 1}`;
    if (token.startsWith('once')) usedTokens.set(token, id);
    server.agents.set(id, { id, sig, enc, revoked: false });
    return { status: 201, body: { agent_id: id, organization: 'acme', service: 'billing' } };
  }

  async function isSignedBy(
    assertion: string,
    jwk: PublicJwk,
    id: string,
  ): Promise<Record<string, JsonValue> | undefined> {
    try {
      const findKey = () => importVerificationKey(jwk, 'ES256');
      const { payload } = await verifyCompactJws(assertion, { findKey, typ: 'gatehouse-agent-assertion+jwt' });
      const claims = parseJsonObjectStrict(payload);
      return claims.iss === id && claims.sub === id && claims.aud === origin ? claims : undefined;
    } catch {
      return undefined;
    }
  }

  async function issueToken(assertion: string): Promise<StandInAnswer> {
    const claims = parseJsonObjectStrict(Buffer.from(assertion.split('.')[1] ?? '', 'base64url'));
    const agent = server.agents.get(textOf(claims.iss));
    if (agent === undefined || !(await isSignedBy(assertion, agent.sig, agent.id))) {
      return problem(401, 'configuration.agent_refused');
    }
    if (agent.revoked) return problem(401, 'configuration.agent_revoked');
    const access_token = randomUUID();
    tokens.set(access_token, { agent: agent.id, kid: agent.sig.kid ?? '' });
    return { status: 200, body: { access_token, token_type: 'Bearer', expires_in: 900 } };
  }

  async function replaceKeys(agent: StandInAgent, body: Record<string, JsonValue>): Promise<StandInAnswer> {
    const [sig, enc] = (body.jwks as unknown as { keys: [PublicJwk, PublicJwk] }).keys;
    const byPresent = await isSignedBy(textOf(body.present_assertion), agent.sig, agent.id);
    const byNew = await isSignedBy(textOf(body.assertion), sig, agent.id);
    const signsOver = JSON.stringify(byPresent?.keys) === JSON.stringify([sig.kid, enc.kid]);
    if (byNew === undefined || !signsOver) return problem(401, 'configuration.agent_refused');
    Object.assign(agent, { sig, enc });
    return { status: 204 };
  }

  async function latest(namespace: string, query: URLSearchParams, request: IncomingMessage): Promise<StandInAnswer> {
    const newest = () => server.versions.get(namespace)?.length ?? 0;
    const since = Number(query.get('since') ?? -1);
    if (since === newest() && query.has('wait')) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(wake, Number(query.get('wait')) * 1000);
        waiting.add(wake);
        request.socket.once('close', wake);
      });
    }
    return since === newest() ? { status: 304 } : { status: 200, body: { version: newest() } };
  }

  async function deliver(agent: StandInAgent, version: StandInVersion | undefined): Promise<StandInAnswer> {
    if (version === undefined) return problem(404, 'kernel.not_found');
    const payload = server.forge?.(structuredClone(version.payload)) ?? version.payload;
    const key = importSigningKey(server.signingKey.privateJwk, 'ES256');
    const bundle = await signCompactJws({ key, payload: JSON.stringify(payload), typ: server.typ });
    if (Object.keys(version.secrets).length === 0) return { status: 200, body: { bundle } };
    const { service, namespace, version: number } = version.payload;
    const plaintext = { agent: agent.id, service, namespace, version: number, values: version.secrets };
    const secrets = encryptCompactJwe({ jwk: agent.enc, cty: 'json', plaintext: JSON.stringify(plaintext) });
    return { status: 200, body: { bundle, secrets } };
  }

  return server;
}

function problem(status: number, code: string): StandInAnswer {
  return { status, body: { status, code, title: code } };
}

/** Waits for a condition; fails with what was awaited after ten seconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`It took too long until ${what}.`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
