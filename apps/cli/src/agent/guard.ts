import { type ChildProcess, spawn } from 'node:child_process';
import { markerVariable } from './processes.ts';

/**
 * Waits for the end of its input, which comes when the agent is gone however it went, `kill -9` included. Then it ends
 * what the agent had started: stop signal, grace time, SIGKILL. `$1` stop signal, `$2` grace in seconds. It reads the
 * marker, which is no business of whoever looks at the list of processes; then a line for each process group to watch,
 * `-` for none, `end` for an agent that ended in order.
 */
const script = `
group=-
read -r marker || exit 0
while read -r line; do
  [ "$line" = end ] && exit 0
  group=$line
done
members() {
  echo "${markerVariable}=$marker" | grep -slF -f - /proc/[0-9]*/environ 2>/dev/null |
    while IFS=/ read -r _ _ pid _; do echo "$pid"; done
}
tell() {
  [ "$group" = - ] || kill -s "$1" -- "-$group" 2>/dev/null
  for pid in $(members); do kill -s "$1" "$pid" 2>/dev/null; done
}
tell "$1"
waited=0
while [ "$waited" -lt "$2" ]; do
  [ -z "$(members)" ] && { [ "$group" = - ] || ! kill -s 0 -- "-$group" 2>/dev/null; } && exit 0
  sleep 1
  waited=$((waited + 1))
done
tell KILL
`;

/** Ends the children of an agent that could not do so itself. */
export interface Guard {
  /** The process group to end when the agent is gone; undefined: none, only what carries the marker. */
  watch(group: number | undefined): void;
  /** The agent ends in order: nothing is to be done. */
  release(): void;
}

/**
 * Starts the guard: a shell that outlives us by a moment. Where there is no `/bin/sh` (containers without a system)
 * there is no guard: there the agent is the container's first process, and the kernel ends the rest with it.
 */
export function startGuard({
  marker,
  stopSignal,
  graceMs,
}: {
  marker: string;
  stopSignal: NodeJS.Signals;
  graceMs: number;
}): Guard {
  let group = '-';
  let released = false;
  let starts = 0;
  let shell: ChildProcess | undefined;

  const start = () => {
    starts += 1;
    const started = spawn(
      '/bin/sh',
      ['-c', script, 'gatehouse-guard', stopSignal.slice(3), String(Math.ceil(graceMs / 1000))],
      // Of its own session, so that no signal from the keyboard ends it; without our environment, which has secrets.
      { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/', env: { PATH: '/usr/bin:/bin' } },
    );
    shell = started;
    started.on('error', () => undefined);
    started.stdin.on('error', () => undefined);
    started.unref();
    (started.stdin as unknown as { unref(): void }).unref();
    // Somebody may have ended it by mistake: a few new ones, then not again.
    started.on('exit', () => !released && starts < 5 && start());
    started.stdin.write(`${marker}\n${group}\n`);
  };
  start();

  return {
    watch(watched) {
      group = watched === undefined ? '-' : String(watched);
      shell?.stdin?.write(`${group}\n`);
    },
    release() {
      released = true;
      shell?.stdin?.end('end\n');
    },
  };
}
