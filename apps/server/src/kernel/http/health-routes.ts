import { strictObject } from '@gatehouse/contracts';
import { Type } from 'typebox';
import type { Clock } from '../clock.ts';
import { type Db, named } from '../db/db.ts';
import { AppError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import type { App } from './http.ts';

/** What a readiness check finds: undefined when all is well, otherwise what is wrong. */
export type ReadinessCheck = () => string | undefined;

const ping = { name: 'kernel_ping', text: 'select 1 as one' };

/** `/livez` (the process turns), `/readyz` (it can serve), `/ping` (uptime and request counts, as police-man had it). */
export function healthRoutes(deps: {
  db: Db;
  clock: Clock;
  metrics: Metrics;
  version: string;
  checks: ReadinessCheck[];
}) {
  const startedAt = deps.clock.now();
  return (app: App): void => {
    const shared = { auth: { public: 'health is asked by load balancers without credentials' }, anyHost: true };
    app.get(
      '/livez',
      {
        config: shared,
        schema: {
          summary: 'Is the process alive?',
          tags: ['health'],
          operationId: 'livez',
          response: { 200: strictObject({ status: Type.Literal('ok') }) },
        },
      },
      async () => ({ status: 'ok' as const }),
    );
    app.get(
      '/readyz',
      {
        config: shared,
        schema: {
          summary: 'Can this node serve requests?',
          tags: ['health'],
          operationId: 'readyz',
          response: { 200: strictObject({ status: Type.Literal('ready') }) },
        },
      },
      async () => {
        for (const check of deps.checks) {
          const problem = check();
          if (problem !== undefined) throw new AppError('kernel.unavailable', { detail: problem });
        }
        await deps.db.read((tx) => named(tx, ping, []));
        return { status: 'ready' as const };
      },
    );
    app.get(
      '/ping',
      {
        config: shared,
        schema: {
          summary: 'Uptime and request counts',
          tags: ['health'],
          operationId: 'ping',
          response: {
            200: strictObject({
              status: Type.Literal(200),
              version: Type.String(),
              uptime: Type.Integer({ description: 'milliseconds' }),
              req_counts: strictObject({ req: Type.Integer(), failures: Type.Integer() }),
            }),
          },
        },
      },
      async () => {
        const counts = deps.metrics.counts();
        return {
          status: 200 as const,
          version: deps.version,
          uptime: deps.clock.now().getTime() - startedAt.getTime(),
          req_counts: { req: counts.requests, failures: counts.failures },
        };
      },
    );
  };
}
