import { Name, PageQuery, pageOf, strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { type App, AppError, type Clock, type Db, decodeCursor, pageFrom, type Reader } from '../../../kernel/index.ts';
import type { Identity } from '../../identity/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import type { Namespaces } from '../namespaces/namespace-service.ts';
import { VersionNumber } from '../versions/version-wire.ts';
import { countPlacesOf, listInstances } from './instance-store.ts';
import { type Policies, policyToWire } from './policy-service.ts';
import { findPolicy } from './policy-store.ts';
import { instanceStates, type Rollout } from './rollout.ts';
import type { RolloutLife } from './rollout-service.ts';
import { findRollout, findStableVersion, findTargets, listRollouts } from './rollout-store.ts';
import {
  InstanceBody,
  instanceToWire,
  NewPolicyBody,
  noCounts,
  PolicyBody,
  policyOf,
  RolloutBody,
  RolloutDetailBody,
  rolloutToWire,
} from './rollout-wire.ts';

const tags = ['rollouts'];
const serviceParams = strictObject({ service: Name });
const params = strictObject({ service: Name, namespace: Name });
const versionParams = strictObject({ service: Name, namespace: Name, version: VersionNumber });

interface NamespaceRequest {
  readonly principal: { readonly organization: string };
  readonly params: { readonly service: string; readonly namespace: string };
}

/** What people see and decide: policies, rollouts, instances. */
export function rolloutRoutes(deps: {
  db: Db;
  clock: Clock;
  namespaces: Pick<Namespaces, 'getNamespace'>;
  services: Pick<Identity['services'], 'getService'>;
  policies: Policies;
  life: Pick<RolloutLife, 'stop' | 'resume'>;
}) {
  const { db, clock, namespaces, services, policies, life } = deps;

  const namespaceOf = (tx: Reader, { principal, params }: NamespaceRequest) =>
    namespaces.getNamespace(tx, {
      organization: principal.organization,
      service: params.service,
      name: params.namespace,
    });

  /** The newest version is counted as it is now; an older one as it was when its rollout ended. */
  const toWire = async (tx: Reader, namespace: Namespace, rollout: Rollout) => {
    if (rollout.version < namespace.latestVersion) {
      return rolloutToWire(namespace, rollout, rollout.counts ?? noCounts);
    }
    const target = (await findTargets(tx, namespace.id, [rollout.version])).get(rollout.version);
    const counts = target ? await countPlacesOf(tx, namespace.id, target, clock.now()) : noCounts;
    return rolloutToWire(namespace, rollout, counts);
  };

  const toDetail = async (tx: Reader, namespace: Namespace, rollout: Rollout) => {
    const stable = await findStableVersion(tx, namespace.id);
    return {
      ...(await toWire(tx, namespace, rollout)),
      ...(stable === undefined ? {} : { stable_version: stable.version }),
      policy: policyToWire(await findPolicy(tx, namespace.serviceId)),
    };
  };

  return (app: App): void => {
    app.get(
      '/v1/services/:service/rollout-policy',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'How new versions reach the instances of a service',
          tags,
          operationId: 'getRolloutPolicy',
          params: serviceParams,
          response: { 200: PolicyBody },
        },
      },
      async (request) =>
        db.read(async (tx) => {
          const service = await services.getService(tx, request.principal.organization, request.params.service);
          return policyToWire(await findPolicy(tx, service.id));
        }),
    );
    app.put(
      '/v1/services/:service/rollout-policy',
      {
        config: { auth: { permission: 'configuration:publish' } },
        schema: {
          summary: 'Set how new versions reach the instances of a service',
          description: 'What is left out takes its default. It holds at once, for rollouts under way too.',
          tags,
          operationId: 'setRolloutPolicy',
          params: serviceParams,
          body: NewPolicyBody,
          response: { 200: PolicyBody },
        },
      },
      async (request) => {
        const policy = policyOf(request.body);
        await db.transaction(async (tx) => {
          const service = await services.getService(tx, request.principal.organization, request.params.service);
          await policies.setPolicy(tx, service, policy, request.origin);
        });
        return policyToWire(policy);
      },
    );
    app.get(
      '/v1/services/:service/instances',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'Who runs what since when',
          tags,
          operationId: 'listInstances',
          params: serviceParams,
          querystring: strictObject({
            ...PageQuery.properties,
            namespace: Type.Optional(Name),
            state: Type.Optional(Type.Enum([...instanceStates])),
          }),
          response: { 200: pageOf(InstanceBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, namespace, state } = request.query;
        const { organization } = request.principal;
        const [afterNamespace = '', afterAgent = ''] = decodeCursor(cursor, 2)?.map(String) ?? [];
        const rows = await db.read(async (tx) => {
          const service = await services.getService(tx, organization, request.params.service);
          if (namespace !== undefined) {
            await namespaces.getNamespace(tx, { organization, service: service.name, name: namespace });
          }
          const after = [afterNamespace, afterAgent] as const;
          return listInstances(tx, organization, service.name, { namespace, state, after, limit: limit + 1 });
        });
        const now = clock.now();
        return pageFrom(
          rows,
          limit,
          (row) => [row.namespace, row.instance.agentId],
          (row) => instanceToWire(row, now),
        );
      },
    );
    app.get(
      '/v1/services/:service/:namespace/rollouts',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'List rollouts, newest first',
          tags,
          operationId: 'listRollouts',
          params,
          querystring: PageQuery,
          response: { 200: pageOf(RolloutBody) },
        },
      },
      async (request) => {
        const { limit = 50, cursor } = request.query;
        const before = decodeCursor(cursor, 1)?.map(Number)[0] ?? 1_000_000_000;
        return db.read(async (tx) => {
          const namespace = await namespaceOf(tx, request);
          const rows = await listRollouts(tx, namespace.id, { before, limit: limit + 1 });
          const page = pageFrom(
            rows,
            limit,
            (row) => [row.version],
            (row) => row,
          );
          const items = [];
          for (const rollout of page.items) items.push(await toWire(tx, namespace, rollout));
          return { ...page, items };
        });
      },
    );
    app.get(
      '/v1/services/:service/:namespace/rollouts/:version',
      {
        config: { auth: { permission: 'configuration:read' } },
        schema: {
          summary: 'Show a rollout: where its instances are, and what decides on it',
          tags,
          operationId: 'getRollout',
          params: versionParams,
          response: { 200: RolloutDetailBody },
        },
      },
      async (request) =>
        db.read(async (tx) => {
          const namespace = await namespaceOf(tx, request);
          const version = Number(request.params.version);
          const rollout = await findRollout(tx, namespace.id, version);
          if (!rollout) throw noRollout(version);
          return toDetail(tx, namespace, rollout);
        }),
    );
    app.post(
      '/v1/services/:service/:namespace/rollouts/:version/stop',
      {
        config: { auth: { permission: 'configuration:publish' } },
        schema: {
          summary: 'Stop a rollout: no instance gets a slot until it is resumed',
          tags,
          operationId: 'stopRollout',
          params: versionParams,
          body: strictObject({ reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })) }),
          response: { 200: RolloutDetailBody },
        },
      },
      async (request) =>
        db.transaction(async (tx) => {
          const namespace = await namespaceOf(tx, request);
          const version = Number(request.params.version);
          const rollout = await life.stop(tx, namespace.id, version, request.body.reason, request.origin);
          return toDetail(tx, namespace, rollout);
        }),
    );
    app.post(
      '/v1/services/:service/:namespace/rollouts/:version/resume',
      {
        config: { auth: { permission: 'configuration:publish' } },
        schema: {
          summary: 'Let a stopped or failed rollout go on',
          tags,
          operationId: 'resumeRollout',
          params: versionParams,
          response: { 200: RolloutDetailBody },
        },
      },
      async (request) =>
        db.transaction(async (tx) => {
          const namespace = await namespaceOf(tx, request);
          const rollout = await life.resume(tx, namespace.id, Number(request.params.version), request.origin);
          return toDetail(tx, namespace, rollout);
        }),
    );
  };
}

function noRollout(version: number): AppError {
  return new AppError('kernel.not_found', { detail: `There is no rollout of version ${version}.` });
}
