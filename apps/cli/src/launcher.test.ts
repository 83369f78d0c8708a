import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../bin/gatehouse.js', import.meta.url));

/** Runs the launcher with the Node of the tests. */
function run(
  args: readonly string[],
  { nodeArgs = [], env = {} }: { nodeArgs?: string[]; env?: Record<string, string> } = {},
) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [...nodeArgs, launcher, ...args],
      { env: { PATH: '/nonexistent', GATEHOUSE_CONFIG_DIR: '/nonexistent/config', ...env } },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

/** Makes the launcher believe in an older Node, as a system may have. */
const olderNode = ['--import', 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.9.0"})'];

test('on an older Node it goes on with the packaged one: arguments, output and exit code pass through', async () => {
  assert.deepEqual(await run(['--version'], { nodeArgs: olderNode }), await run(['--version']));
  const refused = await run(['users', 'crate', '--json'], { nodeArgs: olderNode });
  assert.equal(refused.code, 2);
  assert.equal(refused.stdout, '');
  assert.deepEqual(JSON.parse(refused.stderr), {
    type: 'urn:gatehouse:error:cli.usage',
    title: 'The command line is not right',
    detail: "Unknown command 'crate'.",
    code: 'cli.usage',
    fix: 'Did you mean create?',
  });
});

test('a server that is not there is exit code 4, with what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const { code, stderr } = await run(['users', 'list', '--url', `http://127.0.0.1:${port}`], {
    env: { GATEHOUSE_TOKEN: 'x' },
  });
  assert.equal(code, 4);
  assert.match(stderr, /cannot be reached \(ECONNREFUSED\)\.\n {2}→ is it running there\?/);
});

test('something else that answers is told apart from Gatehouse', async () => {
  const server = createServer((_request, response) => response.end('<html>a proxy</html>')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const { code, stderr } = await run(['users', 'list', '--url', `http://127.0.0.1:${port}`], {
    env: { GATEHOUSE_TOKEN: 'x' },
  });
  server.close();
  assert.equal(code, 1);
  assert.match(stderr, /answered 200 with something that is not JSON\.\n {2}→ check --url/);
});

test('passwords and tokens do not travel in the clear', async () => {
  const { code, stderr } = await run([
    'login',
    '--url',
    'http://id.example.com',
    '--username',
    'x',
    '--password-file',
    '-',
  ]);
  assert.equal(code, 2);
  assert.match(stderr, /^gatehouse: http:\/\/id\.example\.com is http, and not on this machine/);
});
