/** Finding and signalling what a child left behind. Linux tells by `/proc`; elsewhere the process group has to do. */
import { readdir, readFile } from 'node:fs/promises';

/** The variable by which a process is known as started below a child of ours, whatever group it moved to. */
export const markerVariable = 'GATEHOUSE_RUN_ID';

/** What belongs to a child. */
export interface Family {
  /** Its process group; undefined when it shares ours. */
  readonly group: number | undefined;
  /** Value of {@link markerVariable} in its environment. */
  readonly marker: string;
}

/** Every live process of the family, this one and zombies left out. */
export async function livingMembers(family: Family): Promise<number[]> {
  let names: string[];
  try {
    names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  const members = await Promise.all(
    names.map(async (name) => {
      const pid = Number(name);
      return pid !== process.pid && (await isMember(name, family)) ? [pid] : [];
    }),
  );
  return members.flat();
}

async function isMember(pid: string, { group, marker }: Family): Promise<boolean> {
  const stat = await readOrEmpty(`/proc/${pid}/stat`);
  // The name of the program is in brackets and may hold anything: what follows the last bracket is state, parent, group.
  const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === undefined || state === '' || state === 'Z' || state === 'X') return false;
  if (group !== undefined && Number(processGroup) === group) return true;
  return (await readOrEmpty(`/proc/${pid}/environ`)).split('\0').includes(`${markerVariable}=${marker}`);
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1');
  } catch {
    return ''; // ended meanwhile, or somebody else's
  }
}

/** Sends a signal; false when there is no such process any more (or it is another user's). */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/**
 * Ends everything that is left of a family: SIGTERM, until `deadlineMs` to end by itself, then SIGKILL. Resolves when
 * nothing is left. What forks faster than it is killed, or waits in the kernel, gets ten rounds.
 */
export async function endFamily(
  family: Family,
  { deadlineMs, now, pollMs = 50 }: { deadlineMs: number; now: () => number; pollMs?: number },
): Promise<void> {
  const told = new Set<number>();
  for (let kills = 0; kills < 10; ) {
    const members = await livingMembers(family);
    if (members.length === 0) {
      // Where there is no /proc: nothing is known of the members, only that the group has some.
      if (process.platform !== 'linux' && family.group !== undefined) signalProcess(-family.group, 'SIGKILL');
      return;
    }
    const late = now() >= deadlineMs;
    for (const pid of members) {
      if (late) signalProcess(pid, 'SIGKILL');
      else if (!told.has(pid)) signalProcess(pid, 'SIGTERM');
      told.add(pid);
    }
    if (late) kills += 1;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
