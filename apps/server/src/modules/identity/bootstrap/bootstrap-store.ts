import { named, type Reader, type Tx } from '../../../kernel/index.ts';

const completed = { name: 'identity_find_bootstrap', text: 'select completed_at from identity.bootstrap' };
/** When the first operator was made. */
export async function findBootstrapCompleted(tx: Reader): Promise<Date | undefined> {
  return (await named<{ completed_at: Date | null }>(tx, completed, []))[0]?.completed_at ?? undefined;
}

const complete = {
  name: 'identity_complete_bootstrap',
  text: 'update identity.bootstrap set completed_at = $1, completed_by = $2 where completed_at is null',
};
/** Notes that there is an operator; the set-up links that were printed end with it. */
export async function completeBootstrap(tx: Tx, now: Date, uid: string): Promise<void> {
  await named(tx, complete, [now, uid]);
  await named(tx, dropCodes, []);
}
const dropCodes = { name: 'identity_delete_setup_codes', text: 'delete from identity.setup_codes' };

const anyOperator = {
  name: 'identity_find_any_operator',
  text: `select m.uid from identity.memberships m
    join identity.users u on u.uid = m.uid and u.status = 'active'
    join identity.roles r on r.id = any(m.role_ids) and r.organization = 'gatehouse' and r.name = 'admin' and r.built_in
    where m.organization = 'gatehouse' limit 1`,
};
/** The uid of some active operator. */
export async function findAnyOperator(tx: Reader): Promise<string | undefined> {
  return (await named<{ uid: string }>(tx, anyOperator, []))[0]?.uid;
}

const insertCode = {
  name: 'identity_insert_setup_code',
  text: 'insert into identity.setup_codes (hash, created_at) values ($1, $2)',
};
const trimCodes = {
  name: 'identity_trim_setup_codes',
  text: `delete from identity.setup_codes
    where hash not in (select hash from identity.setup_codes order by created_at desc, hash limit $1)`,
};
/** Keeps a printed code's hash; only the newest few stay, so that old logs hold nothing that works for long. */
export async function insertSetupCode(tx: Tx, hash: Buffer, now: Date, keep: number): Promise<void> {
  await named(tx, insertCode, [hash, now]);
  await named(tx, trimCodes, [keep]);
}

const findCode = {
  name: 'identity_find_setup_code',
  text: 'select 1 as found from identity.setup_codes where hash = $1',
};
/** True when the code with this hash was printed and the set-up is open. */
export async function isSetupCode(tx: Reader, hash: Buffer): Promise<boolean> {
  return (await named(tx, findCode, [hash])).length > 0;
}
