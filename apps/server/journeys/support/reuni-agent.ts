/**
 * Stands in for reuni-agent (Go): the same variables, the same requests in the same order, the same SUBSCRIBE over RESP,
 * and a real child process that is killed with SIGKILL and started again at each message. A program of its own.
 *
 * What the original does and this keeps: it waits for the confirmation of SUBSCRIBE before it asks for the version; it
 * takes only 200 for an answer; it never unsets a variable; it ends when its first fetch fails.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

const env = process.env as Readonly<Record<string, string>>;
const { REUNI_HOST = '', REUNI_ORGANIZATION = '', REUNI_SERVICE = '', REUNI_NAMESPACE = '' } = env;
const base = `${REUNI_HOST}/${REUNI_ORGANIZATION}/${REUNI_SERVICE}/${REUNI_NAMESPACE}`;
const channel = `${REUNI_ORGANIZATION}_${REUNI_SERVICE}_${REUNI_NAMESPACE}`;
const appEnvironment: Record<string, string> = {};
let child: ChildProcess | undefined;

const log = (text: string) => process.stdout.write(`${text}\n`);

async function fetchData<T>(url: string): Promise<T> {
  const headers = { authorization: env['REUNI_AUTHORIZATION'] ?? '', 'user-agent': 'Go-http-client/1.1' };
  const response = await fetch(url, { headers });
  if (response.status !== 200) throw new Error(`HTTP Error: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

async function getLatestConfig(version: number): Promise<void> {
  const fetched = await fetchData<{ configuration: Record<string, unknown> }>(`${base}/${version}/agent`);
  for (const [key, value] of Object.entries(fetched.configuration)) appEnvironment[key] = String(value);
  if (child) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
  const started = spawn(env['REUNI_START_COMMAND'] ?? '', [env['REUNI_ARGS'] ?? ''], {
    env: { ...process.env, ...appEnvironment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = started;
  started.stdout.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trimEnd().split('\n')) log(`app | ${line}`);
  });
}

/** Messages of one channel, over RESP2 as it stands: `*3 $n <kind> $n <channel> $n|: <payload>`. */
async function* subscribe(): AsyncGenerator<{ kind: string; payload: string }> {
  const socket = connect(Number(env['REDIS_PORT']), env['REDIS_HOST'] ?? '');
  await once(socket, 'connect');
  socket.write('*1\r\n$4\r\nPING\r\n');
  socket.write(`*2\r\n$9\r\nSUBSCRIBE\r\n$${Buffer.byteLength(channel)}\r\n${channel}\r\n`);
  let lines: string[] = [];
  let rest = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    rest += chunk.toString();
    const parts = rest.split('\r\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.filter((line) => line !== '+PONG' && !/^[*$]\d+$/.test(line)));
    for (; lines.length >= 3; lines = lines.slice(3)) {
      yield { kind: lines[0] ?? '', payload: (lines[2] ?? '').replace(/^:/, '') };
    }
  }
}

process.on('SIGTERM', () => {
  child?.kill('SIGKILL');
  process.exit(0);
});

for await (const { kind, payload } of subscribe()) {
  if (kind === 'subscribe') {
    log(`subscribed to ${channel}`);
    await getLatestConfig((await fetchData<{ version: number }>(`${base}/agent`)).version);
  } else if (/^\d+$/.test(payload)) {
    log(`${channel} ${payload}`);
    await getLatestConfig(Number(payload));
  } else {
    log('ERROR PARSING VERSION');
  }
}
