/** How long a first and a warm start take, and how much memory an idle server holds (without its PostgreSQL). */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Figure, startGatehouse } from './measure.ts';

export async function measureStart(): Promise<Figure[]> {
  const first = await startGatehouse({ dataDir: await mkdtemp(join(tmpdir(), 'gatehouse-bench-')) });
  await first.stop();
  const warm = await startGatehouse({ dataDir: first.dataDir });
  await new Promise((resolve) => {
    setTimeout(resolve, 5000);
  });
  const megabytes = await residentMegabytes(warm.pid);
  await warm.stop();
  await rm(first.dataDir, { recursive: true, force: true });
  return [
    { name: 'first start', beside: 'budget', value: first.readyMs, other: 5000, unit: 'ms', budget: { atMost: 1 } },
    { name: 'warm start', beside: 'budget', value: warm.readyMs, other: 1500, unit: 'ms', budget: { atMost: 1 } },
    { name: 'idle RSS', beside: 'budget', value: megabytes, other: 160, unit: 'MB', budget: { atMost: 1 } },
  ];
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
