import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError, ServerRefusal } from './errors.ts';
import { type Column, createOutput } from './output.ts';
import { planText } from './plan-text.ts';

/** An output and what it wrote. */
function capture({
  isTTY = false,
  json = false,
  env = {},
}: {
  isTTY?: boolean;
  json?: boolean;
  env?: Record<string, string>;
} = {}) {
  const written = { stdout: '', stderr: '' };
  const output = createOutput({
    stdout: { isTTY, write: (text: string) => (written.stdout += text) },
    stderr: { isTTY, write: (text: string) => (written.stderr += text) },
    env,
    isJson: () => json,
  });
  return { output, written };
}

interface Person {
  name: string;
  roles: string[];
}
const people: Person[] = [
  { name: 'ann', roles: ['admin'] },
  { name: 'zoë 👩‍👩‍👧', roles: [] },
];
const columns: Column<Person>[] = [
  { heading: 'name', value: ({ name }) => name },
  { heading: 'roles', value: ({ roles }) => roles.join(', ') },
];

test('at a terminal a list is a table, in a pipe lines with tabs, with --json one document', () => {
  const terminal = capture({ isTTY: true });
  terminal.output.table(people, columns, 'none');
  assert.equal(terminal.written.stdout, '\u001b[1mNAME   ROLES\u001b[22m\nann    admin\nzoë 👩‍👩‍👧  \n');
  const pipe = capture();
  pipe.output.table(people, columns, 'none');
  assert.equal(pipe.written.stdout, 'ann\tadmin\nzoë 👩‍👩‍👧\t\n');
  const json = capture({ json: true });
  json.output.table(people, columns, 'none');
  assert.deepEqual(JSON.parse(json.written.stdout), { items: people });
});

test('an empty list says so to people only', () => {
  const terminal = capture({ isTTY: true, env: { NO_COLOR: '1' } });
  terminal.output.table([], columns, 'Nobody is here.');
  assert.equal(terminal.written.stdout, 'Nobody is here.\n');
  const pipe = capture();
  pipe.output.table([], columns, 'Nobody is here.');
  assert.equal(pipe.written.stdout, '');
});

test('colours only at a terminal, and not with NO_COLOR or a dumb one', () => {
  assert.equal(capture({ isTTY: true }).output.paint('add', 'x'), '\u001b[32mx\u001b[39m');
  assert.equal(capture({ isTTY: true, env: { NO_COLOR: '1' } }).output.paint('add', 'x'), 'x');
  assert.equal(capture({ isTTY: true, env: { TERM: 'dumb' } }).output.paint('add', 'x'), 'x');
  assert.equal(capture().output.paint('add', 'x'), 'x');
});

test('text of the server cannot steer the terminal', () => {
  const { output, written } = capture({ isTTY: true, env: { NO_COLOR: '1' } });
  output.table([{ name: 'eve\u001b[2J\nroot\u009b', roles: [] }], columns, '');
  assert.ok(!written.stdout.includes('\u001b') && !written.stdout.includes('\u009b'));
  assert.equal(written.stdout.split('\n').length, 3);
  const plan = planText(
    {
      steps: [{ action: 'create', kind: 'user', name: 'a\u001b[31m', organization: 'acme', changes: [] }],
      summary: { create: 1, update: 0, delete: 0, unchanged: 0 },
      warnings: [],
    },
    output.paint,
  );
  assert.ok(!plan.join('').includes('\u001b'));
  output.error(new ServerRefusal(400, { detail: 'bad \u001b[2J', code: 'kernel.invalid_request' }));
  assert.ok(!written.stderr.includes('\u001b'));
});

test('with --json nothing but the document is on stdout and nothing but the problem on stderr', () => {
  const { output, written } = capture({ json: true, isTTY: true });
  output.line('for people');
  output.progress('working');
  output.warning('careful');
  output.json({ a: 1 });
  assert.equal(output.error(new CliError('cli.unreachable', 'x cannot be reached.', { fix: 'start it' })), 4);
  assert.deepEqual(JSON.parse(written.stdout), { a: 1 });
  assert.deepEqual(JSON.parse(written.stderr), {
    type: 'urn:gatehouse:error:cli.unreachable',
    title: 'The server cannot be reached',
    detail: 'x cannot be reached.',
    code: 'cli.unreachable',
    fix: 'start it',
  });
});

test('an error says what happened and what to do, each fault of several on its line', () => {
  const { output, written } = capture();
  output.error(
    new ServerRefusal(400, {
      title: 'The request is not valid',
      detail: 'a is wrong',
      code: 'kernel.invalid_request',
      request_id: 'req_1',
      errors: [
        { field: 'a', rule: 'is wrong', fix: 'put it right' },
        { field: 'b', rule: 'is missing' },
      ],
    }),
  );
  assert.equal(written.stderr, 'gatehouse: a is wrong\n  a is wrong; put it right\n  b is missing\n  request req_1\n');
});

test('a mistake of this program is told as one, with its stack', () => {
  const { output, written } = capture();
  assert.equal(output.error(new TypeError('x is undefined')), 1);
  assert.match(written.stderr, /^gatehouse: TypeError: x is undefined\n {2,}at /);
  assert.match(written.stderr, /→ this is a mistake in gatehouse; please report it/);
});
