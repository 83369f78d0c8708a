import type { Db, Origin } from '../../../kernel/index.ts';
import type { Audit, NewEntry } from '../../audit/index.ts';
import type { AccessTokenClaims } from '../tokens/access-token.ts';

/** What is on record about an access token. */
export interface IssuedToken {
  readonly claims: AccessTokenClaims;
  readonly grant: string;
  readonly origin: Origin;
}

/** Records an issued token; resolves when the entry is committed. Without the entry the token must not leave. */
export type RecordIssue = (token: IssuedToken) => Promise<void>;

/** The entry `token.issued`. */
export function issueEntry({ claims, grant, origin }: IssuedToken): NewEntry {
  const service = claims.sub === claims.client_id;
  return {
    action: 'token.issued',
    organization: claims.org,
    origin: { ...origin, actor: { type: service ? 'service' : 'user', id: claims.sub } },
    target: { type: 'token', id: claims.jti },
    details: {
      grant,
      client_id: claims.client_id,
      audience: typeof claims.aud === 'string' ? [claims.aud] : [...claims.aud],
      scope: claims.scope,
      session: claims.sid,
    },
  };
}

const maxCrowd = 64;
const maxRunning = 2;

interface Waiting {
  token: IssuedToken;
  done: () => void;
  failed: (error: unknown) => void;
}

/**
 * Records issued tokens; those that come while two commits are under way share the next one. A commit is the dearest
 * part of an entry, and tokens are asked for in crowds (measured: 2.9 k/s with a commit each, 4.3 k/s when shared).
 * Each caller waits for the commit that holds its entry; a lone caller waits for nobody.
 */
export function createIssueRecorder({ db, audit }: { db: Db; audit: Pick<Audit, 'appendAll'> }): RecordIssue {
  const waiting: Waiting[] = [];
  let running = 0;
  let scheduled = false;

  const commit = async (crowd: readonly Waiting[]) => {
    try {
      await db.transaction((tx) =>
        audit.appendAll(
          tx,
          crowd.map(({ token }) => issueEntry(token)),
        ),
      );
      for (const { done } of crowd) done();
    } catch (error) {
      for (const { failed } of crowd) failed(error);
    }
  };
  const pump = () => {
    scheduled = false;
    while (running < maxRunning && waiting.length > 0) {
      const crowd = waiting.splice(0, maxCrowd);
      running += 1;
      void commit(crowd).finally(() => {
        running -= 1;
        pump();
      });
    }
  };

  return (token) =>
    new Promise<void>((done, failed) => {
      waiting.push({ token, done, failed });
      if (scheduled || running >= maxRunning) return;
      // After the requests that this turn of the event loop has read, so that a crowd is seen as one.
      scheduled = true;
      setImmediate(pump);
    });
}
