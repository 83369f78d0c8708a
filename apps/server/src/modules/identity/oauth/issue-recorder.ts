import { createGroupCommit, type Db, type Origin } from '../../../kernel/index.ts';
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

/** Records issued tokens; those that come in a crowd share a commit (measured: 2.9 k/s each alone, 4.3 k/s together). */
export function createIssueRecorder({ db, audit }: { db: Db; audit: Pick<Audit, 'appendAll'> }): RecordIssue {
  return createGroupCommit<IssuedToken, void>(db, async (tx, tokens) => {
    await audit.appendAll(tx, tokens.map(issueEntry));
    return tokens.map(() => ({ value: undefined }));
  });
}
