import Provider, { type AdapterPayload } from 'oidc-provider';
import {
  addSeconds,
  type Clock,
  createSystemClock,
  epochSeconds,
  type Random,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import type { SessionEnding } from '../sessions/session-ending.ts';
import { findSessionByGrant, insertSession, lockSignIn } from '../sessions/session-store.ts';
import { sessionAbsoluteSeconds } from '../tokens/limits.ts';
import { idleEnd, refreshTokenHash } from '../tokens/refresh-rotation.ts';
import { insertRefreshToken } from '../tokens/refresh-store.ts';
import { findMemberFor } from './accounts.ts';
import type { ArtifactHooks } from './adapter/adapter.ts';
import type { ArtifactSeal } from './adapter/artifact-seal.ts';
import { findClient } from './clients/client-store.ts';
import { grantEnded } from './oidc-errors.ts';
import { currentOrigin } from './request-context.ts';

/**
 * Ties oidc-provider's grants to sessions: one grant (a user's permission to a client, from one browser sign-in) is one
 * row of `identity.sessions`. Whoever ends the session ends the grant, and the other way round.
 */
export function createGrantSessions(deps: {
  clock: Clock;
  random: Random;
  audit: Pick<Audit, 'append'>;
  ending: SessionEnding;
  seal: ArtifactSeal;
}): Omit<ArtifactHooks, 'findClient'> {
  const { clock, random, audit, ending, seal } = deps;

  const beginSession = async (tx: Tx, grantHash: Buffer, userId: string, clientId: string, scope: string) => {
    const client = await findClient(tx, clientId);
    const now = clock.now();
    const member =
      client && (await lockSignIn(tx, userId, signInTime(now))) && (await findMemberFor(tx, userId, client));
    if (!client || !member) throw grantEnded();
    const absoluteExpiresAt = addSeconds(now, sessionAbsoluteSeconds);
    const origin = currentOrigin();
    const id = random.id('ses');
    await insertSession(tx, {
      id,
      kind: 'oauth',
      userId,
      organization: member.organization,
      clientId,
      grantHash,
      scope,
      audience: [],
      address: origin.address ?? null,
      userAgent: origin.userAgent ?? null,
      authenticatedAt: now,
      now,
      expiresAt: idleEnd(now, absoluteExpiresAt),
      absoluteExpiresAt,
    });
    await audit.append(tx, {
      action: 'session.created',
      organization: member.organization,
      origin: { ...origin, actor: { type: 'user', id: userId } },
      target: { type: 'session', id },
      details: { kind: 'oauth', user: userId, client_id: clientId },
    });
    return { organization: member.organization, firstParty: client.firstParty };
  };

  return {
    async browserSaved(tx, payload) {
      const { accountId } = payload;
      if (accountId === undefined) return;
      if (!(await lockSignIn(tx, accountId, signInTime(clock.now())))) throw grantEnded();
    },
    async grantSaved(tx, grantHash, payload) {
      const { accountId, clientId } = payload;
      if (accountId === undefined || clientId === undefined) throw grantEnded();
      const scope = scopeOf(payload);
      const known = await findSessionByGrant(tx, grantHash);
      if (known?.revoked_at) throw grantEnded();
      const begun = known ?? (await beginSession(tx, grantHash, accountId, clientId, scope));
      await audit.append(tx, {
        action: 'consent.granted',
        organization: begun.organization,
        origin: { ...currentOrigin(), actor: { type: 'user', id: accountId } },
        target: { type: 'service', id: clientId },
        details: { scope },
      });
    },
    async grantEnded(tx, grantHash, reason) {
      await ending.endSessionOfGrant(tx, { grantHash, reason, origin: currentOrigin() });
    },
    async refreshTokenSaved(tx, grantHash, value, payload) {
      const session = await findSessionByGrant(tx, grantHash);
      if (!session || session.revoked_at || payload.clientId !== session.client_id) throw grantEnded();
      const { jti: _value, ...details } = payload;
      const now = clock.now();
      await insertRefreshToken(tx, {
        tokenHash: refreshTokenHash(value),
        sessionId: session.id,
        clientId: session.client_id,
        details: seal.sealDetails(session.id, details),
        now,
        expiresAt: idleEnd(now, session.absolute_expires_at),
      });
    },
  };
}

/** oidc-provider's own clock. */
const providerClock = createSystemClock();

/**
 * When the browser of the request under way was signed in, by our clock. oidc-provider stamps it by the machine's; where
 * the two differ (a clock of a test), the sign-in is taken for that much later.
 */
function signInTime(now: Date): Date {
  const loginTs = Provider.ctx?.oidc?.session?.loginTs;
  if (loginTs === undefined) return now;
  const difference = Math.ceil(Math.abs(now.getTime() - providerClock.now().getTime()) / 1000);
  return addSeconds(now, loginTs - epochSeconds(providerClock) + (difference > 1 ? difference : 0));
}

function scopeOf(payload: AdapterPayload): string {
  const openid = payload['openid'] as { scope?: string } | undefined;
  const resources = (payload['resources'] ?? {}) as Record<string, string>;
  const names = [openid?.scope ?? '', ...Object.values(resources)].flatMap((text) => text.split(' '));
  return [...new Set(names.filter(Boolean))].join(' ');
}
