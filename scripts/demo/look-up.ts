/** What the demo looks up besides: the audit trail, published keys, and waiting for a condition. */
import { call, check, signIn, type Tokens } from './client.ts';
import type { World } from './world.ts';

/** An entry of the audit trail. */
export interface AuditEntry {
  sequence?: number;
  at: string;
  action: string;
  actor: { type: string; id: string };
  target?: { type: string; id: string };
  outcome: string;
}

/** Newest first; of all organizations, read as the operator. */
export async function auditEntries(world: World): Promise<AuditEntry[]> {
  const { access_token: token } = await operator(world);
  const entries: AuditEntry[] = [];
  for (let cursor = ''; ; ) {
    const answer = await call(`${world.gatehouseUrl}/v1/audit?organization=*&limit=200${cursor}`, { token });
    check(answer.status === 200, `the audit was answered ${answer.status}: ${answer.bytes.toString()}`);
    const page = answer.json<{ items: AuditEntry[]; next_cursor?: string | null }>();
    entries.push(...page.items);
    if (typeof page.next_cursor !== 'string') return entries;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}

const operators = new WeakMap<World, Promise<Tokens>>();

/** One session of the operator for the whole demo. */
function operator(world: World): Promise<Tokens> {
  const known = operators.get(world) ?? signIn(world.gatehouseUrl, 'operator', world.password('operator'));
  operators.set(world, known);
  return known;
}

/** Entries on a line each; a run of entries that differ in number and time only is one line. */
export function linesOf(entries: readonly AuditEntry[]): string {
  const runs: AuditEntry[][] = [];
  for (const entry of entries) {
    const run = runs.at(-1);
    if (run !== undefined && textOf(run[0] ?? entry) === textOf(entry)) run.push(entry);
    else runs.push([entry]);
  }
  return runs.map(lineOf).join('\n');
}

function lineOf(run: readonly AuditEntry[]): string {
  const [first, last] = [run[0], run.at(-1)];
  if (first === undefined || last === undefined) return '';
  const numbers = first === last ? `${first.sequence}` : `${first.sequence}-${last.sequence}`;
  const times = run.length === 1 ? '' : ` (${run.length} times)`;
  return `${numbers.padStart(9)}  ${first.at.slice(11, 19)}  ${textOf(first)}${times}`;
}

function textOf({ action, actor, target, outcome }: AuditEntry): string {
  const what = target === undefined ? '' : ` → ${target.type} ${short(target.id)}`;
  return `${action.padEnd(23)} ${short(actor.id)}${what}${outcome === 'success' ? '' : ` (${outcome})`}`;
}

function short(id: string): string {
  return id.length > 32 ? `${id.slice(0, 32)}…` : id;
}

/** The ids of the encryption keys at an address. */
export async function kidsAt(url: string): Promise<string[]> {
  const { keys } = (await call(url)).json<{ keys: { kid: string; use: string }[] }>();
  return keys.filter((key) => key.use === 'enc').map((key) => key.kid);
}

/** Waits for a condition, asking again and again, at most 15 seconds. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await holds())) {
    check(performance.now() < deadline, `waited in vain: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}
