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

/** An entry on one line. */
export function lineOf(entry: AuditEntry): string {
  const target = entry.target === undefined ? '' : ` → ${entry.target.type} ${short(entry.target.id)}`;
  const outcome = entry.outcome === 'success' ? '' : ` (${entry.outcome})`;
  const time = entry.at.slice(11, 19);
  return `${String(entry.sequence).padStart(4)}  ${time}  ${entry.action.padEnd(22)} ${short(entry.actor.id)}${target}${outcome}`;
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
