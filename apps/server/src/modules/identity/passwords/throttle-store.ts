import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import { batchRows } from '../tokens/in-batches.ts';

/** How many wrong guesses are free, and how the wait grows after them. Seconds. */
export interface ThrottleLimits {
  readonly free: number;
  readonly firstWaitSeconds: number;
  readonly maxWaitSeconds: number;
  /** Without an attempt for this long everything is forgiven. */
  readonly forgetSeconds: number;
}

const count = {
  name: 'identity_count_attempt',
  // Counts the attempt before it is judged, so that parallel guesses are all seen; no row when it has to wait.
  text: `insert into identity.sign_in_throttles as t (key, failures, updated_at) values ($1, 1, $2)
    on conflict (key) do update set
      failures = case when t.updated_at < $2::timestamptz - make_interval(secs => $6) then 1 else t.failures + 1 end,
      blocked_until = case
        when t.updated_at < $2::timestamptz - make_interval(secs => $6) or t.failures + 1 < $3 then null
        else $2::timestamptz + make_interval(secs => least($5, $4 * power(2, least(t.failures + 1 - $3, 30)))) end,
      refused = 0,
      updated_at = $2
    where t.blocked_until is null or t.blocked_until <= $2
    returning refused`,
};
/** True when the attempt may go on. */
export async function countAttempt(tx: Tx, key: Buffer, now: Date, limits: ThrottleLimits): Promise<boolean> {
  const { free, firstWaitSeconds, maxWaitSeconds, forgetSeconds } = limits;
  const rows = await named(tx, count, [key, now, free, firstWaitSeconds, maxWaitSeconds, forgetSeconds]);
  return rows.length > 0;
}

const refuse = {
  name: 'identity_count_refused_attempt',
  text: `update identity.sign_in_throttles set refused = refused + 1
    where key = $1 returning refused, blocked_until`,
};
/** Notes a refused attempt: how many were refused since the last one let through, and until when. */
export async function countRefused(
  tx: Tx,
  key: Buffer,
): Promise<{ refused: number; blocked_until: Date | null } | undefined> {
  const [row] = await named<{ refused: number; blocked_until: Date | null }>(tx, refuse, [key]);
  return row;
}

const trusted = {
  name: 'identity_find_trusted_source',
  text: 'select 1 from identity.sign_in_throttles where key = $1 and trusted_until > $2',
};
/** True when the account has signed in from this address lately. */
export async function isTrustedSource(tx: Reader, key: Buffer, now: Date): Promise<boolean> {
  return (await named(tx, trusted, [key, now])).length > 0;
}

const succeed = {
  name: 'identity_forgive_attempts',
  text: `update identity.sign_in_throttles
    set failures = 0, refused = 0, blocked_until = null, trusted_until = coalesce($2::timestamptz, trusted_until)
    where key = $1`,
};
/** The right password: forgives the guesses, and remembers the source when `trustedUntil` is given. */
export async function forgiveAttempts(tx: Tx, key: Buffer, trustedUntil: Date | undefined): Promise<void> {
  await named(tx, succeed, [key, trustedUntil ?? null]);
}

const takeBack = {
  name: 'identity_take_back_attempt',
  text: `update identity.sign_in_throttles set failures = greatest(failures - 1, 0),
      blocked_until = case when failures <= $2 then null else blocked_until end where key = $1`,
};
/** The right password takes only its own attempt back from the address: one good account does not hide many bad guesses. */
export async function takeBackAttempt(tx: Tx, key: Buffer, free: number): Promise<void> {
  await named(tx, takeBack, [key, free]);
}

const sweep = {
  name: 'identity_sweep_throttles',
  text: `delete from identity.sign_in_throttles where key in (
    select key from identity.sign_in_throttles
    where updated_at < $1 and (trusted_until is null or trusted_until < $2) order by updated_at limit $3) returning 1`,
};
/** Deletes a batch of what is forgotten anyway; how many. */
export async function deleteOldThrottles(tx: Tx, before: Date, now: Date): Promise<number> {
  return (await named(tx, sweep, [before, now, batchRows])).length;
}
