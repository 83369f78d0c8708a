import { Readable } from 'node:stream';
import { type JsonObject, PageQuery, pageOf } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import {
  type App,
  AppError,
  type Db,
  decodeCursor,
  encodeCursor,
  invalidField,
  type Principal,
  pageFrom,
} from '../../kernel/index.ts';
import { AuditCheckpoint, AuditEntry, ExportQuery, KeySet, ListQuery, SealedAuditEntryLine } from './audit-schemas.ts';
import { findLastCheckpoint, listCheckpoints, readChain } from './chain-store.ts';
import { listEntries, listSealed } from './entry-store.ts';

/** Public keys of the audit keyring, expired ones included: an old checkpoint must stay verifiable. */
export type AuditKeys = () => Promise<{ keys: readonly JsonObject[] }>;

/** Sealed entries read at once by an export: at most 8 KiB of details each. */
const exportPageSize = 200;

const tags = ['audit'];
const readAuth = { auth: { permission: 'audit:read' } } as const;

/** Reading the audit trail. Nothing here writes. */
export function createAuditRoutes({ db, auditKeys }: { db: Db; auditKeys: AuditKeys }): (app: App) => void {
  return (app) => {
    app.get(
      '/v1/audit',
      {
        config: readAuth,
        schema: {
          summary: 'List audit entries, newest first',
          description:
            'Entries of the caller’s organization. A page can hold fewer entries than `limit`, even none, and still have a `next_cursor`: a request looks at a bounded number of entries.',
          tags,
          operationId: 'listAuditEntries',
          querystring: ListQuery,
          response: { 200: pageOf(AuditEntry) },
        },
      },
      async (request) => {
        const { limit = 50, cursor, organization, from, to, ...filter } = request.query;
        const before = positionIn(cursor);
        const { entries, scannedTo } = await db.read((tx) =>
          listEntries(
            tx,
            {
              organization: visibleOrganization(request.principal, organization),
              action: filter.action,
              actorId: filter.actor,
              targetId: filter.target,
              requestId: filter.request_id,
              outcome: filter.outcome,
              from: timeOf('query.from', from),
              to: timeOf('query.to', to),
            },
            limit + 1,
            before,
          ),
        );
        const page = pageFrom(
          entries,
          limit,
          (row) => [row.position],
          (row) => row.entry,
        );
        return scannedTo === undefined ? page : { ...page, next_cursor: encodeCursor([scannedTo]) };
      },
    );

    app.get(
      '/v1/audit/export',
      {
        config: readAuth,
        schema: {
          summary: 'Export the sealed entries of all organizations in chain order, one JSON object a line',
          tags,
          operationId: 'exportAuditEntries',
          querystring: ExportQuery,
          response: {
            200: { description: 'NDJSON', content: { 'application/x-ndjson': { schema: SealedAuditEntryLine } } },
          },
        },
      },
      async (request, reply) => {
        assertOperator(request.principal, 'The chain runs through all organizations; only operators may export it.');
        const { from_sequence: from = 1 } = request.query;
        const { sequence: to } = await db.read(readChain);
        return reply.type('application/x-ndjson').send(Readable.from(exportLines(db, from, to)));
      },
    );

    app.get(
      '/v1/audit/checkpoints',
      {
        config: readAuth,
        schema: {
          summary: 'List the signed checkpoints, oldest first',
          tags,
          operationId: 'listAuditCheckpoints',
          querystring: PageQuery,
          response: { 200: pageOf(AuditCheckpoint) },
        },
      },
      async (request) => {
        assertOperator(request.principal, 'Checkpoints cover all organizations; only operators may read them.');
        const { limit = 50, cursor } = request.query;
        const after = Number(positionIn(cursor) ?? 0);
        const rows = await db.read((tx) => listCheckpoints(tx, after, limit + 1));
        return pageFrom(
          rows,
          limit,
          (row) => [row.number],
          (row) => row,
        );
      },
    );

    app.get(
      '/v1/audit/checkpoints/latest',
      {
        config: readAuth,
        schema: {
          summary: 'The newest signed checkpoint',
          tags,
          operationId: 'getLatestAuditCheckpoint',
          response: { 200: AuditCheckpoint },
        },
      },
      async (request) => {
        assertOperator(request.principal, 'Checkpoints cover all organizations; only operators may read them.');
        const checkpoint = await db.read(findLastCheckpoint);
        if (!checkpoint)
          throw new AppError('audit.no_checkpoint', {
            detail: 'The first one follows the first entry within seconds.',
          });
        return checkpoint;
      },
    );

    app.get(
      '/v1/audit/keys',
      {
        config: readAuth,
        schema: {
          summary: 'Public keys that signed checkpoints, expired ones included',
          tags,
          operationId: 'listAuditKeys',
          response: { 200: KeySet },
        },
      },
      async () => ({ keys: [...(await auditKeys()).keys] }),
    );
  };
}

/** Each entry's canonical JSON on a line; a page at a time, read only as fast as the client takes it. */
async function* exportLines(db: Db, from: number, to: number): AsyncGenerator<string> {
  for (let next = from; next <= to; ) {
    const page = await db.read((tx) => listSealed(tx, next, to, exportPageSize));
    const last = page.at(-1);
    if (!last) return;
    yield page.map((entry) => `${canonicalJson(entry)}\n`).join('');
    next = last.sequence + 1;
  }
}

/** The organization a caller may read: its own, unless an operator names another, or `*` for all (undefined). */
function visibleOrganization(principal: Principal, asked: string | undefined): string | undefined {
  if (asked === undefined || asked === principal.organization) return principal.organization;
  assertOperator(principal, 'Only operators may read the entries of another organization. Leave out ?organization=.');
  return asked === '*' ? undefined : asked;
}

function assertOperator(principal: Principal, detail: string): void {
  if (!principal.operator) throw new AppError('kernel.forbidden', { detail });
}

/** The position in a cursor, as text of digits: it goes into SQL as bigint. */
function positionIn(cursor: string | undefined): string | undefined {
  const key = decodeCursor(cursor, 1);
  if (key === undefined) return undefined;
  const text = String(key[0]);
  if (!/^\d{1,18}$/.test(text)) {
    throw new AppError('kernel.invalid_cursor', { detail: 'Use the next_cursor of the page before, unchanged.' });
  }
  return text;
}

function timeOf(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime()))
    throw invalidField(field, 'is not a time that exists', 'use a form such as 2026-01-31T12:00:00Z');
  return time;
}
