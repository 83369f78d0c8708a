/** Who may import whom: the rules of CONTRIBUTING.md, as a test that fails when it sees no files. */
import assert from 'node:assert/strict';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { listFiles, read } from './files.ts';

/** Modules of the server, highest first: each may import what stands after it. */
const serverModules = [
  'reuni',
  'declaration',
  'configuration',
  'secrets',
  'identity',
  'keys',
  'audit',
  'kernel',
] as const;

/** Which packages of ours a workspace may import. */
const packageRules: Record<string, readonly string[]> = {
  'packages/contracts': [],
  'packages/crypto': [],
  'packages/configuration': ['@gatehouse/contracts', '@gatehouse/crypto'],
  'packages/postgres': [],
  'packages/testkit': ['@gatehouse/postgres'],
  'packages/declaration': ['@gatehouse/contracts'],
  'packages/sdk': ['@gatehouse/configuration', '@gatehouse/contracts', '@gatehouse/crypto'],
  'apps/server': [
    '@gatehouse/configuration',
    '@gatehouse/contracts',
    '@gatehouse/crypto',
    '@gatehouse/declaration',
    '@gatehouse/postgres',
  ],
  'apps/cli': [
    '@gatehouse/configuration',
    '@gatehouse/contracts',
    '@gatehouse/crypto',
    '@gatehouse/declaration',
    '@gatehouse/sdk',
  ],
  'examples/records': ['@gatehouse/sdk'],
};

interface Import {
  file: string;
  target: string;
}

const files = listFiles(/^(packages|apps|examples)\/.*\.ts$/);
const imports: Import[] = files.flatMap((file) =>
  [...read(file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map((match) => {
    const name = match[1] ?? '';
    return { file, target: name.startsWith('.') ? normalize(join(dirname(file), name)) : name };
  }),
);

const isTest = (file: string) =>
  /\.test\.ts$|\/journeys\/|\/testing\/|-fixture\.ts$|\/test\//.test(file) || file.startsWith('packages/testkit/');
const workspaceOf = (file: string) => file.split('/').slice(0, 2).join('/');

function serverModuleOf(path: string): (typeof serverModules)[number] | undefined {
  const match = /^apps\/server\/src\/(?:modules\/)?([a-z-]+)\//.exec(path);
  return serverModules.find((one) => one === match?.[1]);
}

test('the check sees the code', () => {
  assert.ok(files.length > 100, `only ${files.length} files`);
  assert.ok(imports.length > 300, `only ${imports.length} imports`);
  for (const module of serverModules)
    assert.ok(
      files.some((file) => serverModuleOf(file) === module),
      module,
    );
});

test('every import stays inside its workspace or names a package it may use', () => {
  const wrong = imports.filter(({ file, target }) => {
    const workspace = workspaceOf(file);
    if (/^(packages|apps|examples|scripts|bench)\//.test(target)) return workspaceOf(target) !== workspace;
    if (!target.startsWith('@gatehouse/')) return false;
    const name = target.split('/').slice(0, 2).join('/');
    if (isTest(file)) return name === '@gatehouse/server' || name === '@gatehouse/cli';
    return !(packageRules[workspace] ?? []).includes(name);
  });
  assert.deepEqual(wrong, []);
});

test('a module of the server imports only modules below it, and only through their front door', () => {
  const wrong = imports.filter(({ file, target }) => {
    const from = serverModuleOf(file);
    const to = serverModuleOf(target);
    if (!from || !to || from === to) return false;
    const goesUp = serverModules.indexOf(to) < serverModules.indexOf(from);
    const aroundTheDoor = !/\/(modules\/)?[a-z-]+\/index\.ts$/.test(target);
    return !isTest(file) && (goesUp || aroundTheDoor);
  });
  assert.deepEqual(wrong, []);
});

test('nothing but the wiring imports the wiring', () => {
  const wiring = /^apps\/server\/src\/(app|main|run|import-reuni)\.ts$/;
  const wrong = imports.filter(({ file, target }) => wiring.test(target) && !wiring.test(file) && !isTest(file));
  assert.deepEqual(wrong, []);
});

test('no statement names a table of another module', () => {
  const modules = serverModules.filter((one) => one !== 'kernel');
  const wrong = files
    .filter((file) => serverModuleOf(file) && !isTest(file))
    .flatMap((file) => {
      const own = serverModuleOf(file);
      const text = read(file).replaceAll(/^\s*(\*|\/\/|\/\*\*).*$/gm, '');
      return modules
        .filter((module) => module !== own)
        .filter((module) =>
          new RegExp(`(from|into|update|join|Table|From|Into)\\s*\\(?\\s*'?${module}\\.[a-z_]+`).test(text),
        )
        .map((module) => `${file} names ${module}'s tables`);
    });
  assert.deepEqual(wrong, []);
});

test('time, chance and the environment are read in the kernel and the settings only', () => {
  const allowed =
    /^(apps\/server\/src\/(kernel\/|config\.ts|main\.ts|run\.ts|import-reuni\.ts)|packages\/(postgres|testkit|sdk)\/|packages\/crypto\/src\/random\.ts|apps\/cli\/|examples\/)/;
  const sources =
    /\b(Date\.now\(|new Date\(\)|Math\.random\(|process\.env\b|getRandomValues\()|import \{[^}]*\b(randomBytes|randomUUID|randomInt)\b[^}]*\} from 'node:crypto'/g;
  const wrong = files
    .filter((file) => !allowed.test(file) && !isTest(file))
    .flatMap((file) => [...read(file).matchAll(sources)].map((match) => `${file}: ${match[0]}`));
  assert.deepEqual(wrong, []);
});
