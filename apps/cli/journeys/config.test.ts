import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { parseEnv } from 'node:util';
import { runCli } from '../src/program.ts';
import { operator, type ServerUnderTest, startServer } from './session.ts';
import { play } from './transcript.ts';

let server: ServerUnderTest;
/** The same server for alice, who is an administrator of acme, and for dora, a developer there. */
let alice: ServerUnderTest;
let dora: ServerUnderTest;

const write = (name: string, content: string) => writeFile(join(server.folder, name), content);
const read = (name: string) => readFile(join(server.folder, name), 'utf8');

/**
 * The server with a login of its own, and more environment. Commands run in this process: there are a hundred here, and
 * cli.test.ts shows that a process of their own does the same.
 */
function as(name: string, more: Record<string, string> = {}): ServerUnderTest {
  return {
    ...server,
    async gatehouse(args, { stdin: typed = '', env = {} } = {}) {
      const stdin = new PassThrough();
      stdin.end(typed);
      const said = { stdout: '', stderr: '' };
      const code = await runCli({
        argv: args.split(' '),
        env: { ...environment(name), ...more, ...env },
        stdin,
        stdout: { write: (text: string) => (said.stdout += text) },
        stderr: { write: (text: string) => (said.stderr += text) },
      });
      return { code, ...said };
    },
  };
}

const environment = (name: string) => ({
  PATH: process.env['PATH'] ?? '',
  GATEHOUSE_URL: server.url,
  GATEHOUSE_CONFIG_DIR: join(server.folder, name),
});

before(async () => {
  server = await startServer();
  process.chdir(server.folder);
  process.env['TMPDIR'] = server.folder; // where editors' texts are kept
  await write('alice.password', 'plum cobweb harvest lantern 71\n');
  await write('dora.password', 'tulip gravel sunset 88 meadow\n');
  await write(
    'gatehouse.yaml',
    `
organizations:
  acme:
    services:
      billing: { grants: [client_credentials] }
    users:
      alice: { password_file: ./alice.password, roles: [admin] }
      dora: { password_file: ./dora.password, roles: [developer] }
`,
  );
  const login = (who: ServerUnderTest, username: string, password: string) =>
    who.gatehouse(`login --username ${username} --password-file -`, { stdin: `${password}\n` });
  await login(server, operator.username, operator.password);
  assert.equal((await server.gatehouse('apply -f gatehouse.yaml')).code, 0);
  alice = as('alice');
  dora = as('dora');
  await login(alice, 'alice', 'plum cobweb harvest lantern 71');
  await login(dora, 'dora', 'tulip gravel sunset 88 meadow');
});
after(async () => {
  process.chdir('/');
  await server.stop();
});

/** An editor: a shell script that gets the file as `$1`. */
async function editor(name: string, script: string): Promise<string> {
  const path = join(server.folder, name);
  await writeFile(path, `#!/bin/sh\nset -e\n${script}\n`);
  await chmod(path, 0o700);
  return path;
}

test('a namespace is made, filled, read, changed', async () => {
  await play(
    dora,
    `
$ gatehouse config set billing A=1
! gatehouse: There is no namespace of this name.
!   → see: gatehouse config namespaces billing; make it with: gatehouse config create billing
!   request REQ
= 1
$ gatehouse config create acme.billing
Made acme.billing/default. Fill it with: gatehouse config set acme.billing KEY=VALUE
$ gatehouse config get billing
$ gatehouse config set acme.billing DB_HOST=127.0.0.1 ZIP=0123 DEBUG=true --json-value PORT=5432 --message first
Published version 1 of acme.billing/default: 4 keys.
$ gatehouse config set billing --secret-file DB_PASS=- << hunter2-canary
Published version 2 of billing/default: 5 keys, 1 of them secret.
$ gatehouse config get billing
DB_HOST | 127.0.0.1 |
ZIP | "0123" |
DEBUG | "true" |
PORT | 5432 |
DB_PASS | secret FP |
$ gatehouse config get billing DB_HOST
127.0.0.1
$ gatehouse config get billing DB_PASS
! gatehouse: "DB_PASS" is a secret, and not shown by get.
!   → whoever may reveal it (this is recorded) runs: gatehouse config reveal billing DB_PASS
= 1
$ gatehouse config get billing NOPE
! gatehouse: Version 2 has no key "NOPE".
!   → see all with: gatehouse config get billing
= 1
$ gatehouse config get billing DB_HOST --of 99
! gatehouse: There is no version 99; the newest is 2.
!   → see: gatehouse config history billing
!   request REQ
= 1
$ gatehouse config set billing DB_HOST=127.0.0.1
Nothing to change: billing/default is so already, in version 2.
$ gatehouse config unset billing ZIP DEBUG
Published version 3 of billing/default: 3 keys, 1 of them secret.
$ gatehouse config unset billing ZIP
! gatehouse: Version 3 sets no ZIP of its own.
!   → see gatehouse config get billing
= 1
$ gatehouse config namespaces billing
default | 3 |  |  |  |  | TIME
$ gatehouse config history billing
3 | TIME | dora | author |  |
2 | TIME | dora | author |  |
1 | TIME | dora | author |  | first
`,
  );
});

test('a secret never needs the command line; on it, it is warned of and still sealed', async () => {
  await play(
    dora,
    `
$ gatehouse config set billing --secret API_TOKEN
! gatehouse: There is no terminal to ask for the secret.
!   → give it by --secret-file API_TOKEN=<file>, or on stdin by --secret-file API_TOKEN=-
= 2
$ gatehouse config set billing DB_PASS=hunter3-canary
Published version 4 of billing/default: 3 keys, 1 of them secret.
! gatehouse: the value of the secret DB_PASS stood on the command line, where everyone on this machine can read it; use --secret DB_PASS, and change the secret if others are here
$ gatehouse config set billing DB_HOST
! gatehouse: "DB_HOST" is not KEY=VALUE.
!   → write it as KEY=VALUE
= 2
$ gatehouse config set billing --json-value PORT=01
! gatehouse: --json-value: PORT is not JSON: a comma or } is due.
!   → check commas, quotes and brackets there
= 2
$ gatehouse config set acme/billing A=1
! gatehouse: "acme/billing" is not the name of a service.
!   → use billing, or acme.billing
= 2
$ gatehouse config set nobody.billing A=1
! gatehouse: Only operators act on another organization.
!   → ask an administrator for a role that has it, or log in as someone who does
!   request REQ
= 1
`,
  );
});

test('what changed, and going back', async () => {
  await play(
    dora,
    `
$ gatehouse config set billing DB_HOST=10.0.0.1 NEW=x
Published version 5 of billing/default: 4 keys, 1 of them secret.
$ gatehouse config diff billing
~ DB_HOST: 127.0.0.1 → 10.0.0.1
+ NEW=x
! Version 4 → 5
$ gatehouse config diff billing 2
+ DB_PASS=secret FP
! Version 1 → 2
$ gatehouse config diff billing 3 5 --json
{
  "version": 5,
  "compared_with": 3,
  "created": {
    "NEW": "x"
  },
  "changed": {
    "DB_HOST": {
      "from": "127.0.0.1",
      "to": "10.0.0.1"
    },
    "DB_PASS": {
      "from": {
        "$secret": {
          "fingerprint": "FP"
        }
      },
      "to": {
        "$secret": {
          "fingerprint": "FP"
        }
      }
    }
  },
  "deleted": {}
}
$ gatehouse config rollback billing 3
~ DB_HOST: 10.0.0.1 → 127.0.0.1
~ DB_PASS: secret FP → secret FP
- NEW=x
! Version 3, published TIME by dora
! gatehouse: A rollback is published to all instances, and there is no terminal to ask.
!   → add --yes
= 2
$ gatehouse config rollback billing 3 --yes --message back
~ DB_HOST: 10.0.0.1 → 127.0.0.1
~ DB_PASS: secret FP → secret FP
- NEW=x
Published version 6 of billing/default: 3 keys, 1 of them secret.
! Version 3, published TIME by dora
$ gatehouse config rollback billing 6 --yes
! gatehouse: Version 6 is the newest.
!   → name an older one
= 2
$ gatehouse config history billing --limit 1
6 | TIME | dora | rollback to 3 |  | back
`,
  );
  assert.equal(
    (await alice.gatehouse('config reveal billing DB_PASS')).stdout,
    'hunter2-canary\n',
    'secrets came back too',
  );
});

test('a masked export, imported again, keeps the secrets', async () => {
  for (const file of ['round.env', 'round.json', 'round.yaml', 'round.properties']) {
    const exported = await dora.gatehouse(`config export billing --output ${file}`);
    assert.equal(exported.code, 0, exported.stderr);
    assert.ok(!(await read(file)).includes('canary'));
    assert.equal((await stat(join(server.folder, file))).mode & 0o777, 0o600);
    const imported = await dora.gatehouse(`config publish billing --file ${file}`);
    assert.match(imported.stdout, /^Nothing to change/, file);
  }
  await write(
    'round.env',
    `${(await read('round.env')).replace('DB_HOST=127.0.0.1', 'DB_HOST=db.internal')}GREETING='a  b # c'\n`,
  );
  await play(
    dora,
    `
$ gatehouse config import billing round.env
~ DB_HOST: 127.0.0.1 → db.internal
+ GREETING=a  b # c
Published version 7 of billing/default: 4 keys, 1 of them secret.
`,
  );
  assert.equal((await alice.gatehouse('config reveal billing DB_PASS')).stdout, 'hunter2-canary\n');
  const revealed = await alice.gatehouse('config export billing --reveal --reason test');
  assert.deepEqual(
    { ...parseEnv(revealed.stdout) },
    {
      DB_HOST: 'db.internal',
      PORT: '5432',
      DB_PASS: 'hunter2-canary',
      GREETING: 'a  b # c',
    },
  );
});

test('an import shows what it does, and asks which keys are secrets', async () => {
  await write('.env', '# of old\nDB_PASS=hunter4-canary\nSTRIPE_KEY=sk_canary\nMAIL_TOKEN=mt_canary\nKEY_COUNT=3\n');
  await write('broken.env', 'A=1\nB="x\n');
  await play(
    dora,
    `
$ gatehouse config import billing .env
! gatehouse: These keys look like secrets, and would be readable in the history for good: STRIPE_KEY, MAIL_TOKEN.
!   → add --secret STRIPE_KEY --secret MAIL_TOKEN, or --plain <key> for what is none; * stands for any characters
= 2
$ gatehouse config import billing .env --secret STRIPE_* --plain MAIL_TOKEN --dry-run
~ DB_PASS: secret FP → a new secret
+ KEY_COUNT="3"
+ MAIL_TOKEN=mt_canary
+ STRIPE_KEY=a new secret
! 1 comment of the file: not kept, for a configuration has none.
$ gatehouse config import billing .env --secret STRIPE_* --secret *_TOKEN --replace
- DB_HOST=db.internal
~ DB_PASS: secret FP → a new secret
- GREETING=a  b # c
+ KEY_COUNT="3"
+ MAIL_TOKEN=a new secret
- PORT=5432
+ STRIPE_KEY=a new secret
! 1 comment of the file: not kept, for a configuration has none.
! gatehouse: This deletes 3 keys, and there is no terminal to ask.
!   → add --yes
= 2
$ gatehouse config import billing .env --secret STRIPE_* --secret *_TOKEN
~ DB_PASS: secret FP → a new secret
+ KEY_COUNT="3"
+ MAIL_TOKEN=a new secret
+ STRIPE_KEY=a new secret
Published version 8 of billing/default: 7 keys, 3 of them secret.
! 1 comment of the file: not kept, for a configuration has none.
$ gatehouse config import billing .env --secret NOPE_*
! gatehouse: --secret NOPE_* names no key of the file.
!   → check its spelling
= 2
$ gatehouse config import billing broken.env
! gatehouse: broken.env:2: B has a " that is never closed; close it, or use other quotes
= 1
$ gatehouse config import billing nowhere.env
! gatehouse: nowhere.env does not exist.
!   → check the path and its permissions
= 1
$ gatehouse config import billing - << A=1
! gatehouse: The name of stdin does not tell its format.
!   → add --format env|json|yaml|properties
= 2
$ gatehouse config import billing - --format env << A=1
+ A="1"
Published version 9 of billing/default: 8 keys, 3 of them secret.
`,
  );
});

test('a file as the whole: what it has not goes, secrets stay secrets, and only on top of what was seen', async () => {
  await write('whole.yaml', 'DB_HOST: db2\nDB_PASS: hunter5-canary\nLIST: [1, a]\n');
  await play(
    dora,
    `
$ gatehouse config diff billing --file whole.yaml
- A="1"
~ DB_HOST: db.internal → db2
~ DB_PASS: secret FP → a new secret
- GREETING=a  b # c
- KEY_COUNT="3"
+ LIST=[1,"a"]
- MAIL_TOKEN=secret FP
- PORT=5432
- STRIPE_KEY=secret FP
! Version 9 → whole.yaml
$ gatehouse config publish billing --file whole.yaml --parent 8 --yes
! gatehouse: You started from version 8; version 9 was published by dora at TIME and changed the same:
!   + A="1"
!   → nothing was published; look at gatehouse config diff billing 9, then run the command again to put yours on top
= 1
$ gatehouse config publish billing --file whole.yaml --parent 9 --yes --label team=payments
- A="1"
~ DB_HOST: db.internal → db2
~ DB_PASS: secret FP → a new secret
- GREETING=a  b # c
- KEY_COUNT="3"
+ LIST=[1,"a"]
- MAIL_TOKEN=secret FP
- PORT=5432
- STRIPE_KEY=secret FP
Published version 10 of billing/default: 3 keys, 1 of them secret.
$ gatehouse config publish billing
! gatehouse: Say what to publish.
!   → name either --file or --proposal
= 2
`,
  );
});

test('an editor that breaks the file loses nothing', async () => {
  const broken = await editor('break', 'printf "MORE: [\\n" >> "$1"');
  const failing = await editor('fail', 'exit 3');
  await play(
    as('dora', { EDITOR: broken, VISUAL: '' }),
    `
$ gatehouse config edit billing
! gatehouse: There is no terminal to ask before it is published.
!   → add --yes
= 2
$ gatehouse config edit billing --yes
! gatehouse: your text is kept in EDIT/billing-default.yaml; to publish it: gatehouse config publish billing --file EDIT/billing-default.yaml
! gatehouse: EDIT/billing-default.yaml:14: is not YAML as we accept it: Flow sequence in block collection must be sufficiently indented and end with a ]; correct that line
= 1
`,
  );
  const { stderr } = await as('dora', { EDITOR: broken }).gatehouse('config edit billing --yes --json');
  const { kept_file: kept } = JSON.parse(stderr) as { kept_file: string };
  assert.match(await readFile(kept, 'utf8'), /MORE: \[\n$/);
  assert.equal((await stat(kept)).mode & 0o777, 0o600);
  await play(
    as('dora', { VISUAL: failing }),
    `
$ gatehouse config edit billing --yes
! gatehouse: your text is kept in EDIT/billing-default.yaml; to publish it: gatehouse config publish billing --file EDIT/billing-default.yaml
! gatehouse: The editor (FOLDER/fail) ended with 3; nothing was published.
!   → run the command again
= 1
`,
  );
  await play(
    as('dora', { VISUAL: 'true' }),
    `
$ gatehouse config edit billing --yes
Nothing was changed.
$ gatehouse config edit billing --yes --format json
Nothing was changed.
`,
  );
});

test('what others publish while one edits stays; what they changed too is a conflict that names both versions', async () => {
  const set = (assignment: string) =>
    `GATEHOUSE_URL=${server.url} GATEHOUSE_CONFIG_DIR=${join(server.folder, 'alice')} ${process.execPath} ${join(import.meta.dirname, '../bin/gatehouse.js')} config set billing ${assignment} >/dev/null`;
  const beside = await editor('beside', `${set('OTHER=1')}\nsed -i s/db2/db3/ "$1"`);
  const same = await editor('same', `${set('DB_HOST=theirs')}\nsed -i s/db3/mine/ "$1"`);
  await play(
    as('dora', { VISUAL: beside }),
    `
$ gatehouse config edit billing --yes
~ DB_HOST: db2 → db3
Published version 12 of billing/default: 4 keys, 1 of them secret.
! Version 11 came in between and left these keys alone; on top of it …
`,
  );
  await play(
    as('dora', { VISUAL: same }),
    `
$ gatehouse config edit billing --yes
~ DB_HOST: db3 → mine
! gatehouse: your text is kept in EDIT/billing-default.yaml; to publish it: gatehouse config publish billing --file EDIT/billing-default.yaml
! gatehouse: You started from version 12; version 13 was published by alice at TIME and changed the same:
!   ~ DB_HOST: db3 → theirs
!   → nothing was published; look at gatehouse config diff billing 13, then run the command again to put yours on top
= 1
$ gatehouse config get billing DB_HOST
theirs
`,
  );
});

test('many set different keys at once: every one is kept, numbers have no gap', async () => {
  const names = Array.from({ length: 6 }, (_, index) => `P${index}`);
  const env = { GATEHOUSE_CONFIG_DIR: join(server.folder, 'dora') };
  const results = await Promise.all(
    names.map((name) => server.gatehouse(`config set billing ${name}=1 --json`, { env })),
  );
  assert.deepEqual(
    results.map(({ code, stderr }) => `${code} ${stderr}`),
    names.map(() => '0 '),
  );
  const versions = results.map(({ stdout }) => (JSON.parse(stdout) as { version: number }).version);
  assert.deepEqual(
    versions.toSorted((a, b) => a - b),
    [14, 15, 16, 17, 18, 19],
  );
  const { stdout } = await dora.gatehouse('config get billing --json');
  const { configuration } = JSON.parse(stdout) as { configuration: Record<string, unknown> };
  for (const name of names) assert.equal(configuration[name], '1');
});

/** Runs a command at a pretended terminal; each answer is typed when the next question is asked. */
async function atTerminal(args: string, answers: string[], env: Record<string, string> = {}) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const shown = { stdout: '', stderr: '' };
  const code = await runCli({
    argv: args.split(' '),
    env: { ...environment('dora'), ...env },
    stdin,
    stdout: { isTTY: true, write: (text: string) => (shown.stdout += text) },
    stderr: {
      isTTY: true,
      write: (text: string) => {
        shown.stderr += text;
        if (/(\[y\/N\]|:) $/.test(text)) setImmediate(() => stdin.write(`${answers.shift() ?? ''}\n`));
      },
    },
  });
  assert.deepEqual(answers, [], 'every question was asked');
  return { code, ...shown };
}

test('at a terminal a broken text is opened again with the error on top, and what is published is asked for', async () => {
  const twice = await editor(
    'twice',
    'if [ ! -e "$1.seen" ]; then touch "$1.seen"; printf "MORE: [\\n" >> "$1"; else grep "^# !" "$1" > "$0.notice"; sed -i "s/^MORE: .*/MORE: yes please/" "$1"; fi',
  );
  const { code, stdout, stderr } = await atTerminal('config edit billing', ['y', 'y'], { VISUAL: twice });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /is not YAML as we accept it.*Open the editor again, with this on top\? \[y\/N\]/s);
  assert.match(await read('twice.notice'), /^# ! .*:\d+: is not YAML as we accept it/);
  assert.match(stdout, /\[32m\+ MORE=yes please.\[39m\nPublished version 20 of/);
});

test('at a terminal a secret is asked for twice and not shown, and a rollback can be declined', async () => {
  const set = await atTerminal('config set billing --secret DB_PASS', ['hunter6-canary', 'hunter6-canary']);
  assert.equal(set.code, 0, set.stderr);
  assert.ok(!(set.stdout + set.stderr).includes('canary'));
  const back = await atTerminal('config rollback billing 20', ['n'], { NO_COLOR: '1' });
  assert.equal(back.code, 1);
  assert.match(
    back.stderr,
    /Version 20, published .*Publish this as version 22 of billing\/default\? \[y\/N\].*nothing was changed/s,
  );
  const table = await atTerminal('config history billing --limit 2', [], { NO_COLOR: '1' });
  assert.match(table.stdout, /^VERSION {2}PUBLISHED +BY +KIND +LABELS +MESSAGE\n21 +\S+ +dora +author/);
});

test('whoever may not reveal gets no secret by any command', async () => {
  await write('mine.yaml', 'DB_PASS: {$secret: {fingerprint: AAAAAAAAAAAAAAAA}}\n');
  const commands = [
    'config get billing', 'config get billing DB_PASS', 'config get billing --own --json', 'config get billing --json',
    'config diff billing', 'config diff billing 2 8', 'config diff billing 1 21 --json', 'config history billing --json',
    'config export billing', 'config export billing --format json', 'config export billing --effective', 'config export billing --json',
    'config export billing --reveal', 'config export billing --reveal --effective --json', 'config reveal billing',
    'config reveal billing DB_PASS', 'config reveal billing DB_PASS --of 2 --json', 'config types billing',
    'config rollback billing 2 --yes --json', 'config rollback billing 8 --yes', 'config publish billing --file mine.yaml --yes',
    'config settings billing', 'config instances billing', 'config namespaces billing --json', 'config edit billing --yes',
  ]; // biome-ignore format: one list
  await mkdir(join(server.folder, 'seen'), { recursive: true });
  const peek = await editor('peek', `cat "$1" > ${join(server.folder, 'seen', 'text')}`);
  for (const command of commands) {
    const { stdout, stderr } = await as('dora', { VISUAL: peek }).gatehouse(command);
    assert.ok(!`${stdout}${stderr}`.includes('canary'), `${command}: ${stdout}${stderr}`);
  }
  assert.ok(!(await read('seen/text')).includes('canary'));
  await play(
    dora,
    `
$ gatehouse config reveal billing DB_PASS
! gatehouse: This needs the permission configuration:reveal in the organization acme.
!   → ask an administrator for a role that has it, or log in as someone who does
!   request REQ
= 1
`,
  );
  assert.equal((await alice.gatehouse('config reveal billing DB_PASS --reason journey')).stdout, 'hunter4-canary\n');
  assert.match((await alice.gatehouse('config reveal billing')).stdout, /^DB_PASS\thunter4-canary\n/);
});

test('settings, inheritance, types, other formats of the first version', async () => {
  await write(
    'schema.json',
    JSON.stringify({ type: 'object', properties: { POOL: { type: 'integer', description: 'connections' } } }),
  );
  await write('base.properties', 'LOG_LEVEL=info\n# gatehouse: json\nPOOL=5\n');
  await play(
    alice,
    `
$ gatehouse config create billing --namespace base --file .env
! gatehouse: These keys look like secrets, and would be readable in the history for good: DB_PASS, STRIPE_KEY, MAIL_TOKEN.
!   → add --secret DB_PASS --secret STRIPE_KEY --secret MAIL_TOKEN, or --plain <key> for what is none; * stands for any characters
= 2
$ gatehouse config create billing --namespace base --file base.properties --schema schema.json --shared --label team=payments
Made billing/base with version 1.
$ gatehouse config set billing -n base POOL=6
! gatehouse: POOL was a number and becomes a text; --json-value POOL=… keeps it one
! gatehouse: The configuration does not fit the schema of the namespace. /POOL must be integer
!   request REQ
= 1
$ gatehouse config create billing --namespace eu --extends base
Made billing/eu. Fill it with: gatehouse config set billing -n eu KEY=VALUE
$ gatehouse config set billing -n eu REGION=eu
Published version 1 of billing/eu: 3 keys.
$ gatehouse config get billing -n eu
LOG_LEVEL | info | base (version 1)
POOL | 5 | base (version 1)
REGION | eu |
$ gatehouse config export billing -n eu
REGION=eu
$ gatehouse config export billing -n eu --effective
LOG_LEVEL=info
# gatehouse: json
POOL=5
REGION=eu
$ gatehouse config unset billing -n eu LOG_LEVEL
! gatehouse: Version 1 sets no LOG_LEVEL of its own.
!   → it is inherited: unset it where it comes from; see gatehouse config get billing -n eu
= 1
$ gatehouse config types billing -n base
/** Configuration of billing/base, from its JSON Schema. Made by: gatehouse config types billing -n base */
export interface BillingBaseConfiguration {
  /** connections */
  readonly POOL?: number;
}
$ gatehouse config types billing -n eu --name Eu
/** Configuration of billing/eu, from the values of version 1. Made by: gatehouse config types billing -n eu */
export interface Eu {
  readonly LOG_LEVEL: string;
  readonly POOL: number;
  readonly REGION: string;
}
$ gatehouse config settings billing -n base --schema none --no-shared
version: 1
extends: nothing
shared: no
review required: no
schema: none
labels: team=payments
made: TIME by USR
$ gatehouse config instances billing
$ gatehouse config delete billing -n eu
! gatehouse: This cannot be taken back, and there is no terminal to ask.
!   → add --yes
= 2
$ gatehouse config delete billing -n eu --yes
Deleted billing/eu.
`,
  );
});

test('review: who proposed it cannot publish it, another person can; a version at its time; one withdrawn', async () => {
  await play(
    dora,
    `
$ gatehouse config create billing -n live --review-required
Made billing/live. Fill it with: gatehouse config set billing -n live KEY=VALUE
$ gatehouse config proposals billing -n live
$ gatehouse config set billing -n live LIMIT=5 --secret-file TOKEN=- -m more << tk-canary
Proposed as ID. Another person publishes it with:
  gatehouse config publish billing -n live --proposal ID
$ gatehouse config proposals billing -n live
ID | open | TIME | USR |  |  |  | more
$ gatehouse config get billing -n live
`,
  );
  const id = /prop_\w+/.exec((await dora.gatehouse('config proposals billing -n live')).stdout)?.[0] ?? '';
  const own = await dora.gatehouse(`config publish billing -n live --proposal ${id}`);
  assert.equal(own.code, 1);
  assert.match(own.stderr, /Who proposed it cannot publish it/);
  const published = await alice.gatehouse(`config publish billing -n live --proposal ${id}`);
  assert.match(
    published.stdout,
    /\nmore\non top of version 0:\n\+ LIMIT="5"\n\+ TOKEN=secret .*\nPublished version 1 of billing\/live: 2 keys, 1 of them secret\.\n$/s,
  );
  assert.ok(!published.stdout.includes('canary'));
  assert.match(
    (await dora.gatehouse(`config proposals billing ${id} -n live`)).stdout,
    /: published as version 1\nby dora at /,
  );

  const later = await dora.gatehouse('config set billing LATER=1 --at 2099-01-01T00:00:00Z');
  assert.match(later.stderr, /a year ahead/);
  const proposed = await dora.gatehouse('config unset billing -n live LIMIT --json');
  const { proposal } = JSON.parse(proposed.stdout) as { proposal: { id: string } };
  assert.equal(
    (await dora.gatehouse(`config proposals billing -n live ${proposal.id} --withdraw`)).stdout,
    `Withdrew ${proposal.id}.\n`,
  );
  const again = await alice.gatehouse(`config publish billing -n live --proposal ${proposal.id}`);
  assert.match(again.stderr, /The proposal is not open/);
  await play(
    dora,
    `
$ gatehouse config proposals billing -n live --withdraw
! gatehouse: Say which to withdraw.
!   → name its id, as config proposals shows
= 2
$ gatehouse config proposals billing prop_0 -n live
! gatehouse: The namespace has no proposal with this id.
!   → see: gatehouse config proposals billing -n live --all
!   request REQ
= 1
$ gatehouse config rollback billing -n live 1 --yes
! gatehouse: Version 1 is the newest.
!   → name an older one
= 2
`,
  );
});
