import { type ChainLine, hashOf, readChainLine } from './chain-line.ts';

/** What was done to the first entry that is not as it was written. */
export type ProblemKind = 'changed' | 'removed' | 'reordered' | 'truncated' | 'checkpoint_mismatch' | 'bad_signature';

/** The first thing that does not hold. */
export interface Problem {
  /** The entry it is about. */
  readonly sequence: number;
  readonly kind: ProblemKind;
  readonly text: string;
}

/** Where the chain stands: the last entry that held. */
export interface Place {
  readonly sequence: number;
  readonly hash: string;
}

/** How far a renumbered entry is looked for. */
const maxRenumbering = 1000;

/**
 * Names what happened at the first line that does not follow the entries before it. That something happened is certain;
 * what it was is read from the traces: an entry's hash is over its place as well, so an entry that stands elsewhere can
 * be recognised. `rest` is what comes after the line and is read to its end.
 */
export async function nameProblem(
  line: ChainLine | string,
  head: Place,
  rest: AsyncIterable<string>,
): Promise<Problem> {
  const sequence = head.sequence + 1;
  const problem = (kind: ProblemKind, text: string, at = sequence): Problem => ({ sequence: at, kind, text });
  if (typeof line === 'string') return problem('changed', `Entry ${sequence} was changed: ${line}.`);

  const here = { sequence, previousHash: head.hash };
  if (hashOf(line.content, here) === line.hash) {
    return problem(
      'changed',
      `Entry ${sequence} was changed: its sequence or previous_hash is not what its hash was taken over.`,
    );
  }
  const traces = await findTraces(line, head, rest);
  if (traces.ownContentLater) {
    return problem(
      'reordered',
      `Entry ${sequence} was reordered: what its hash was taken over stands in a later line.`,
    );
  }
  if (line.sequence === sequence && line.previousHash === head.hash) {
    return problem('changed', `Entry ${sequence} was changed: its content does not give its hash.`);
  }
  if (traces.successorLater) {
    return problem(
      'reordered',
      `Entry ${sequence} was reordered: entry ${line.sequence} stands in its place, and it comes later.`,
    );
  }
  if (line.sequence < sequence) {
    return problem(
      'reordered',
      `Entries were reordered: entry ${line.sequence} stands again where entry ${sequence} would be.`,
    );
  }
  if (line.sequence > sequence)
    return problem('removed', `Entry ${sequence} was removed: entry ${line.sequence} follows entry ${head.sequence}.`);
  // The line claims this place, but another entry before it.
  if (hashOf(line.content) === line.hash) {
    return head.sequence === 0
      ? problem('changed', 'Entry 1 was changed: its previous_hash is not that of a first entry.')
      : problem(
          'changed',
          `Entry ${head.sequence} was changed: entry ${sequence} was chained to another hash of it.`,
          head.sequence,
        );
  }
  const distance = renumberedBy(line);
  if (distance !== undefined && distance > 0) {
    return problem(
      'removed',
      `Entry ${sequence} was removed: the entry in its place was number ${sequence + distance} when it was sealed.`,
    );
  }
  if (distance !== undefined) {
    return problem(
      'reordered',
      `Entry ${sequence} was reordered: the entry in its place was number ${sequence + distance} when it was sealed.`,
    );
  }
  return problem('changed', `Entry ${sequence} was changed: neither its content nor its predecessor give its hash.`);
}

/** Reads the rest for the entry that belongs in the place of `line`, and for the content that `line`'s hash was taken over. */
async function findTraces(line: ChainLine, head: Place, rest: AsyncIterable<string>) {
  const here = { sequence: head.sequence + 1, previousHash: head.hash };
  let successorLater = false;
  let ownContentLater = false;
  for await (const text of rest) {
    const later = readChainLine(text);
    if (typeof later === 'string') continue;
    successorLater ||= later.previousHash === head.hash || later.sequence === here.sequence;
    ownContentLater ||= hashOf(later.content, here) === line.hash;
  }
  return { successorLater, ownContentLater };
}

/** By how much the sequence must be moved for the content to give the hash. */
function renumberedBy(line: ChainLine): number | undefined {
  for (let distance = 1; distance <= maxRenumbering; distance += 1) {
    for (const moved of [distance, -distance]) {
      const place = { sequence: line.sequence + moved, previousHash: line.previousHash };
      if (hashOf(line.content, place) === line.hash) return moved;
    }
  }
  return undefined;
}
