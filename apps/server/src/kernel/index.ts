/**
 * The kernel: database, clock, chance, errors, HTTP, jobs, changes, logging, metrics. It knows no word of the domain
 * (no user, key or secret): those live in `modules/`. Tables: `kernel.migrations`, `kernel.change_topics`.
 *
 * Invariants kept here: SQL is reached only through `db.transaction` and `db.read`; every route declares its auth;
 * every request schema refuses unknown members; every error leaves as problem JSON without its cause.
 */
export { type Changes, createChanges } from './changes.ts';
export { addSeconds, type Clock, createSystemClock, epochSeconds } from './clock.ts';
export { createDb, type Db, isUniqueViolation, type NamedStatement, named, type Reader, type Tx } from './db/db.ts';
export { createGroupCommit, type Outcome } from './db/group-commit.ts';
export { migrate, migrationsDir } from './db/migrate.ts';
export { createSharedRead } from './db/shared-read.ts';
export { AppError, type AppErrorOptions, type FieldError, invalidField, isAppError } from './errors.ts';
export {
  type Authenticate,
  type Origin,
  type Principal,
  type RouteAuth,
  setAuthenticator,
  unauthenticated,
} from './http/auth.ts';
export {
  createGuardedFetch,
  type FetchedDocument,
  FetchRefused,
  type GuardedFetch,
  isPrivateAddress,
} from './http/guarded-fetch.ts';
export { healthRoutes, type ReadinessCheck } from './http/health-routes.ts';
export { type App, createHttp, maxBodyBytes, maxBodyDepth } from './http/http.ts';
export { installOpenApi, serveOpenApi } from './http/openapi.ts';
export { decodeCursor, encodeCursor, pageFrom } from './http/paging.ts';
export { handleError, knownError, problemOf } from './http/problem.ts';
export { createJobs, type Jobs } from './jobs.ts';
export { createLog, type Logger } from './log.ts';
export { createClusterMetrics, createMetrics, type Metrics, type MetricsSource, serveMetrics } from './metrics.ts';
export { createSystemRandom, type Random } from './random.ts';
