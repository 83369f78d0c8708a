/** Asks programs from outside, all the time, whether they serve: what a load balancer in front of them would see. */
import { Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** What one program answered last. */
export interface Seen {
  readonly serves: boolean;
  readonly pid: number;
  readonly greeting: string;
}

/** A time in which a program was certainly down: between two questions that it failed, with none between that it met. */
interface Outage {
  readonly name: string;
  readonly from: number;
  to: number;
}

/** The sampler. */
export interface Sampler {
  /** The last answer; undefined while the program cannot be reached. */
  now(name: string): Seen | undefined;
  /** Who serves with this greeting. */
  serving(greeting: string): string[];
  /** Process id of each that can be reached. */
  pids(): ReadonlyMap<string, number>;
  /** Who was seen down since the last `forget`. */
  outages(): readonly { name: string; from: number }[];
  /** The most that were certainly down at one moment since the last `forget`. */
  mostDown(): number;
  forget(): void;
  stop(): Promise<void>;
}

/** Between two questions to one program. */
const pauseMs = 10;

/** Starts asking. Times are those of `Date.now`. */
export function startSampler(targets: readonly { name: string; port: number }[]): Sampler {
  const last = new Map<string, Seen>();
  const current = new Map<string, Outage>();
  let outages: Outage[] = [];
  const stopping = new AbortController();

  const watch = async (name: string, port: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!stopping.signal.aborted) {
      const asked = Date.now();
      const seen = await ask(port, agent);
      const answered = Date.now();
      if (seen) last.set(name, seen);
      else last.delete(name);
      const outage = current.get(name);
      if (seen?.serves) current.delete(name);
      else if (outage) outage.to = asked;
      else {
        const begun = { name, from: answered, to: answered };
        current.set(name, begun);
        outages.push(begun);
      }
      await delay(pauseMs);
    }
    agent.destroy();
  };
  const loops = targets.map(({ name, port }) => watch(name, port));

  return {
    now: (name) => last.get(name),
    serving: (greeting) =>
      [...last].flatMap(([name, seen]) => (seen.serves && seen.greeting === greeting ? [name] : [])),
    pids: () => new Map([...last].map(([name, { pid }]) => [name, pid])),
    outages: () => outages,
    mostDown() {
      const isLong = ({ from, to }: Outage) => from < to;
      const downAt = (at: number) => outages.filter(({ from, to }) => from <= at && at < to).length;
      return Math.max(outages.length > 0 ? 1 : 0, ...outages.filter(isLong).map(({ from }) => downAt(from)));
    },
    forget() {
      outages = [...current.values()];
    },
    async stop() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

function ask(port: number, agent: Agent): Promise<Seen | undefined> {
  return new Promise((resolve) => {
    get({ port, host: '127.0.0.1', agent }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('error', () => resolve(undefined));
      response.on('end', () => {
        const { pid, greeting } = JSON.parse(body) as { pid: number; greeting: string };
        resolve({ serves: response.statusCode === 200, pid, greeting });
      });
    }).on('error', () => resolve(undefined));
  });
}
