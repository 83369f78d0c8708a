/**
 * Verifies an exported audit trail from its published format alone (docs/guides/audit-format.md).
 * Nothing here is shared with the server that wrote it.
 */
import { type ChainLine, hashOf, readChainLine, sha256, zeroHash } from './chain-line.ts';
import { type Checkpoint, type CheckpointKeys, verifyCheckpoint } from './checkpoint.ts';
import { nameProblem, type Place, type Problem } from './problem.ts';

/** What an export is held against. */
export interface VerifyChainOptions {
  /** Compact JWS in order, from number 1. Without them only the hashes are verified. */
  readonly checkpoints?: AsyncIterable<string> | Iterable<string>;
  /** The public audit keys, expired ones included. */
  readonly keys: CheckpointKeys;
  /** A checkpoint that was kept elsewhere, and the key it was kept with: shows a tail that was cut off. */
  readonly earlierCheckpoint?: { readonly jws: string; readonly keys: CheckpointKeys };
}

/** The outcome. `count` entries held, and `head` is the last of them. */
export interface Verification {
  readonly ok: boolean;
  readonly count: number;
  readonly head: Place;
  readonly checkpoints: number;
  /** The newest checkpoint that held and whose key is not revoked: entries up to it are vouched for. */
  readonly lastCheckpoint?: Checkpoint;
  readonly firstProblem?: Problem;
}

/** Reads the lines once, in order, and stops at the first problem. Memory does not grow with their number. */
export async function verifyChain(lines: AsyncIterable<string>, options: VerifyChainOptions): Promise<Verification> {
  let head: Place = { sequence: 0, hash: zeroHash };
  const statements = createStatements(options);
  const result = (firstProblem: Problem | undefined): Verification => {
    const { count, last } = statements.held();
    return {
      ok: firstProblem === undefined,
      count: head.sequence,
      head,
      checkpoints: count,
      ...(last === undefined ? {} : { lastCheckpoint: last }),
      ...(firstProblem === undefined ? {} : { firstProblem }),
    };
  };

  const iterator = lines[Symbol.asyncIterator]();
  // One iterator for the loop and for naming the problem, which reads on where the loop stopped.
  const rest = { [Symbol.asyncIterator]: () => iterator };
  try {
    const unfit = await statements.start();
    if (unfit) return result(unfit);
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      const line = readChainLine(next.value);
      if (!follows(line, head)) return result(await nameProblem(line, head, rest));
      const reached: Place = { sequence: line.sequence, hash: line.hash };
      const contradiction = await statements.compare(reached);
      if (contradiction) return result(contradiction);
      head = reached;
    }
    return result(await statements.finish(head));
  } finally {
    // A problem ends the reading early: the sources are closed, or a download would keep the program waiting.
    await iterator.return?.();
    await statements.close();
  }
}

function follows(line: ChainLine | string, head: Place): line is ChainLine {
  return (
    typeof line !== 'string' &&
    line.sequence === head.sequence + 1 &&
    line.previousHash === head.hash &&
    hashOf(line.content) === line.hash
  );
}

/** The checkpoints, read beside the entries: each is compared with the entry of its sequence. */
function createStatements({ checkpoints = [], keys, earlierCheckpoint }: VerifyChainOptions) {
  const iterator = iterate(checkpoints);
  let earlier: Checkpoint | undefined;
  let waiting: Checkpoint | undefined;
  let count = 0;
  let last: Checkpoint | undefined;
  let lastRead: { number: number; sequence: number; jws?: string } = { number: 0, sequence: 0 };

  /** Reads the next checkpoint into `waiting`; a problem when it is not signed or does not follow the one before. */
  const advance = async (): Promise<Problem | undefined> => {
    waiting = undefined;
    const next = await iterator.next();
    if (next.done) return undefined;
    const number = lastRead.number + 1;
    const sequence = lastRead.sequence + 1;
    const checkpoint = await verifyCheckpoint(next.value, keys);
    if (typeof checkpoint === 'string') {
      return { sequence, kind: 'bad_signature', text: `Checkpoint ${number} cannot be trusted: ${checkpoint}.` };
    }
    const previous = lastRead.jws === undefined ? zeroHash : sha256(lastRead.jws);
    if (checkpoint.number !== number || checkpoint.previous !== previous || checkpoint.sequence < sequence) {
      const text = `Checkpoint ${number} is missing or was replaced: checkpoint ${checkpoint.number} does not follow checkpoint ${lastRead.number}.`;
      return { sequence, kind: 'checkpoint_mismatch', text };
    }
    waiting = checkpoint;
    lastRead = checkpoint;
    return undefined;
  };

  return {
    held: () => ({ count, last }),
    close: () => iterator.return(undefined),
    async start(): Promise<Problem | undefined> {
      if (earlierCheckpoint) {
        const checkpoint = await verifyCheckpoint(earlierCheckpoint.jws, earlierCheckpoint.keys);
        if (typeof checkpoint === 'string') {
          return {
            sequence: 1,
            kind: 'bad_signature',
            text: `The earlier checkpoint cannot be trusted: ${checkpoint}.`,
          };
        }
        earlier = checkpoint;
      }
      return advance();
    },
    async compare(head: Place): Promise<Problem | undefined> {
      if (earlier?.sequence === head.sequence && earlier.hash !== head.hash) {
        return contradiction(`The earlier checkpoint of ${earlier.at}`, head.sequence, 1);
      }
      while (waiting?.sequence === head.sequence) {
        if (waiting.hash !== head.hash) {
          return contradiction(
            `Checkpoint ${waiting.number} of ${waiting.at}`,
            head.sequence,
            (last?.sequence ?? 0) + 1,
          );
        }
        count += 1;
        if (waiting.trusted) last = waiting;
        const problem = await advance();
        if (problem) return problem;
      }
      return undefined;
    },
    async finish(head: Place): Promise<Problem | undefined> {
      const beyond = [earlier, waiting].find((checkpoint) => checkpoint && checkpoint.sequence > head.sequence);
      if (!beyond) return undefined;
      const which = beyond === earlier ? 'the earlier checkpoint' : `checkpoint ${beyond.number}`;
      return {
        sequence: head.sequence + 1,
        kind: 'truncated',
        text: `Entry ${head.sequence + 1} and those after it were cut off: ${which} of ${beyond.at} was signed over ${beyond.sequence} entries.`,
      };
    },
  };
}

function contradiction(which: string, sequence: number, from: number): Problem {
  const range = from === sequence ? `Entry ${sequence}` : `An entry from ${from} to ${sequence}`;
  return {
    sequence,
    kind: 'checkpoint_mismatch',
    text: `${range} was rewritten together with the hashes after it: ${which} was signed over another entry ${sequence}.`,
  };
}

async function* iterate(source: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  yield* source;
}
