/** Files that the agent writes, the folder it keeps, and the file it reads. */
import assert from 'node:assert/strict';
import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CliError } from '../errors.ts';
import { accountNumber } from './accounts.ts';
import { readAgentFile } from './agent-file.ts';
import { parseDuration } from './durations.ts';
import { writeRendered } from './rendered-file.ts';
import { defaultStateDir, takeStateDir } from './state-folder.ts';

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'gatehouse-files-'))));
after(() => rm(folder, { recursive: true }));

const isRoot = process.getuid?.() === 0;

test('a file has its mode, is whole, and is left alone when nothing changed', async () => {
  const path = join(folder, 'app.conf');
  const file = { path, content: 'a=1\n', mode: 0o640, owner: undefined, group: undefined };
  assert.equal(await writeRendered(file), true);
  assert.equal((await stat(path)).mode & 0o7777, 0o640);
  await utimes(path, 1, 1);
  assert.equal(await writeRendered(file), false);
  assert.equal((await stat(path)).mtimeMs, 1000);
  const { ino } = await stat(path);
  // Left by an agent that was killed in the middle; and one that only looks like it.
  await writeFile(join(folder, '.app.conf.0b1e5c2a-1111-4222-8333-444455556666.tmp'), 'half');
  await writeFile(join(folder, '.app.conf.mine'), 'not ours');
  assert.equal(await writeRendered({ ...file, content: 'a=2\n' }), true);
  assert.notEqual((await stat(path)).ino, ino, 'another file was renamed over it');
  assert.equal(await writeRendered({ ...file, content: 'a=2\n', mode: 0o600 }), true);
  assert.equal((await stat(path)).mode & 0o7777, 0o600);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('tmp')),
    [],
  );
});

test('a symbolic link in its place is replaced, not followed', async () => {
  const victim = join(folder, 'victim');
  const path = join(folder, 'linked.conf');
  await writeFile(victim, 'mine');
  await symlink(victim, path);
  await writeRendered({ path, content: 'new', mode: 0o600, owner: undefined, group: undefined });
  assert.equal(await readFile(victim, 'utf8'), 'mine');
  assert.ok((await lstat(path)).isFile());
});

test('owner and group, by number or name', async () => {
  assert.equal(await accountNumber('owner', 'root'), 0);
  assert.equal(await accountNumber('group', '1234'), 1234);
  assert.equal(await accountNumber('owner', 'nobody-of-that-name'), undefined);
  assert.equal(await accountNumber('owner', '4294967295'), undefined, 'chown would leave the owner as it is');
  const path = join(folder, 'owned.conf');
  const file = { path, content: 'x', mode: 0o640, owner: 12_345, group: 23_456 };
  if (isRoot) {
    await writeRendered(file);
    const { uid, gid } = await stat(path);
    assert.deepEqual({ uid, gid }, { uid: 12_345, gid: 23_456 });
    assert.equal(await writeRendered(file), false);
  } else await assert.rejects(writeRendered(file), /only root may give a file to another owner|EPERM/);
});

test('a folder that is not there is an error with what to do', async () => {
  await assert.rejects(
    writeRendered({ path: join(folder, 'no/such/x'), content: '', mode: 0o600, owner: undefined, group: undefined }),
    (error: unknown) =>
      error instanceof CliError &&
      /cannot be written \(ENOENT\)/.test(error.message) &&
      /make the folder/.test(error.fix ?? ''),
  );
});

test('a state folder belongs to one process; who died has given it back', async () => {
  const state = join(folder, 'state');
  const giveBack = await takeStateDir(state);
  assert.equal((await stat(state)).mode & 0o777, 0o700);
  await giveBack();
  assert.deepEqual(await readdir(state), []);
  // Held by a live process that is not this one: the parent.
  const started = (await readFile(`/proc/${process.ppid}/stat`, 'latin1').catch(() => ''))
    .split(') ')
    .at(-1)
    ?.split(' ')[19];
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => '')).trim();
  await writeFile(join(state, 'lock'), JSON.stringify({ pid: process.ppid, started: `${started} ${boot}` }));
  await assert.rejects(takeStateDir(state), new RegExp(`is in use by process ${process.ppid}`));
  // The same number, of a process that started at another time; then a number of nobody; then half a file.
  for (const content of [
    JSON.stringify({ pid: process.ppid, started: `1 ${boot}` }),
    JSON.stringify({ pid: 4_194_305, started: '1' }),
    '{"pid":',
  ]) {
    await writeFile(join(state, 'lock'), content);
    await (await takeStateDir(state))();
  }
});

test('where the state is when nobody says', () => {
  assert.equal(defaultStateDir('acme.billing', {}, 0), '/var/lib/gatehouse/acme.billing');
  assert.equal(defaultStateDir('acme.billing', { XDG_STATE_HOME: '/s' }, 1000), '/s/gatehouse/acme.billing');
  assert.equal(
    defaultStateDir('acme.billing', { HOME: '/home/a', XDG_STATE_HOME: 'relative' }, 1000),
    '/home/a/.local/state/gatehouse/acme.billing',
  );
});

test('durations', () => {
  assert.deepEqual(['0', '500ms', '1.5s', '2m', '1h', '30d', '367d', '-1s', '1', '1 s', '1w', ''].map(parseDuration), [
    0,
    500,
    1500,
    120_000,
    3_600_000,
    2_592_000_000,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

const minimal = `service: acme.billing
namespaces: [default, web]
targets:
  app:
    files:
      - { path: /etc/app.json, format: json }
`;

test('agent.yaml: what it may say', async () => {
  await writeFile(join(folder, 'app.tmpl'), 'host={{ HOST }}\n');
  await writeFile(
    join(folder, 'agent.yaml'),
    `url: https://id.example.com
service: acme.billing
state_dir: state
enrolment_token_file: ./token
rotate_keys_after: 7d
namespaces: [default, web]
targets:
  app:
    namespaces: [web]
    files:
      - { template: app.tmpl, path: /etc/app.conf, mode: '0640', owner: root, group: '0' }
    command: { run: [systemctl, reload, app], timeout: 5s, environment: { HOST: '{{ HOST }}' } }
    health: { http: 'http://127.0.0.1:3000/healthz', interval: 1s, timeout: 500ms, retries: 5, start_period: 3s }
    splay: 30s
    quiescence: { wait: 2s, at_most: 20s }
  other:
    command: { run: [./reload.sh] }
    health: { tcp: '5432' }
`,
  );
  const file = await readAgentFile(join(folder, 'agent.yaml'));
  assert.equal(file.stateDir, join(folder, 'state'));
  assert.equal(file.rotateKeysAfterSeconds, 7 * 86_400);
  const [app, other] = file.targets;
  assert.deepEqual(app?.namespaces, ['web']);
  assert.deepEqual(other?.namespaces, ['default', 'web']);
  const [conf] = app?.files ?? [];
  assert.deepEqual([conf?.mode, conf?.owner, conf?.group], [0o640, 0, 0]);
  assert.deepEqual(app?.quiescence, { waitMs: 2000, atMostMs: 20_000 });
  assert.deepEqual(other?.health?.probe, { kind: 'tcp', host: '127.0.0.1', port: 5432 });
  assert.equal(other?.command?.timeoutMs, 30_000);
});

test('agent.yaml: what is wrong is named with line, path, rule and fix', async () => {
  await writeFile(join(folder, 'broken.tmpl'), 'a\n{{#if X}}\n');
  for (const [text, expected] of [
    ['service: acme.billing\n', /namespaces is missing; add it\n.*targets is missing; add it/],
    [`${minimal}nam: x\n`, /agent\.yaml:7: nam is not known; did you mean name\?/],
    [
      minimal.replace('format: json', 'fromat: json'),
      /agent\.yaml:6: targets\.app\.files\.0\.fromat is not known; did you mean format\?/,
    ],
    [minimal.replace('format: json', 'format: xml'), /must be one of env, json, yaml, properties/],
    [minimal.replace(', format: json', ''), /targets\.app\.files\.0 needs either template or format/],
    [minimal.replace('/etc/app.json', 'app.json'), /path is not absolute; begin it with \//],
    [minimal.replace('format: json', "format: json, mode: '0666'"), /mode lets everybody write the file/],
    [minimal.replace('format: json', 'format: json, mode: 0640'), /mode must be text; put it in quotes/],
    [minimal.replace('format: json', 'format: json, owner: nobody-of-that-name'), /owner is no user of this machine/],
    [
      minimal.replace('format: json', 'template: broken.tmpl'),
      /template broken\.tmpl, line 2: \{\{#if\}\} is not closed/,
    ],
    [minimal.replace('format: json', 'template: none.tmpl'), /none\.tmpl: does not exist/],
    [
      minimal.replace('  app:\n', '  app:\n    splay: soon\n'),
      /splay has a form that is not allowed; use a time such as/,
    ],
    [minimal.replace('  app:\n', '  app:\n    namespaces: [db]\n'), /names db, which the agent does not follow/],
    [
      minimal.replace('  app:\n', '  app:\n    health: { tcp: "1", http: "http://x/" }\n'),
      /health needs exactly one of http, tcp and command/,
    ],
    [
      minimal.replace('  app:\n', '  app:\n    health: { tcp: "99999" }\n'),
      /health\.tcp "tcp:99999" is not a TCP probe/,
    ],
    [minimal.replace('  app:\n', '  app:\n    command: { run: reload }\n'), /command\.run must be a list/],
    [
      minimal.replace('  app:\n', '  app:\n    quiescence: { wait: 5s, at_most: 1s }\n'),
      /at_most is shorter than wait/,
    ],
    [
      minimal.replace('  app:\n', '  copy: { files: [{ path: /etc/app.json, format: env }] }\n  app:\n'),
      /is written by copy too/,
    ],
    [`${minimal}enrolment_token_file: a\nservice_token_file: b\n`, /is given beside enrolment_token_file/],
    ['service: a\nnamespaces: [x]\ntargets: {}\n', /targets is empty/],
    ['service: a\nnamespaces: [x]\ntargets: { t: {} }\n', /targets\.t has neither files nor a command/],
    ['{{', /is not YAML/],
  ] as const) {
    await writeFile(join(folder, 'agent.yaml'), text);
    await assert.rejects(
      readAgentFile(join(folder, 'agent.yaml')),
      (error: unknown) =>
        (error instanceof CliError && error.exit === 2 && expected.test(error.message)) ||
        assert.fail(`${expected}: ${(error as Error).message}`),
    );
  }
  await assert.rejects(readAgentFile(join(folder, 'nowhere.yaml')), /does not exist/);
  await writeFile(join(folder, 'agent.yaml'), minimal);
  await chmod(join(folder, 'agent.yaml'), 0o666);
  await assert.rejects(readAgentFile(join(folder, 'agent.yaml')), /may be written by everybody/);
});
