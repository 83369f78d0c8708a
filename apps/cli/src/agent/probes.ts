/** One question to a program: are you well? By HTTP, by TCP, or by a command. */
import { connect } from 'node:net';
import { usageError } from '../errors.ts';
import { runCommand } from './command.ts';
import { timerMs } from './durations.ts';

/** How to ask. */
export type Probe =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'command'; readonly argv: readonly string[] };

/** `undefined`: well. Otherwise why not, for a report: no body, no output, so no secret. */
export type ProbeAnswer = string | undefined;

/** Asks once. Never rejects. */
export async function ask(
  probe: Probe,
  { timeoutMs, environment }: { timeoutMs: number; environment: Readonly<Record<string, string>> },
): Promise<ProbeAnswer> {
  switch (probe.kind) {
    case 'http':
      return askHttp(probe.url, timeoutMs);
    case 'tcp':
      return askTcp(probe.host, probe.port, timeoutMs);
    default:
      return askCommand(probe.argv, timeoutMs, environment);
  }
}

/** Well is a 2xx; a redirect is not followed: it would be another program's answer. */
async function askHttp(url: string, timeoutMs: number): Promise<ProbeAnswer> {
  const { host, pathname } = new URL(url);
  const what = `http probe ${host}${pathname}`;
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timerMs(timeoutMs)) });
    await response.body?.cancel();
    return response.ok ? undefined : `${what}: ${response.status}`;
  } catch (error) {
    if ((error as Error).name === 'TimeoutError') return `${what}: no answer in ${timeoutMs} ms`;
    const { cause } = error as { cause?: { code?: string } };
    return `${what}: ${cause?.code ?? 'no answer'}`;
  }
}

function askTcp(host: string, port: number, timeoutMs: number): Promise<ProbeAnswer> {
  const what = `tcp probe ${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timerMs(timeoutMs) });
    const end = (answer: ProbeAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(undefined));
    socket.once('timeout', () => end(`${what}: no answer in ${timeoutMs} ms`));
    socket.once('error', (error: NodeJS.ErrnoException) => end(`${what}: ${error.code ?? 'no answer'}`));
  });
}

/** Well is exit code 0. Its output is thrown away. */
async function askCommand(
  argv: readonly string[],
  timeoutMs: number,
  environment: Readonly<Record<string, string>>,
): Promise<ProbeAnswer> {
  const problem = await runCommand(argv, { timeoutMs, environment, output: 'none' });
  return problem === undefined ? undefined : `command probe ${argv[0]}: ${problem}`;
}

/** A probe as it stands in `--health`: an http or https URL, `tcp:<port>`, `tcp:<host>:<port>`, or a command. */
export function parseProbe(text: string): Probe {
  if (/^https?:\/\//.test(text)) {
    const url = URL.parse(text);
    if (!url || url.username !== '')
      throw usageError(`"${text}" is not an address.`, 'such as http://127.0.0.1:3000/healthz');
    return { kind: 'http', url: text };
  }
  if (text.startsWith('tcp:')) {
    const match = /^tcp:(?:(?:\[([0-9a-f:]+)\]|([^:[\]\s]+)):)?(\d{1,5})$/i.exec(text);
    const port = Number(match?.[3]);
    if (!match || port < 1 || port > 65_535)
      throw usageError(`"${text}" is not a TCP probe.`, 'such as tcp:5432 or tcp:127.0.0.1:5432');
    return { kind: 'tcp', host: match[1] ?? match[2] ?? '127.0.0.1', port };
  }
  if (/["'\\`$|&;<>]/.test(text)) {
    throw usageError(
      `"${text}" needs a shell, and a probe has none.`,
      'write it into a script and name that: --health ./healthy.sh',
    );
  }
  const argv = text.split(/\s+/).filter((word) => word !== '');
  if (argv.length === 0) throw usageError('The probe is empty.', 'an http address, tcp:<port>, or a command');
  return { kind: 'command', argv };
}
