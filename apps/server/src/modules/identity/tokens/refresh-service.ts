import type { Clock, Db, Origin, Random } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { SessionEnding } from '../sessions/session-ending.ts';
import { findSession, type SessionRow } from '../sessions/session-store.ts';
import { type Refusal, rotateRefreshToken } from './refresh-rotation.ts';
import type { RefreshRow } from './refresh-store.ts';

/** A refresh that was granted: the next refresh token and the session it belongs to. */
export interface Refreshed {
  readonly refreshToken: string;
  readonly session: SessionRow;
  readonly token: RefreshRow;
}

/** A refresh that was not: the caller answers all of these alike. */
export interface NotRefreshed {
  readonly refused: Refusal | 'reused';
}

/**
 * Refreshes a session: rotation, the end of a family whose token was copied, and the audit, in one transaction.
 * `tokenId` is the `jti` of the access token that will be handed out, so that the entry covers it.
 */
export function createRefreshService(deps: {
  db: Db;
  clock: Clock;
  random: Random;
  audit: Pick<Audit, 'append'>;
  ending: SessionEnding;
}) {
  const { db, clock, random, audit, ending } = deps;
  return function refresh(input: {
    value: string;
    clientId: string;
    tokenId: string;
    origin: Origin;
  }): Promise<Refreshed | NotRefreshed> {
    const { value, clientId, tokenId, origin } = input;
    return db.transaction(async (tx): Promise<Refreshed | NotRefreshed> => {
      const rotation = await rotateRefreshToken(tx, { value, clientId, random, now: clock.now() });
      const session = rotation.token && (await findSession(tx, rotation.token.session_id));
      if (!rotation.token || !session) return { refused: 'unknown' };
      const entry = {
        organization: session.organization,
        origin: { ...origin, actor: { type: 'user', id: session.user_id } as const },
        target: { type: 'session', id: session.id },
      };
      switch (rotation.outcome) {
        case 'rotated':
        case 'repeated':
          await audit.append(tx, {
            ...entry,
            action: 'session.refreshed',
            details: { client_id: clientId, token_id: tokenId, repeated: rotation.outcome === 'repeated' },
          });
          return { refreshToken: rotation.successor, session, token: rotation.token };
        case 'reused':
          await audit.append(tx, {
            ...entry,
            action: 'token.reuse_detected',
            outcome: 'failure',
            reason: 'a refresh token was used again after its grace window',
            details: { client_id: clientId },
          });
          await ending.endSession(tx, { id: session.id, reason: 'refresh token used twice', origin });
          return { refused: 'reused' };
        default:
          await audit.append(tx, {
            ...entry,
            action: 'session.refresh_refused',
            outcome: 'failure',
            reason: rotation.reason,
            details: { client_id: clientId },
          });
          return { refused: rotation.reason };
      }
    });
  };
}

export type RefreshSession = ReturnType<typeof createRefreshService>;
