/**
 * Agents: the tokens with which they come, their keys, and who they are at every request.
 *
 * Tables: configuration.service_tokens, enrolment_tokens, agents, used_assertions.
 *
 * Invariants kept here: an enrolment token lets in one agent; an agent is known by keys that it alone holds, and an
 * assertion of it is good once; a token of an agent opens no other door and no other token opens an agent's; revoking,
 * deleting and suspending hold on every node from the commit on; tokens of services are stored sealed and by hash.
 */
import {
  type App,
  addSeconds,
  type Changes,
  type Clock,
  type Db,
  type Jobs,
  type Random,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { Identity } from '../../identity/index.ts';
import type { Keys } from '../../keys/index.ts';
import { agentRoutes } from './agent-routes.ts';
import { createAgentService } from './agent-service.ts';
import {
  listAgents,
  listAgentsById,
  listIdleAgentsForUpdate,
  purgeAgents,
  purgeUsedAssertions,
} from './agent-store.ts';
import { createAgentTokens } from './agent-token.ts';
import { createCallers } from './callers.ts';
import { idleAgentDays, revokedAgentDays } from './limits.ts';
import { tokenRoutes } from './token-routes.ts';
import { createTokens } from './token-service.ts';
import { purgeEnrolmentTokens } from './token-store.ts';

export type { Agent, AgentCaller, Caller, EnrolmentToken, ServiceToken } from './agent.ts';
export { agentOrigin } from './agent-service.ts';

const daySeconds = 86_400;
/** Rows of one transaction of the sweep, so that none holds locks for long. */
const batchRows = 1000;

/** Wires agents and their tokens. */
export function createAgents(deps: {
  issuer: string;
  db: Db;
  clock: Clock;
  random: Random;
  audit: Pick<Audit, 'append'>;
  changes: Pick<Changes, 'touch'>;
  jobs: Pick<Jobs, 'cron'>;
  keys: Pick<Keys, 'seal' | 'open' | 'sign' | 'findVerificationKey'>;
  services: Pick<Identity['services'], 'getService' | 'listActiveServices'>;
}) {
  const { db, clock, jobs, services } = deps;
  const tokens = createTokens(deps);
  const agentTokens = createAgentTokens(deps);
  const callers = createCallers({ db, tokens: agentTokens, listActiveServices: services.listActiveServices });
  const service = createAgentService({ ...deps, tokens: agentTokens, isServiceActive: callers.isServiceActive });

  const inBatches = async (work: (before: Date, limit: number) => Promise<number>, daysAgo: number) => {
    const before = addSeconds(clock.now(), -daysAgo * daySeconds);
    while ((await work(before, batchRows)) === batchRows);
  };
  const sweep = async () => {
    await inBatches((before, limit) => db.transaction((tx) => purgeUsedAssertions(tx, before, limit)), 0);
    await inBatches((before, limit) => db.transaction((tx) => purgeEnrolmentTokens(tx, before, limit)), 1);
    await inBatches((before, limit) => db.transaction((tx) => purgeAgents(tx, before, limit)), revokedAgentDays);
    await inBatches(
      (before, limit) =>
        db.transaction(async (tx) => {
          const idle = await listIdleAgentsForUpdate(tx, before, limit);
          for (const { id, serviceId, organization } of idle) {
            const origin = { actor: { type: 'system', id: 'configuration' }, organization } as const;
            const reason = `was not seen for ${idleAgentDays} days`;
            await service.revokeAgent(tx, { service: { id: serviceId }, agentId: id, origin, reason });
          }
          return idle.length;
        }),
      idleAgentDays,
    );
  };
  jobs.cron('configuration-sweep-agents', '*/10 * * * *', sweep);

  return {
    /** Who asks, for delivery and reports: see {@link createCallers}. */
    callers,
    /** Authorization and enrolment tokens of services. */
    tokens,
    /** Agents of a service, in the order of their enrolment. */
    listAgents,
    /** Agents by id, revoked ones included. */
    listAgentsById,
    revokeAgent: service.revokeAgent,
    sweep,
    routes(app: App): void {
      tokenRoutes({ db, tokens, callers, services })(app);
      agentRoutes({ db, agents: service, callers, services })(app);
    },
  };
}

/** What {@link createAgents} gives. */
export type Agents = ReturnType<typeof createAgents>;
