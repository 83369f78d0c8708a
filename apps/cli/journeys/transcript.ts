/** Sessions written down as one would type them, played against the real program. */
import assert from 'node:assert/strict';
import type { ServerUnderTest } from './session.ts';

/**
 * Plays a session and compares it with what was written. `$` is a command (` << text` gives it a line on stdin), `!` a
 * line on stderr, `= n` the exit code when not 0; everything else is stdout. What differs from run to run is written as
 * URL, TIME, USR, KEY and so on, a tab as ` | `.
 */
export async function play(server: ServerUnderTest, session: string): Promise<void> {
  const written = session
    .split('\n')
    .map((line) => line.trimEnd())
    .slice(1, -1);
  const commands = written.filter((line) => line.startsWith('$ '));
  assert.ok(commands.length > 0, 'a session without a command tests nothing');
  const said: string[] = [];
  for (const command of commands) {
    said.push(command, ...(await run(server, command.slice(2))));
  }
  assert.equal(said.join('\n'), written.join('\n'));
}

async function run(server: ServerUnderTest, command: string): Promise<string[]> {
  const [line = '', typed] = command.split(' << ');
  const options = typed === undefined ? {} : { stdin: `${typed}\n` };
  const { code, stdout, stderr } = await server.gatehouse(line.replace(/^gatehouse /, ''), options);
  return [
    ...linesOf(stdout, server),
    ...linesOf(stderr, server).map((text) => `! ${text}`),
    ...(code === 0 ? [] : [`= ${code}`]),
  ];
}

function linesOf(text: string, { url, folder }: ServerUnderTest): string[] {
  if (text === '') return [];
  return text
    .replace(/\n$/, '')
    .replaceAll(url, 'URL')
    .replaceAll(folder, 'FOLDER')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replaceAll(/\busr_[0-9a-z]{26}\b/g, 'USR')
    .replaceAll(/\breq_[0-9a-z]{26}\b/g, 'REQ')
    .replaceAll(/\b(svc|sec|rol|prop)_[0-9a-z]{26}\b/g, 'ID')
    .replaceAll(/\bwhsec_[A-Za-z0-9+/]+=*/g, 'WHSEC')
    .replaceAll(/secret [\w-]{6}…/g, 'secret FP')
    .replaceAll(/(fingerprint"?: ?"?)[\w-]{16}(?![\w-])/g, '$1FP')
    .replaceAll(/\S*gatehouse-edit-\w+/g, 'EDIT')
    .replaceAll(/(?<![\w-])[A-Za-z0-9_-]{43}(?![\w-])/g, 'KEY')
    .split('\n')
    .map((line) => line.replaceAll('\t', ' | ').trimEnd());
}
