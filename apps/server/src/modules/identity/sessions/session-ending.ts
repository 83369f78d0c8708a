import type { Clock, Origin, Tx } from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { deleteArtifactsOfGrant, deleteArtifactsOfUser } from '../oauth/adapter/artifact-store.ts';
import { revokeSessionOfGrant, revokeSessionRow, revokeSessionsOfUser, type SessionRow } from './session-store.ts';

/** Ends sessions with all that hangs on them: refresh tokens, grants, codes, browser sign-ins. Each end is audited. */
export interface SessionEnding {
  /** Ends one session; undefined when it had ended before. */
  endSession(tx: Tx, input: { id: string; reason: string; origin: Origin }): Promise<SessionRow | undefined>;
  /** Ends the session that a grant of oidc-provider stands for. */
  endSessionOfGrant(tx: Tx, input: { grantHash: Buffer; reason: string; origin: Origin }): Promise<void>;
  /**
   * Ends everything of a user, on all nodes with the commit: sessions, refresh tokens, grants and browser sign-ins.
   * `exceptSessionId` spares the session in which the user changes an own credential; `organization` all sessions but
   * those in it, for a membership that ends (browser sign-ins stay: they are of no organization).
   */
  endAllOfUser(
    tx: Tx,
    input: {
      userId: string;
      reason: string;
      origin: Origin;
      exceptSessionId?: string | undefined;
      organization?: string | undefined;
    },
  ): Promise<number>;
}

export function createSessionEnding({ clock, audit }: { clock: Clock; audit: Pick<Audit, 'append'> }): SessionEnding {
  const record = (tx: Tx, session: SessionRow, reason: string, origin: Origin) =>
    audit.append(tx, {
      action: 'session.revoked',
      organization: session.organization,
      origin,
      target: { type: 'session', id: session.id },
      reason,
      details: { user: session.user_id, client_id: session.client_id, kind: session.kind },
    });
  return {
    async endSession(tx, { id, reason, origin }) {
      const session = await revokeSessionRow(tx, id, clock.now(), reason);
      if (!session) return undefined;
      if (session.grant_hash) await deleteArtifactsOfGrant(tx, session.grant_hash);
      await record(tx, session, reason, origin);
      return session;
    },
    async endSessionOfGrant(tx, { grantHash, reason, origin }) {
      const session = await revokeSessionOfGrant(tx, grantHash, clock.now(), reason);
      // Whoever ended it before has deleted the rest, or is about to: waiting for the session's row was enough.
      if (!session) return;
      await deleteArtifactsOfGrant(tx, grantHash);
      await record(tx, session, reason, origin);
    },
    async endAllOfUser(tx, { userId, reason, origin, exceptSessionId, organization }) {
      const ended = await revokeSessionsOfUser(tx, {
        userId,
        now: clock.now(),
        reason,
        exceptId: exceptSessionId ?? null,
        organization: organization ?? null,
      });
      if (organization === undefined) await deleteArtifactsOfUser(tx, userId);
      else for (const { grant_hash } of ended) if (grant_hash) await deleteArtifactsOfGrant(tx, grant_hash);
      for (const session of ended) await record(tx, session, reason, origin);
      return ended.length;
    },
  };
}
