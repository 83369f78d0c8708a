import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { CliError } from './errors.ts';
import { createTerminal } from './terminal.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-terminal-'));
});
after(() => rm(folder, { recursive: true }));

/** A keyboard and a screen; `typed` arrives when the program begins to read. */
function keyboard(typed: readonly string[], { isTTY = true } = {}) {
  const stdin = Object.assign(new PassThrough(), {
    isTTY,
    raw: [] as boolean[],
    setRawMode(mode: boolean) {
      this.raw.push(mode);
      if (mode) setImmediate(() => typed.forEach((text) => stdin.write(text)));
    },
  });
  let shown = '';
  const stderr = { isTTY, write: (text: string) => (shown += text) };
  return { stdin, terminal: createTerminal({ stdin, stderr }), shown: () => shown };
}

const secretOf = (typed: readonly string[], more: { twice?: boolean; file?: string } = {}, isTTY = true) => {
  const board = keyboard(typed, { isTTY });
  const { file, ...rest } = more;
  const secret = board.terminal.readSecret({ file, question: 'Password', option: '--password-file', ...rest });
  return { ...board, secret };
};

const refused = (pattern: RegExp, exit: number) => (error: unknown) => {
  assert.ok(error instanceof CliError);
  assert.match(`${error.message} ${error.fix ?? ''}`, pattern);
  assert.equal(error.exit, exit);
  return true;
};

test('a password is read without being shown, corrections included, and the terminal is as before', async () => {
  const { secret, stdin, shown } = secretOf(['wrong', '\u0015', 'correct hörse x', '\u007f', ' \u{1F3B7}\r']);
  assert.equal(await secret, 'correct hörse  \u{1F3B7}');
  assert.deepEqual(stdin.raw, [true, false]);
  assert.equal(shown(), 'Password: \n');
});

test('a new password is asked for twice', async () => {
  const board = keyboard([]);
  const typing = ['first secret\r', 'second secret\r'];
  board.stdin.setRawMode = (mode: boolean) => {
    const next = mode ? typing.shift() : undefined;
    if (next !== undefined) setImmediate(() => board.stdin.write(next));
  };
  const question = { file: undefined, question: 'New password', option: '--password-file', twice: true };
  await assert.rejects(board.terminal.readSecret(question), refused(/The two are not the same/, 2));
  assert.equal(board.shown(), 'New password: \nNew password, again: \n');
});

test('Ctrl-C, Ctrl-D and the end of the input give up', async () => {
  for (const typed of ['abc\u0003', '\u0004']) {
    const { secret, stdin } = secretOf([typed]);
    await assert.rejects(secret, refused(/nothing was changed/, 130));
    assert.deepEqual(stdin.raw, [true, false]);
  }
  const { secret, stdin } = secretOf([]);
  setImmediate(() => stdin.end());
  await assert.rejects(secret, refused(/nothing was changed/, 130));
});

test('where there is no terminal nothing is asked', async () => {
  const { secret } = secretOf([], {}, false);
  await assert.rejects(secret, refused(/no terminal .* --password-file <file>, or on stdin by --password-file -/, 2));
});

test('a password in a file or on stdin loses its line break and nothing else', async () => {
  const file = join(folder, 'password');
  await writeFile(file, ' two  spaces \r\n');
  assert.equal(await secretOf([], { file }, false).secret, ' two  spaces ');
  const piped = secretOf([], { file: '-' }, false);
  piped.stdin.end('from a pipe\n');
  assert.equal(await piped.secret, 'from a pipe');
  await writeFile(file, '\n');
  await assert.rejects(secretOf([], { file }).secret, refused(/is empty/, 1));
  await writeFile(file, 'x'.repeat(5000));
  await assert.rejects(secretOf([], { file }).secret, refused(/longer than 4096 bytes/, 1));
  await assert.rejects(secretOf([], { file: `${file}.not` }).secret, refused(/does not exist/, 1));
});

test('a question is answered by yes, and by nothing else', async () => {
  for (const [typed, yes] of [
    ['y\n', true],
    ['YES\n', true],
    ['\n', false],
    ['yeah\n', false],
  ] as const) {
    const { terminal, stdin } = keyboard([]);
    const answer = terminal.confirm('Delete it?');
    stdin.write(typed);
    assert.equal(await answer, yes, JSON.stringify(typed));
  }
});
