/** `gatehouse run` and `gatehouse agent` with the real server, the real program and real children. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ended, freePort, launcher, operator, type ServerUnderTest, startServer } from './session.ts';

let server: ServerUnderTest;
const running = new Set<ChildProcess>();

before(async () => {
  server = await startServer();
  await gatehouse(`login --username ${operator.username} --password-file -`, operator.password);
  await writeFile(
    join(server.folder, 'gatehouse.yaml'),
    'organizations: { acme: { services: { billing: {}, shop: {}, web: {}, files: {} } } }\n',
  );
  await gatehouse('apply -f gatehouse.yaml');
  for (const service of ['billing', 'shop', 'web', 'files']) {
    await gatehouse(
      `config create acme.${service} -f - --format json`,
      JSON.stringify({ HOST: 'one', PORT: 5432, PASSWORD: { $secret: 'tulip-canary-7' } }),
    );
  }
});
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await server.stop();
});

/** A command that must succeed. */
async function gatehouse(args: string, stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await server.gatehouse(args, stdin === undefined ? {} : { stdin: `${stdin}\n` });
  assert.equal(code, 0, `${args}\n${stdout}${stderr}`);
  return stdout;
}

const invite = async (service: string) => (await gatehouse(`agents invite --service ${service}`)).trim();
const set = (service: string, ...pairs: string[]) => gatehouse(`config set ${service} ${pairs.join(' ')}`);

/** Starts the program in the background. */
function start(args: readonly string[], env: Record<string, string> = {}, uid?: number) {
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd: server.folder,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', HOME: server.folder, GATEHOUSE_URL: server.url, ...env },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'close').then(([code, signal]): Ended & { signal: NodeJS.Signals | null } => {
    running.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr };
  });
  const until = async (holds: () => boolean | Promise<boolean>, what: string) => {
    // Long enough for the busiest machine; a test that waits for what never comes says what it saw.
    for (const deadline = performance.now() + 60_000; !(await holds()); ) {
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}:\n${stdout}${stderr}`);
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`ended before ${what}:\n${stdout}${stderr}`);
      await sleep(20);
    }
  };
  return {
    child,
    ended,
    until,
    says: (text: string) => until(() => stdout.includes(text), `"${text}"`),
    warns: (text: string) => until(() => stderr.includes(text), `warning "${text}"`),
    output: () => stdout,
    errors: () => stderr,
  };
}

const print = `const { HOST, PORT, PASSWORD, EXTRA, GATEHOUSE_ENROLMENT_TOKEN, GATEHOUSE_TOKEN } = process.env;
console.log(JSON.stringify({ HOST, PORT, PASSWORD, EXTRA, GATEHOUSE_ENROLMENT_TOKEN, GATEHOUSE_TOKEN })); setInterval(() => {}, 1e9);`;
const run = (state: string, service: string, ...options: string[]) => [
  'run',
  '--service',
  service,
  '--state-dir',
  join(server.folder, state),
  '--settle',
  '200ms',
  ...options,
  '--',
];

/** What the server knows of the instances of a service. */
async function instances(service: string): Promise<Record<string, unknown>[]> {
  const { items } = (await call(`/v1/services/${service.replace('acme.', '')}/instances`)) as {
    items: Record<string, unknown>[];
  };
  return items;
}

/** A call in the name of the login, without the cost of a process: for what is asked again and again. */
async function call(path: string, init: RequestInit = {}): Promise<unknown> {
  const credentials = await readFile(join(server.folder, 'config', 'credentials.json'), 'utf8');
  const token = /"access_token":\s*"([^"]+)"/.exec(credentials)?.[1];
  const headers = { authorization: `Bearer ${token}`, 'gatehouse-organization': 'acme' };
  const answer = await fetch(new URL(path, server.url), { ...init, headers });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

/** The newest version of a service's namespace, as JSON. */
async function newest(service: string): Promise<string> {
  const base = `/v1/services/${service.replace('acme.', '')}/default`;
  const { version } = (await call(`${base}/latest`)) as { version: number };
  return JSON.stringify(await call(`${base}/${version}`));
}

test('enrolled by an invitation: environment, restart on publish, removed keys, reports, server gone, start from the copy', async (t) => {
  const token = await invite('acme.billing');
  const env = { GATEHOUSE_ENROLMENT_TOKEN: token, GATEHOUSE_TOKEN: 'not-for-the-child' };
  const first = start([...run('one', 'acme.billing', '--verbose'), process.execPath, '-e', print], env);
  await first.says('{"HOST":"one","PORT":"5432","PASSWORD":"tulip-canary-7"}');

  await t.test('a new version restarts it with the new environment', async () => {
    await set('acme.billing', 'HOST=two', 'EXTRA=here');
    await first.says('{"HOST":"two","PORT":"5432","PASSWORD":"tulip-canary-7","EXTRA":"here"}');
    await gatehouse('config unset acme.billing EXTRA HOST');
    await first.says('{"PORT":"5432","PASSWORD":"tulip-canary-7"}');
    await first.until(async () => {
      const [one] = await instances('acme.billing');
      return one?.['state'] === 'healthy' && one['running_version'] === 3;
    }, 'the report');
  });

  await t.test('a key that cannot be a variable is refused with the reason, and the program goes on', async () => {
    await gatehouse('config set acme.billing db.host=x');
    await first.warns('"db.host" cannot be an environment variable');
    // The server was told, and brings the old content back as a version of its own.
    await first.until(async () => !(await newest('acme.billing')).includes('"db.host":'), 'the rollback');
    assert.match(
      await gatehouse('config history acme.billing --json'),
      /"db\.host\\" cannot be an environment variable/,
    );
    assert.equal(first.output().trim().split('\n').length, 3);
  });

  await t.test('an invitation works once, and the state folder is private', async () => {
    const second = await start([...run('two', 'acme.billing'), 'true'], env).ended;
    assert.equal(second.code, 5, second.stderr);
    assert.match(second.stderr, /gatehouse agents invite --service acme\.billing/);
    assert.ok(!second.stderr.includes(token));
    const taken = await invite('acme.billing');
    const [id = '', name] = (await gatehouse('agents invitations --service acme.billing')).split('\t');
    assert.match(id, /^enr_/);
    assert.equal(name, '');
    await gatehouse(`agents withdraw ${id} --service acme.billing`);
    assert.equal(await gatehouse('agents invitations --service acme.billing'), '');
    assert.equal(
      (await start([...run('two', 'acme.billing'), 'true'], { GATEHOUSE_ENROLMENT_TOKEN: taken }).ended).code,
      5,
    );
    const folder = join(server.folder, 'one');
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    for (const name of await readdir(folder)) {
      assert.equal((await stat(join(folder, name))).mode & 0o077, 0, name);
      assert.ok(!(await readFile(join(folder, name))).includes('tulip-canary-7'), `${name} is encrypted`);
    }
  });

  await t.test('two agents in one state folder: the second is refused', async () => {
    const second = await start([...run('one', 'acme.billing'), 'true']).ended;
    assert.equal(second.code, 1);
    assert.match(second.stderr, /is in use by process \d+/);
  });

  await t.test('the server is gone: the program keeps running', async () => {
    await server.down();
    await first.warns('Going on with default');
    assert.equal(first.child.exitCode, null);
    first.child.kill('SIGTERM');
    assert.equal((await first.ended).signal, 'SIGTERM');
  });

  await t.test('started without the server: from the copy, with a warning', async (t) => {
    const again = start([...run('one', 'acme.billing'), process.execPath, '-e', print]);
    await again.says('{"PORT":"5432","PASSWORD":"tulip-canary-7"}');
    await again.warns('Started from the local copy of default');
    await t.test('and goes on to what was published as soon as the server is back', async () => {
      await server.up();
      await set('acme.billing', 'HOST=back');
      await again.says('"HOST":"back"');
    });
    again.child.kill('SIGTERM');
    await again.ended;
  });

  await t.test('a changed copy, an older copy, a copy of another agent: refused', async () => {
    const folder = join(server.folder, 'one');
    await cp(folder, join(server.folder, 'older'), { recursive: true });
    const newer = start([...run('one', 'acme.billing'), process.execPath, '-e', print]);
    await set('acme.billing', 'HOST=newer');
    await newer.says('"HOST":"newer"');
    const copy = join(folder, 'copy.default');
    await newer.until(
      async () => !(await readFile(copy)).equals(await readFile(join(server.folder, 'older', 'copy.default'))),
      'the copy',
    );
    newer.child.kill('SIGTERM');
    await newer.ended;
    const kept = await readFile(copy);
    await server.down();
    try {
      const bytes = Buffer.from(kept);
      const at = bytes.length - 10;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      for (const content of [
        bytes,
        await readFile(join(server.folder, 'older', 'copy.default')),
        kept.subarray(0, 40),
      ]) {
        await writeFile(copy, content);
        const { code, stdout, stderr } = await start([...run('one', 'acme.billing'), 'echo', 'started']).ended;
        assert.equal(code, 3, stderr);
        assert.equal(stdout, '');
        assert.match(stderr, /local copy .* (was changed|is version \d+, older than the last seen serial)/);
        assert.match(stderr, /→ start it when the server can be reached/);
      }
      await rm(copy);
      const none = await start([...run('one', 'acme.billing', '--start-timeout', '1s'), 'echo', 'started']).ended;
      assert.equal(none.code, 4, none.stderr);
      await writeFile(copy, kept, { mode: 0o600 });
      assert.equal((await start([...run('one', 'acme.billing'), 'true']).ended).code, 0);
    } finally {
      await writeFile(copy, kept, { mode: 0o600 });
      await server.up();
    }
  });

  await t.test('new keys, then revoked: the program goes on, a new start is refused', async () => {
    const program = start([...run('one', 'acme.billing'), process.execPath, '-e', print]);
    await program.says('"HOST":"newer"');
    const keysBefore = await gatehouse('agents list --service acme.billing');
    await gatehouse(`agent rotate-keys --service acme.billing --state-dir ${join(server.folder, 'one')}`);
    assert.notEqual(await gatehouse('agents list --service acme.billing'), keysBefore);
    await set('acme.billing', 'HOST=rotated');
    await program.says('"HOST":"rotated"');
    const [agent = ''] = (await gatehouse('agents list --service acme.billing')).split('\t');
    await gatehouse(`agents revoke ${agent} --service acme.billing --yes`);
    await set('acme.billing', 'HOST=secret-after-revocation');
    await program.warns('was revoked');
    assert.ok(!program.output().includes('secret-after-revocation'));
    assert.equal(program.child.exitCode, null);
    program.child.kill('SIGTERM');
    await program.ended;
    const refused = await start([...run('one', 'acme.billing'), 'echo', 'started']).ended;
    assert.equal(refused.code, 5, refused.stderr);
    assert.equal(refused.stdout, '');
  });
});

test('a version that the program cannot live with: told why, rolled back by the server, the program back with it', async () => {
  const env = { GATEHOUSE_ENROLMENT_TOKEN: await invite('acme.web') };
  const script = `if (process.env.HOST === 'bad') process.exit(3); console.log('with ' + process.env.HOST); setInterval(() => {}, 1e9);`;
  const program = start([...run('web', 'acme.web'), process.execPath, '-e', script], env);
  await program.says('with one');
  await program.until(async () => (await instances('acme.web'))[0]?.['state'] === 'healthy', 'the report');
  await set('acme.web', 'HOST=bad');
  await program.warns('the program ended with exit code 3');
  await program.until(() => program.output().split('with one').length === 3, 'the old content');
  assert.match(await gatehouse('config history acme.web --json'), /the program ended with exit code 3 after/);
  program.child.kill('SIGTERM');
  await program.ended;
  assert.equal((await instances('acme.web'))[0]?.['state'], 'stopped');
});

test('as an unprivileged user, with a probe by HTTP, told by a service token; the exit code of the program is ours', async () => {
  // Root becomes somebody else, if that one can reach the program; everybody else is unprivileged already.
  const uid = process.getuid?.() === 0 && (await canOthersReach(launcher)) ? 65_533 : undefined;
  const home = join(server.folder, 'home');
  await mkdir(home, { mode: 0o700 });
  if (uid !== undefined) await chown(home, uid, uid);
  await chmod(server.folder, 0o711);
  const { authorization_token } = (await call('/v1/services/shop/tokens', { method: 'POST' })) as {
    authorization_token: string;
  };
  const port = await freePort();
  const script = `let asked = 0; require('node:http').createServer((request, response) => {
      if (request.url === '/end') process.exit(42);
      response.writeHead((asked += 1) > 2 ? 200 : 503).end();
    }).listen(${port}, '127.0.0.1', () => console.log('uid ' + process.getuid()));`;
  const program = start(
    [
      'run',
      '--service',
      'acme.shop',
      '--health',
      `http://127.0.0.1:${port}/healthz`,
      '--',
      process.execPath,
      '-e',
      script,
    ],
    { HOME: home, GATEHOUSE_SERVICE_TOKEN: authorization_token },
    uid,
  );
  await program.says(`uid ${uid ?? process.getuid?.()}`);
  await program.until(async () => (await instances('acme.shop'))[0]?.['state'] === 'healthy', 'the report');
  const state = join(home, '.local/state/gatehouse/acme.shop');
  assert.equal((await stat(state)).uid, uid ?? process.getuid?.());
  await fetch(`http://127.0.0.1:${port}/end`).catch(() => undefined);
  assert.equal((await program.ended).code, 42);
});

test('gatehouse agent: templates, modes, commands, probes; --check and --once', async (t) => {
  const out = join(server.folder, 'out');
  await mkdir(out);
  await writeFile(join(server.folder, 'app.tmpl'), 'host = {{ HOST }}\npassword = {{ PASSWORD | json }}\n');
  const yaml = (command: string) => `service: acme.files
state_dir: state-agent
enrolment_token_file: token
namespaces: [default]
targets:
  app:
    files:
      - { template: app.tmpl, path: ${out}/app.conf, mode: '0640' }
      - { format: env, path: ${out}/app.env }
    command: { run: ${command}, environment: { HOST: '{{ HOST }}' } }
    quiescence: { wait: 100ms }
    splay: 50ms
`;
  await writeFile(join(server.folder, 'agent.yaml'), yaml(`[sh, -c, 'echo "told $HOST" >> ${out}/log']`));
  await writeFile(join(server.folder, 'token'), await invite('acme.files'), { mode: 0o600 });
  assert.equal(await gatehouse('agent --check'), 'agent.yaml is right: 1 target, 2 files.\n');
  assert.equal((await readdir(out)).length, 0);

  await t.test('--once writes the files and ends', async () => {
    await gatehouse('agent --once');
    assert.deepEqual((await readdir(out)).sort(), ['app.conf', 'app.env']);
    assert.equal(await readFile(join(out, 'app.conf'), 'utf8'), 'host = one\npassword = "tulip-canary-7"\n');
    assert.equal((await stat(join(out, 'app.conf'))).mode & 0o777, 0o640);
    assert.equal((await stat(join(out, 'app.env'))).mode & 0o777, 0o600);
    assert.match(await readFile(join(out, 'app.env'), 'utf8'), /^HOST=one$/m);
  });

  await rm(join(server.folder, 'token'));
  const agent = start(['agent', '--verbose']);
  await agent.warns('1 target is up to date');
  const before = await stat(join(out, 'app.conf'));
  const mine = async () =>
    (await instances('acme.files')).find(({ in_fleet, state }) => in_fleet === true && state !== 'unhealthy');

  await t.test('a new version: files replaced in one step, the command run once, the server told', async () => {
    await set('acme.files', 'HOST=two');
    await agent.until(
      async () => (await readFile(join(out, 'log'), 'utf8').catch(() => '')) === 'told two\n',
      'the command',
    );
    assert.equal(await readFile(join(out, 'app.conf'), 'utf8'), 'host = two\npassword = "tulip-canary-7"\n');
    assert.notEqual((await stat(join(out, 'app.conf'))).ino, before.ino);
    await agent.until(async () => (await mine())?.['running_version'] === 2, 'the report');
  });

  await t.test(
    'a key that a template needs is gone: refused with the place, the files stay, the server rolls back',
    async () => {
      await gatehouse('config unset acme.files HOST');
      await agent.warns('app.tmpl, line 1: HOST is missing');
      await agent.until(async () => (await newest('acme.files')).includes('"HOST":"two"'), 'the rollback');
      assert.equal(await readFile(join(out, 'app.conf'), 'utf8'), 'host = two\npassword = "tulip-canary-7"\n');
    },
  );

  agent.child.kill('SIGTERM');
  const { code, stdout } = await agent.ended;
  assert.deepEqual({ code, stdout }, { code: 0, stdout: '' });

  await t.test('a command that fails is told, without its output', async () => {
    await writeFile(join(server.folder, 'agent.yaml'), yaml(`[sh, -c, 'echo canary-in-output >&2; exit 9']`));
    const failing = start(['agent']);
    await set('acme.files', 'HOST=three');
    await failing.warns('target app: command sh: exit code 9');
    await failing.until(
      async () => (await newest('acme.files')).includes('target app: command sh: exit code 9'),
      'the rollback',
    );
    failing.child.kill('SIGTERM');
    await failing.ended;
  });
});

async function canOthersReach(path: string): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o005) !== 0o005) return false;
    if (folder === dirname(folder)) return true;
  }
}
