import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { operator, type ServerUnderTest, startServer } from './session.ts';
import { play } from './transcript.ts';

let server: ServerUnderTest;
before(async () => {
  server = await startServer();
  await writeFile(join(server.folder, 'alice.password'), 'plum cobweb harvest lantern 71\n');
  await writeFile(join(server.folder, 'records.secret'), 'k3Yq-0fSx8vW2mZr7tLp5nBd9cHg4jQa6eUi1oXs\n');
});
after(() => server.stop());

const write = (name: string, content: string) => writeFile(join(server.folder, name), content);

test('signing in', async () => {
  await play(
    server,
    `
$ gatehouse users list
! gatehouse: There is no login at URL.
!   → run: gatehouse login --url URL
= 5
$ gatehouse login --username root-operator --password-file - << not the password at all
! Signing in at URL …
! gatehouse: The user name or the password is wrong. Check both and try again.
!   request REQ
= 1
$ gatehouse login --username root-operator --password-file - << ${operator.password}
Logged in to URL as root-operator. Kept in FOLDER/config/credentials.json.
! Signing in at URL …
$ gatehouse users list
root-operator | USR | active | admin | TIME
`,
  );
  const file = join(server.folder, 'config', 'credentials.json');
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.ok(!(await readFile(file, 'utf8')).includes(operator.password));
});

test('applying a declaration: the plan, once, twice, changed, pruned', async () => {
  await write(
    'gatehouse.yaml',
    `
organizations:
  acme:
    services:
      records:
        audience: records
        pop_url: http://127.0.0.1:9000/pop
        client_secret_file: ./records.secret
        grants: [client_credentials, token_exchange]
        roles: [reader]
      jobs: { grants: [client_credentials] }
    users:
      alice: { password_file: ./alice.password, roles: [developer, 'records:reader'] }
`,
  );
  await play(
    server,
    `
$ gatehouse apply -f gatehouse.yaml --dry-run
+ organization acme
+ service acme.records
    audience: records
    pop_url: http://127.0.0.1:9000/pop
    grants: client_credentials, token_exchange
    client_secret
+ role records:reader in acme
+ service acme.jobs
    grants: client_credentials
    client_secret: generated, shown once
+ user alice in acme
    roles: developer, records:reader
    password
5 to create, 0 to update, 0 to delete, 0 unchanged.
$ gatehouse services list --organization acme
! gatehouse: The header gatehouse-organization names no organization.
!   request REQ
= 1
$ gatehouse apply -f gatehouse.yaml
+ organization acme
+ service acme.records
    audience: records
    pop_url: http://127.0.0.1:9000/pop
    grants: client_credentials, token_exchange
    client_secret
+ role records:reader in acme
+ service acme.jobs
    grants: client_credentials
    client_secret: generated, shown once
+ user alice in acme
    roles: developer, records:reader
    password
5 to create, 0 to update, 0 to delete, 0 unchanged.
Applied: 5 created, 0 updated, 0 deleted.

Client secrets, shown this once:
  acme.jobs  KEY
! Applying …
$ gatehouse apply -f gatehouse.yaml
Nothing to change: 5 as declared.
$ gatehouse services list --organization acme
jobs | acme.jobs | acme.jobs | active | client_credentials |
records | acme.records | records | active | client_credentials, token_exchange | http://127.0.0.1:9000/pop
`,
  );
  await write(
    'gatehouse.yaml',
    `
organizations:
  acme:
    services:
      records: { pop_url: 'http://127.0.0.1:9001/pop', grants: [token_exchange] }
`,
  );
  await play(
    server,
    `
$ gatehouse apply -f gatehouse.yaml
~ service acme.records
    pop_url: http://127.0.0.1:9000/pop → http://127.0.0.1:9001/pop
    grants: client_credentials, token_exchange → token_exchange
0 to create, 1 to update, 0 to delete, 1 unchanged.
Applied: 0 created, 1 updated, 0 deleted.
! Applying …
$ gatehouse apply -f gatehouse.yaml --prune
- service acme.jobs
0 to create, 0 to update, 1 to delete, 2 unchanged.
! gatehouse: This cannot be taken back, and there is no terminal to ask.
!   → add --yes
= 2
$ gatehouse apply -f gatehouse.yaml --prune --yes
- service acme.jobs
0 to create, 0 to update, 1 to delete, 2 unchanged.
Applied: 0 created, 0 updated, 1 deleted.
! Applying …
`,
  );
});

test('namespaces and webhooks of a declaration: key by key, secrets never, a generated one once', async () => {
  const yaml = (host: string) => `
organizations:
  acme:
    services:
      records:
        pop_url: http://127.0.0.1:9001/pop
        namespaces:
          default:
            configuration: { DB_HOST: ${host}, LIMITS: { read: 10 }, DB_PASS: { secret_file: ./records.secret } }
webhooks:
  - { url: 'https://hooks.acme.example/', organization: acme, events: ['user.*', configuration.published] }
`;
  await write('namespaces.yaml', yaml('127.0.0.1'));
  await play(
    server,
    `
$ gatehouse apply -f namespaces.yaml
+ namespace acme.records/default
    configuration.DB_HOST: 127.0.0.1
    configuration.LIMITS: {"read":10}
    configuration.DB_PASS
+ webhook https://hooks.acme.example/ in acme
    events: user.*, configuration.published
    secret: generated, shown once
2 to create, 0 to update, 0 to delete, 2 unchanged.
Applied: 2 created, 0 updated, 0 deleted.

Webhook secrets, shown this once:
  https://hooks.acme.example/  WHSEC
! Applying …
$ gatehouse apply -f namespaces.yaml
Nothing to change: 4 as declared.
`,
  );
  await write('namespaces.yaml', yaml('10.0.0.1'));
  await play(
    server,
    `
$ gatehouse apply -f namespaces.yaml --dry-run
~ namespace acme.records/default
    configuration.DB_HOST: 127.0.0.1 → 10.0.0.1
0 to create, 1 to update, 0 to delete, 3 unchanged.
`,
  );
});

test('a declaration that is not right is refused before anything is sent, with file and line', async () => {
  await write(
    'wrong.yaml',
    'organizations:\n  acme:\n    services:\n      records: { pop_ur1: x }\n    webhooks: []\n',
  );
  await write('role.yaml', 'organizations:\n  acme:\n    users:\n      alice: { roles: [nobody] }\n');
  await play(
    server,
    `
$ gatehouse apply -f wrong.yaml
! gatehouse: wrong.yaml:4: organizations.acme.services.records.pop_ur1 is not known; did you mean pop_url?
!   wrong.yaml:5: organizations.acme.webhooks is not known; known here: services, roles, users
= 1
$ gatehouse apply -f nowhere.yaml
! gatehouse: nowhere.yaml: does not exist; check the path and its permissions
= 1
$ gatehouse apply -f role.yaml
! gatehouse: organizations.acme.users.alice.roles.0 names no role of the organization acme
!   → create the role first, or correct its spelling
!   request REQ
= 1
$ gatehouse apply
! gatehouse: Required option '-f, --file <file>' not specified.
!   → see gatehouse --help
= 2
`,
  );
});

test('users', async () => {
  await play(
    server,
    `
$ gatehouse users create bob --organization acme --role developer --password-file - << gravel sunset meadow 88 tulip
Created bob with the uid USR.
$ gatehouse users create bob --organization acme --without-password
! gatehouse: The user name is taken. Choose another user name.
!   request REQ
= 1
$ gatehouse users create weak --organization acme --password-file - << password
! gatehouse: The password does not fit the password policy. The password has fewer than 15 characters.
!   → use a sentence or several unrelated words
!   request REQ
= 1
$ gatehouse users create eve --password hunter2
! gatehouse: A password does not belong on the command line: everyone on this machine can read it there.
!   → use --password-file <file>, or --password-file - for stdin; and change this password
= 2
$ gatehouse users suspend BOB --organization acme
Suspended bob (USR): its sessions and tokens have ended.
$ gatehouse users list --organization acme --status deactivated
bob | USR | deactivated | developer |
$ gatehouse users restore bob --organization acme
Restored bob (USR): it may sign in again.
$ gatehouse users archive bob --organization acme
Archived bob (USR): its sessions and tokens have ended.
$ gatehouse users suspend nobody --organization acme
! gatehouse: There is no user with the uid or user name "nobody" in this organization.
!   → look it up with: gatehouse users list
= 1
`,
  );
});

test('services, keys and secrets', async () => {
  await play(
    server,
    `
$ gatehouse services create mail --organization acme --grant client_credentials --role reader
Registered acme.mail with the audience acme.mail.

Client secret, shown this once:
  KEY
$ gatehouse services create app --organization acme --authentication none --grant authorization_code
! gatehouse: redirect_uris is empty although authorization_code is granted
!   → register at least one
!   request REQ
= 1
$ gatehouse keys rotate tokens-es256 --force
Rotated tokens-es256. In use now: KEY.
$ gatehouse keys rotate no-such-keyring
! gatehouse: There is no keyring no-such-keyring in this organization.
!   request REQ
= 1
$ gatehouse secrets list --organization acme
$ gatehouse secrets destroy sec_00000000000000000000000000 --organization acme
! gatehouse: This cannot be taken back, and there is no terminal to ask.
!   → add --yes
= 2
$ gatehouse secrets restore sec_00000000000000000000000000 --organization acme
! gatehouse: There is no such secret in this organization.
!   request REQ
= 1
`,
  );
  const { stdout } = await server.gatehouse('keys list');
  const inUse = stdout.split('\n').filter((line) => line.split('\t')[4] === 'yes');
  assert.deepEqual(
    inUse.map((line) => line.split('\t').slice(0, 2).join(' ')),
    [
      'audit ES256',
      'configuration ES256',
      'pop RSA-OAEP-256',
      'pop-ec ECDH-ES+A256KW',
      'tokens-es256 ES256',
      'tokens-rs256 RS256',
    ],
  );
});

test('with --json there is one document on stdout, and errors are problems on stderr', async () => {
  const list = await server.gatehouse('users list --organization acme --json');
  assert.equal(list.stderr, '');
  const { items } = JSON.parse(list.stdout) as { items: { username: string }[] };
  assert.deepEqual(
    items.map(({ username }) => username),
    ['alice', 'bob'],
  );
  const plan = await server.gatehouse('--json apply -f gatehouse.yaml --dry-run');
  assert.deepEqual((JSON.parse(plan.stdout) as { summary: unknown }).summary, {
    create: 0,
    update: 0,
    delete: 0,
    unchanged: 2,
  });
  await play(
    server,
    `
$ gatehouse users suspend nobody --organization acme --json
! {
!   "type": "urn:gatehouse:error:cli.not_found",
!   "title": "There is no such thing",
!   "detail": "There is no user with the uid or user name \\"nobody\\" in this organization.",
!   "code": "cli.not_found",
!   "fix": "look it up with: gatehouse users list"
! }
= 1
$ gatehouse users --json
! {
!   "type": "urn:gatehouse:error:cli.usage",
!   "title": "The command line is not right",
!   "detail": "Name a command.",
!   "code": "cli.usage",
!   "fix": "one of: list, create, suspend, archive, restore"
! }
= 2
`,
  );
  const wrong = await server.gatehouse('apply -f wrong.yaml --json');
  assert.deepEqual((JSON.parse(wrong.stderr) as { errors: unknown[] }).errors[0], {
    field: 'organizations.acme.services.records.pop_ur1',
    rule: 'is not known',
    fix: 'did you mean pop_url?',
    line: 4,
  });
});

test('an access token that has ended is renewed on the way', async () => {
  const file = join(server.folder, 'config', 'credentials.json');
  const before = JSON.parse(await readFile(file, 'utf8')) as { logins: Record<string, { access_token: string }> };
  for (const login of Object.values(before.logins)) {
    Object.assign(login, { access_token: 'not.a.token', expires_at: '2020-01-01T00:00:00.000Z' });
  }
  await writeFile(file, JSON.stringify(before));
  // Several at once: each sends the same refresh token, and all get the same successor.
  const results = await Promise.all(Array.from({ length: 3 }, () => server.gatehouse('users list')));
  assert.deepEqual(
    results.map(({ code, stderr }) => `${code} ${stderr}`),
    ['0 ', '0 ', '0 '],
  );
  assert.equal((await server.gatehouse('users list')).code, 0, 'what was kept is good');
});

test('what a developer may not do is refused with the name of the permission', async () => {
  await play(
    server,
    `
$ gatehouse login --username alice --password-file alice.password
Logged in to URL as alice. Kept in FOLDER/config/credentials.json.
! Signing in at URL …
$ gatehouse users list
alice | USR | active | developer, records:reader | TIME
bob | USR | archived | developer |
$ gatehouse users create eve --without-password
! gatehouse: This needs the permission users:write in the organization acme.
!   → ask an administrator for a role that has it, or log in as someone who does
!   request REQ
= 1
$ gatehouse apply -f gatehouse.yaml
! gatehouse: This needs the permission declaration:apply in the organization acme.
!   → ask an administrator for a role that has it, or log in as someone who does
!   request REQ
= 1
`,
  );
});

test('logging out ends the session at the server', async () => {
  const file = join(server.folder, 'config', 'credentials.json');
  const kept = await readFile(file, 'utf8');
  await play(
    server,
    `
$ gatehouse logout
Logged out of URL.
$ gatehouse logout
There is no login at URL.
$ gatehouse users list
! gatehouse: There is no login at URL.
!   → run: gatehouse login --url URL
= 5
`,
  );
  await writeFile(file, kept);
  await play(
    server,
    `
$ gatehouse users list
! gatehouse: The login of alice at URL has ended.
!   → run: gatehouse login --url URL
= 5
$ gatehouse logout
Logged out of URL.
`,
  );
});

test('a token in the environment is used as it is', async () => {
  const { code, stderr } = await server.gatehouse('users list', { env: { GATEHOUSE_TOKEN: 'x.y.z' } });
  assert.equal(code, 5);
  assert.match(stderr, /^gatehouse: The token in GATEHOUSE_TOKEN is not accepted: .*\n {2}→ get a new one, or unset/);
});
