import { named, type Reader, type Tx } from '../../kernel/index.ts';
import type { Checkpoint } from './entry.ts';
import type { ChainState } from './entry-rules.ts';

const lockHeadStatement = {
  name: 'audit_lock_chain_head',
  text: 'select sequence from audit.chain_head for update skip locked',
};

/** Takes the sealer's lock for this transaction; false when another node holds it. Never waits. */
export async function tryLockHead(tx: Tx): Promise<boolean> {
  return (await named(tx, lockHeadStatement, [])).length > 0;
}

const readChainStatement = {
  name: 'audit_read_chain',
  text: `select h.sequence, encode(h.hash, 'hex') as hash,
      exists (select from audit.unsealed) as waiting,
      h.sequence = coalesce((select max(sequence) from audit.seals), 0)
        and (h.sequence = 0 or exists (select from audit.seals s where s.sequence = h.sequence and s.hash = h.hash)) as intact,
      c.number, c.sequence as checkpoint_sequence, c.at, encode(c.jws_hash, 'hex') as jws_hash
    from audit.chain_head h
    left join lateral (select * from audit.checkpoints order by number desc limit 1) c on true`,
};

/** The head of the chain, the last checkpoint, whether entries wait, and whether the head is the last seal. */
export async function readChain(tx: Reader): Promise<ChainState & { waiting: boolean; intact: boolean }> {
  const [row] = await named<{
    sequence: string;
    hash: string;
    waiting: boolean;
    intact: boolean;
    number: string | null;
    checkpoint_sequence: string;
    at: Date;
    jws_hash: string;
  }>(tx, readChainStatement, []);
  if (!row) throw new Error('audit: the head of the chain is missing from audit.chain_head');
  return {
    sequence: Number(row.sequence),
    hash: row.hash,
    waiting: row.waiting,
    intact: row.intact,
    checkpoint:
      row.number === null
        ? undefined
        : { number: Number(row.number), sequence: Number(row.checkpoint_sequence), at: row.at, jwsHash: row.jws_hash },
  };
}

const insertSealsStatement = {
  name: 'audit_insert_seals',
  text: `with sealed as (
      insert into audit.seals (sequence, position, previous_hash, hash)
      select sequence, position, decode(previous_hash, 'hex'), decode(hash, 'hex')
      from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as seal (sequence, position, previous_hash, hash)
      returning position),
    dequeued as (delete from audit.unsealed where position = any ($2::bigint[]))
    update audit.chain_head set sequence = $5, hash = decode($6, 'hex')`,
};

/** One seal: which entry has which place. */
export interface Seal {
  readonly position: string;
  readonly sequence: number;
  readonly previous_hash: string;
  readonly hash: string;
}

/** Adds a batch of seals, takes their entries from the queue and moves the head: one statement. */
export async function insertSeals(tx: Tx, seals: readonly Seal[]): Promise<void> {
  const last = seals.at(-1);
  if (!last) return;
  await named(tx, insertSealsStatement, [
    seals.map((seal) => seal.sequence),
    seals.map((seal) => seal.position),
    seals.map((seal) => seal.previous_hash),
    seals.map((seal) => seal.hash),
    last.sequence,
    last.hash,
  ]);
}

const insertCheckpointStatement = {
  name: 'audit_insert_checkpoint',
  text: `insert into audit.checkpoints (number, sequence, hash, at, jws, jws_hash)
    values ($1, $2, decode($3, 'hex'), $4, $5, decode($6, 'hex')) on conflict (number) do nothing returning number`,
};

/** Stores a checkpoint; false when another node wrote that number first. */
export async function insertCheckpoint(tx: Tx, checkpoint: Checkpoint & { jwsHash: string }): Promise<boolean> {
  const { number, sequence, hash, at, jws, jwsHash } = checkpoint;
  return (await named(tx, insertCheckpointStatement, [number, sequence, hash, at, jws, jwsHash])).length > 0;
}

const listCheckpointsStatement = {
  name: 'audit_list_checkpoints',
  text: `select number, sequence, encode(hash, 'hex') as hash, at, jws from audit.checkpoints
    where number > $1 order by number limit $2`,
};
const findLastCheckpointStatement = {
  name: 'audit_find_last_checkpoint',
  text: `select number, sequence, encode(hash, 'hex') as hash, at, jws from audit.checkpoints order by number desc limit 1`,
};
interface CheckpointRow {
  number: string;
  sequence: string;
  hash: string;
  at: Date;
  jws: string;
}

/** Checkpoints in order, after the given number. */
export async function listCheckpoints(tx: Reader, after: number, limit: number): Promise<Checkpoint[]> {
  return (await named<CheckpointRow>(tx, listCheckpointsStatement, [after, limit])).map(toCheckpoint);
}

/** The newest checkpoint. */
export async function findLastCheckpoint(tx: Reader): Promise<Checkpoint | undefined> {
  return (await named<CheckpointRow>(tx, findLastCheckpointStatement, [])).map(toCheckpoint)[0];
}

function toCheckpoint(row: CheckpointRow): Checkpoint {
  return {
    number: Number(row.number),
    sequence: Number(row.sequence),
    hash: row.hash,
    at: row.at.toISOString(),
    jws: row.jws,
  };
}
