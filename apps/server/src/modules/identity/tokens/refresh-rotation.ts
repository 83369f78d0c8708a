import { openBytes, sealBytes } from '@gatehouse/crypto';
import { addSeconds, type Random, type Tx } from '../../../kernel/index.ts';
import { touchSession } from '../sessions/session-store.ts';
import { bearerHash, bearerKey } from './hashes.ts';
import { refreshGraceSeconds, refreshIdleSeconds } from './limits.ts';
import {
  getRefreshTokenForUpdate,
  insertRefreshToken,
  markRefreshTokenUsed,
  type RefreshRow,
} from './refresh-store.ts';

/**
 * Rotation of refresh tokens (RFC 9700 §4.14.2), the same for headless sessions and for every OAuth client.
 * The row of the presented token is locked, so of many parallel refreshes exactly one makes the successor and the
 * others, within the grace window, are handed the same one.
 */
export type Rotation =
  /** The first use: a new successor. */
  | { outcome: 'rotated'; successor: string; token: RefreshRow }
  /** A repeat within the grace window: the same successor. */
  | { outcome: 'repeated'; successor: string; token: RefreshRow }
  /** A repeat after it: the token was copied, so the caller ends the whole family. */
  | { outcome: 'reused'; token: RefreshRow }
  | { outcome: 'refused'; reason: Refusal; token?: RefreshRow };

/** Why a refresh token is not accepted. The caller of the endpoint learns none of it. */
export type Refusal = 'unknown' | 'other_client' | 'expired' | 'session_ended';

/** The label of refresh tokens in {@link bearerHash}. */
const label = 'refresh-token';
const successorInfo = 'refresh token successor v1';

/** The row key of a refresh token. */
export function refreshTokenHash(value: string): Buffer {
  return bearerHash(label, value);
}

/** Stores a session's first refresh token and returns its value, which is kept nowhere. */
export async function issueRefreshToken(
  tx: Tx,
  input: { sessionId: string; clientId: string; random: Random; now: Date; absoluteExpiresAt: Date },
): Promise<string> {
  const value = newTokenValue(input.random);
  await insertRefreshToken(tx, {
    tokenHash: refreshTokenHash(value),
    sessionId: input.sessionId,
    clientId: input.clientId,
    details: null,
    now: input.now,
    expiresAt: idleEnd(input.now, input.absoluteExpiresAt),
  });
  return value;
}

/** Why `token` cannot be used by `clientId` now, if so; reuse is judged apart, after this. */
export function judgeRefreshToken(token: RefreshRow, clientId: string, now: Date): Refusal | undefined {
  if (token.client_id !== clientId) return 'other_client';
  if (token.session_ended) return 'session_ended';
  if (token.expires_at <= now || token.session_expires_at <= now || token.absolute_expires_at <= now) return 'expired';
  return undefined;
}

/** Presents a refresh token: see {@link Rotation}. Everything it changes is in the caller's transaction. */
export async function rotateRefreshToken(
  tx: Tx,
  input: { value: string; clientId: string; random: Random; now: Date },
): Promise<Rotation> {
  const { value, clientId, random, now } = input;
  const tokenHash = refreshTokenHash(value);
  const token = await getRefreshTokenForUpdate(tx, tokenHash);
  if (!token) return { outcome: 'refused', reason: 'unknown' };
  const refusal = judgeRefreshToken(token, clientId, now);
  if (refusal) return { outcome: 'refused', reason: refusal, token };

  if (token.used_at && token.successor) {
    if (now <= addSeconds(token.used_at, refreshGraceSeconds)) {
      return { outcome: 'repeated', successor: openSuccessor(value, token.successor, tokenHash), token };
    }
    return { outcome: 'reused', token };
  }

  const successor = newTokenValue(random);
  const expiresAt = idleEnd(now, token.absolute_expires_at);
  await insertRefreshToken(tx, {
    tokenHash: refreshTokenHash(successor),
    sessionId: token.session_id,
    clientId,
    details: token.details,
    now,
    expiresAt,
  });
  await markRefreshTokenUsed(tx, tokenHash, now, sealSuccessor(value, successor, tokenHash, random));
  await touchSession(tx, token.session_id, now, expiresAt);
  return { outcome: 'rotated', successor, token };
}

/** 256 random bits, base64url. */
export function newTokenValue(random: Random): string {
  return Buffer.from(random.bytes(32)).toString('base64url');
}

/** When a token issued now goes stale: the idle limit, but never past the session's absolute end. */
export function idleEnd(now: Date, absoluteExpiresAt: Date): Date {
  const idle = addSeconds(now, refreshIdleSeconds);
  return idle < absoluteExpiresAt ? idle : absoluteExpiresAt;
}

function sealSuccessor(value: string, successor: string, tokenHash: Buffer, random: Random): Uint8Array {
  const key = bearerKey(value, successorInfo);
  return sealBytes(key, Buffer.from(successor), tokenHash, (count) => random.bytes(count));
}

function openSuccessor(value: string, sealed: Uint8Array, tokenHash: Buffer): string {
  return Buffer.from(openBytes(bearerKey(value, successorInfo), sealed, tokenHash)).toString('utf8');
}
