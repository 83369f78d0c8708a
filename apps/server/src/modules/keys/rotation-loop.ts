import { Counter, Gauge } from 'prom-client';
import type { Changes, Clock, Logger, Metrics } from '../../kernel/index.ts';
import type { KeyMemory } from './key-memory.ts';
import type { KeyUse } from './key-use.ts';
import { nextTransitionAt } from './keyring-rules.ts';
import { changesTopic, type KeyringService } from './keyring-service.ts';

/** What the loop needs. */
export interface RotationLoopDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'registry'>;
  readonly changes: Pick<Changes, 'watch'>;
  readonly memory: KeyMemory;
  readonly service: Pick<KeyringService, 'rotateIfDue'>;
  readonly use: Pick<KeyUse, 'fingerprint' | 'inUse'>;
}

/**
 * Looks after the keyrings on this node: a pass at each transition and at least every `checkIntervalSeconds`, a reload
 * after each change anywhere, word to the listeners when what is signed with or accepted has changed. Each node runs
 * one; the service sees to it that each rotation happens once.
 */
export function createRotationLoop(deps: RotationLoopDeps) {
  const { clock, log, changes, memory, service, use } = deps;
  const listeners = new Set<() => void>();
  const usable = new Gauge({
    name: 'gatehouse_keyring_usable',
    help: '1 while the keyring has a key to use; 0 needs an operator at once',
    labelNames: ['keyring'],
    registers: [deps.metrics.registry],
  });
  const failures = new Counter({
    name: 'gatehouse_key_rotation_failures_total',
    help: 'Passes over a keyring that failed and will be repeated',
    labelNames: ['keyring'],
    registers: [deps.metrics.registry],
  });
  let announced: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<number> | undefined;
  let unwatch: (() => void) | undefined;
  let stopped = false;
  let failuresInARow = 0;

  const announce = () => {
    const { keyrings } = memory.current();
    for (const name of keyrings.keys()) usable.set({ keyring: name }, use.inUse(name) ? 1 : 0);
    const fingerprint = use.fingerprint();
    if (fingerprint === announced) return;
    announced = fingerprint;
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        log.error({ err: error }, 'a listener to changed keys failed');
      }
    }
  };

  const reload = async () => {
    await memory.reload();
    announce();
  };

  /** One pass over every keyring. A keyring that fails does not keep the others from theirs. */
  const rotateDue = async (): Promise<number> => {
    let count = 0;
    let failed = false;
    for (const name of memory.current().keyrings.keys()) {
      try {
        if (await service.rotateIfDue(name)) count += 1;
      } catch (error) {
        failed = true;
        failures.inc({ keyring: name });
        log.error({ err: error, keyring: name }, 'rotating the keyring failed; trying again');
      }
      if (!use.inUse(name)) {
        log.fatal(
          { keyring: name },
          'ALARM: the keyring has no usable key; nothing is signed with it until it is rotated',
        );
      }
    }
    failuresInARow = failed ? failuresInARow + 1 : 0;
    return count;
  };

  const pass = async (): Promise<number> => {
    const count = await rotateDue();
    if (count > 0) {
      await reload().catch((error: unknown) => log.error({ err: error }, 'reloading the keys failed; trying again'));
    }
    announce();
    return count;
  };

  const schedule = () => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = pass().finally(schedule);
    }, delayMs());
    timer.unref();
  };

  /** Just past the next transition, never later than the check interval; after failures ever later, up to a minute. */
  const delayMs = (): number => {
    const { keyrings, keysOf } = memory.current();
    const waits = [...keyrings.values()].map((keyring) => {
      const next = nextTransitionAt(keysOf.get(keyring.name) ?? []);
      const untilNext = next ? next.getTime() - clock.now().getTime() + 1 : Number.POSITIVE_INFINITY;
      return Math.min(keyring.policy.checkIntervalSeconds * 1000, untilNext);
    });
    const least = 1000 * 2 ** Math.min(failuresInARow, 6);
    return Math.min(60_000, Math.max(least, Math.min(60_000, ...waits)));
  };

  return {
    /** Runs a pass now and loads what changed; returns how many keyrings this node rotated. */
    rotateDue: pass,
    reload,
    /** Called after what this node signs with or accepts has changed. Returns how to stop. */
    onChange(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start(): Promise<void> {
      unwatch = changes.watch(changesTopic, reload);
      await reload();
      await pass();
      schedule();
    },
    async stop(): Promise<void> {
      stopped = true;
      clearTimeout(timer);
      unwatch?.();
      await running;
    },
  };
}
