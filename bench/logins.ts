/** Password sign-ins beside the machine's own argon2id rate, and what a storm of them does to another route. */
import { hash } from '@node-rs/argon2';
import { startConfigurationBench } from './configuration-setup.ts';
import { call, type Figure, load, median, operator, signIn } from './measure.ts';

const userCount = 16;
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export async function measureLogins(seconds: number): Promise<Figure[]> {
  const gatehouse = await startConfigurationBench({ agents: 1 });
  try {
    const token = await signIn(gatehouse.url, operator);
    await gatehouse.createNamespace('default', { HOST: 'db-1' });
    const users = Array.from({ length: userCount }, (_, index) => ({
      username: `user-${index}`,
      password: `a long enough passphrase number ${index}`,
    }));
    for (const body of users) await call(`${gatehouse.url}/v1/users`, { token, organization: 'bench', body });
    const other = {
      url: `${gatehouse.url}${gatehouse.path('default')}/agent?since=0`,
      headers: { authorization: `Bearer ${gatehouse.agentTokens[0] ?? ''}` },
      connections: 4,
    };

    const floors: number[] = [];
    const rates: number[] = [];
    const idle: number[] = [];
    const stormy: number[] = [];
    await load({ ...other, seconds: 2 });
    for (let round = 0; round < 3; round += 1) {
      floors.push(await argonRate(seconds));
      rates.push(await loginRate(gatehouse.url, users, seconds));
      idle.push((await load({ ...other, seconds })).p99Ms);
      const storm = loginRate(gatehouse.url, users, seconds + 1);
      const during = await load({ ...other, seconds });
      await storm;
      if (during.failures > 0) throw new Error(`${during.failures} requests failed during the storm`);
      stormy.push(during.p99Ms);
    }
    return [
      {
        name: 'password sign-ins',
        beside: 'argon2id alone, two at a time',
        value: median(rates),
        other: median(floors),
        unit: '/s',
        budget: { atLeast: 0.9 },
      },
      {
        name: 'p99 of an agent’s read during a storm of sign-ins',
        beside: 'idle p99',
        value: median(stormy),
        other: Math.max(median(idle), 1),
        unit: 'ms',
        budget: { atMost: 5 },
      },
    ];
  } finally {
    await gatehouse.stop();
  }
}

/** Hashes per second of this machine with the server's parameters and its two hashes in flight. */
async function argonRate(seconds: number): Promise<number> {
  let count = 0;
  const end = performance.now() + seconds * 1000;
  const lane = async () => {
    while (performance.now() < end) {
      await hash('a long enough passphrase', parameters);
      count += 1;
    }
  };
  const started = performance.now();
  await Promise.all([lane(), lane()]);
  return (count * 1000) / (performance.now() - started);
}

/** Sign-ins per second with eight people at the door; answers of 503 (the queue is full) do not count. */
async function loginRate(
  url: string,
  users: { username: string; password: string }[],
  seconds: number,
): Promise<number> {
  let count = 0;
  const end = performance.now() + seconds * 1000;
  const lane = async (start: number) => {
    for (let index = start; performance.now() < end; index += 1) {
      const answer = await fetch(`${url}/v1/sessions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(users[index % users.length]),
      });
      await answer.arrayBuffer();
      if (answer.ok) count += 1;
      else if (answer.status !== 503) throw new Error(`a sign-in answered ${answer.status}`);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: 8 }, (_, index) => lane(index * 2)));
  return (count * 1000) / (performance.now() - started);
}
