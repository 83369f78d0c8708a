import { createHash } from 'node:crypto';
import type { JsonObject } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import { bounds, cleanDetails, cleanText } from './clean-text.ts';
import type { Entry, NewEntry, SealedEntry } from './entry.ts';

/** The version of the entry format that is written; it is a member of each entry and so part of its hash. */
export const formatVersion = 1;
/** The hash before the first entry, and before the first checkpoint. */
export const zeroHash: string = '0'.repeat(64);

const actionPattern = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$/;

/** The entry as it will be kept. A malformed action is a mistake in our code and throws; foreign text is cleaned and cut. */
export function prepareEntry(input: NewEntry, id: string, at: Date): Entry {
  if (!actionPattern.test(input.action) || input.action.length > 64) {
    throw new Error(
      `audit: "${input.action}" is not an action name of the form noun.verb (a-z, 0-9, _), at most 64 long`,
    );
  }
  const { origin, target, reason } = input;
  return {
    version: formatVersion,
    id,
    at: at.toISOString(),
    action: input.action,
    organization: cleanText(input.organization, bounds.idLength),
    actor: { type: origin.actor.type, id: cleanText(origin.actor.id, bounds.idLength) },
    ...(target ? { target: { type: cleanText(target.type, 64), id: cleanText(target.id, bounds.idLength) } } : {}),
    outcome: input.outcome ?? 'success',
    ...(reason === undefined ? {} : { reason: cleanText(reason) }),
    ...(origin.requestId === undefined ? {} : { request_id: cleanText(origin.requestId, bounds.idLength) }),
    ...(origin.address === undefined ? {} : { address: cleanText(origin.address, 64) }),
    ...(origin.userAgent === undefined ? {} : { user_agent: cleanText(origin.userAgent, bounds.userAgentLength) }),
    details: cleanDetails(input.details ?? {}),
  };
}

/** Gives an entry its place: the hash covers every member, its sequence and the hash before it. */
export function sealEntry(entry: Entry, previous: { sequence: number; hash: string }): SealedEntry {
  const content = { ...entry, sequence: previous.sequence + 1, previous_hash: previous.hash };
  return { ...content, hash: sha256(canonicalJson(content)) };
}

/** When the next checkpoint is written: see {@link isCheckpointDue}. */
export const checkpointPolicy = { maxAgeSeconds: 10, maxEntries: 1000 } as const;

/** The chain's last seal and last checkpoint, read together. */
export interface ChainState {
  readonly sequence: number;
  readonly hash: string;
  readonly checkpoint:
    | { readonly number: number; readonly sequence: number; readonly at: Date; readonly jwsHash: string }
    | undefined;
}

/**
 * A checkpoint is due when it would cover something new and the last one is 10 s old or 1,000 entries behind.
 * The age is taken without its sign, so that a node whose clock runs behind another's still writes them.
 */
export function isCheckpointDue(state: ChainState, now: Date): boolean {
  const last = state.checkpoint;
  if (state.sequence === (last?.sequence ?? 0)) return false;
  if (!last || state.sequence - last.sequence >= checkpointPolicy.maxEntries) return true;
  return Math.abs(now.getTime() - last.at.getTime()) >= checkpointPolicy.maxAgeSeconds * 1000;
}

/** What a checkpoint signs: the head of the chain, and the checkpoint before it by the SHA-256 of its compact JWS. */
export function checkpointPayload(state: ChainState, at: Date): { number: number } & JsonObject {
  return {
    type: 'gatehouse-audit-checkpoint',
    version: formatVersion,
    number: (state.checkpoint?.number ?? 0) + 1,
    at: at.toISOString(),
    sequence: state.sequence,
    hash: state.hash,
    previous: state.checkpoint?.jwsHash ?? zeroHash,
  };
}

/** SHA-256 of the text's UTF-8 bytes, 64 lower-case hexadecimal digits. */
export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
