/** What a user installs: the file that `npm pack` makes, in a project that has nothing of this repository. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const root = dirname(dirname(packageFolder));

const compilerPath = join(root, 'node_modules/typescript/bin/tsc');
const compilerOptions = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', 'false', '--types', 'node'];

const program = `
import { createServer } from 'node:http';
import {
  createConfiguration, createFollower, createPop, createPopHandler, createSecretClient, createTokenVerifier,
  decryptForUser, encryptForUser, fileStore, isGatehouseError, memoryStore, sealTo, type AccessToken,
  type AgentIdentity, type Pop,
} from '@gatehouse/sdk';
import { gatehouseAuth, gatehousePop } from '@gatehouse/sdk/fastify';
import { jsonSchema } from '@gatehouse/sdk/json-schema';
import { postgresStore } from '@gatehouse/sdk/postgres';
import fastify from 'fastify';

const pop: Pop = await createPop({ store: memoryStore(), policy: { keys: [{ use: 'enc', alg: 'ECDH-ES+A256KW' }] } });
const tokens = createTokenVerifier({ issuer: 'https://id.example.com', audience: 'acme.records' });
const secrets = createSecretClient({ issuer: 'https://id.example.com', clientId: 'a', clientSecret: 'b', pop });
export const who = async (token: string): Promise<AccessToken> => tokens.verify(token);
export const open = async (token: string): Promise<string> => secrets.secretFor(token);
export const stores = [fileStore('./keys'), postgresStore({ query: async () => ({ rows: [], rowCount: 0 }) }, { storeKey: 'A'.repeat(43) })];
createServer(createPopHandler(pop));

const app = fastify();
await app.register(gatehouseAuth, { tokens });
await app.register(gatehousePop, { pop });
app.post('/echo', { config: { public: true } }, async (request) => ({ kid: request.sealed?.kid, body: String(request.body) }));

export const follow = (identity: AgentIdentity) =>
  createFollower({ identity, namespaces: ['default'], apply: ({ values }) => console.log(Object.keys(values)) });
const where = { url: 'http://127.0.0.1:9', service: 'acme.billing', namespace: 'default', stateDir: './state' };
const untyped = createConfiguration<{ A: string }>(where);
export const a = (): string => untyped.get('A');
const schema = jsonSchema({ type: 'object', required: ['PORT'], properties: { PORT: { type: 'integer' } } });
const typed = createConfiguration({ ...where, schema });
export const port = (): number => typed.values.PORT;
const start: string = await typed.ready.then(
  () => 'ready',
  (error: unknown) => (isGatehouseError(error) ? error.code : String(error)),
);
const checked = await schema['~standard'].validate({ PORT: 'x' });

const { plaintext } = await pop.open(await sealTo(pop.jwks().body, 'sealed'));
const context = { user: 'alice', purpose: 'test' };
const secret = new Uint8Array(32);
const stored: Uint8Array = await encryptForUser(secret, plaintext, context);
const opened = Buffer.from(await decryptForUser(secret, stored, context)).toString();
const code: string = await decryptForUser(secret, stored, { ...context, user: 'bob' }).then(
  () => 'opened',
  (error: unknown) => (isGatehouseError(error) ? error.code : 'unknown'),
);
const headers = { 'content-type': 'application/jose' };
const echoed = await app.inject({ method: 'POST', url: '/echo', headers, payload: await sealTo(pop.jwks().body, 'hi') });
const issues = checked.issues?.length;
console.log(JSON.stringify({ opened, code, echoed: echoed.json() as unknown, start, issues }));
`;

describe('the packed SDK', () => {
  let project: string;
  let installed: string;
  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'gatehouse-packed-sdk-'));
    run('npm', ['pack', '--silent', '--pack-destination', project], packageFolder);
    const [tarball] = readdirSync(project);
    assert.ok(tarball);
    installed = join(project, 'node_modules/@gatehouse/sdk');
    mkdirSync(installed, { recursive: true });
    run('tar', ['-xzf', join(project, tarball), '--strip-components', '1', '-C', installed], project);
    mkdirSync(join(project, 'node_modules/@types'));
    for (const name of ['fastify', 'jose', 'typebox', '@types/node']) {
      symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
    }
    writeFileSync(join(project, 'package.json'), '{"name":"somebody","type":"module"}');
    writeFileSync(join(project, 'program.ts'), program);
  });
  after(() => rm(project, { recursive: true }));

  it('leaves the manifest of the workspace as it was', () => {
    assert.ok(!existsSync(join(packageFolder, '.package.workspace.json')));
    assert.match(readFileSync(join(packageFolder, 'package.json'), 'utf8'), /\.\/src\/index\.ts/);
  });

  it('holds built files only, and depends on what a registry has', () => {
    assert.deepEqual(readdirSync(installed).sort(), ['README.md', 'dist', 'package.json']);
    const files = readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' });
    const sources = files.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'));
    assert.deepEqual(sources, []);
    assert.ok(!files.some((name) => /test|fake/.test(name)));
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, object>;
    assert.deepEqual(Object.keys(manifest.dependencies ?? {}), ['jose']);
    assert.equal(manifest.scripts, undefined);
    assert.equal(manifest.devDependencies, undefined);
    for (const target of Object.values(manifest.exports ?? {}) as (string | Record<string, string>)[]) {
      for (const path of typeof target === 'string' ? [target] : Object.values(target)) {
        assert.ok(existsSync(join(installed, path)), path);
      }
    }
  });

  it('satisfies the compilers of users who check the declarations too, as strict as they are', () => {
    for (const more of [
      ['--target', 'es2022'],
      ['--target', 'es2024', '--exactOptionalPropertyTypes'],
    ]) {
      run(process.execPath, [compilerPath, ...compilerOptions, ...more, 'program.ts'], project);
    }
  });

  it('asks for typebox only when a JSON Schema is used', () => {
    writeFileSync(
      join(project, 'plain.ts'),
      "import { createConfiguration } from '@gatehouse/sdk'; console.log(typeof createConfiguration);",
    );
    rmSync(join(project, 'node_modules/typebox'));
    try {
      assert.equal(run(process.execPath, ['plain.ts'], project), 'function\n');
      run(process.execPath, [compilerPath, ...compilerOptions, '--target', 'es2022', 'plain.ts'], project);
    } finally {
      symlinkSync(join(root, 'node_modules/typebox'), join(project, 'node_modules/typebox'));
    }
  });

  it('runs', () => {
    const { opened, code, echoed, start, issues } = JSON.parse(run(process.execPath, ['program.ts'], project)) as {
      opened: string;
      code: string;
      echoed: { body: string; kid: string };
      start: string;
      issues: number;
    };
    assert.deepEqual([opened, code, echoed.body], ['sealed', 'data_cannot_open', 'hi']);
    assert.match(echoed.kid, /^[\w-]{43}$/);
    assert.deepEqual([start, issues], ['agent_not_enrolled', 1]);
  });
});

function run(command: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}
