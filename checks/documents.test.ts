/** Documents that lie are worse than none: every path, script and error code they name must be there. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { errorTable } from '@gatehouse/contracts';
import { listFiles, read, root } from './files.ts';

const documents = listFiles(/\.md$/).filter((path) => !path.includes('/vectors/'));
const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts);

test('the documents that a reader expects are there', () => {
  for (const path of [
    'README.md',
    'ARCHITECTURE.md',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'GLOSSARY.md',
    'CHANGELOG.md',
    'LICENSE',
    'gatehouse.example.yaml',
    '.ci/run',
  ]) {
    assert.ok(existsSync(join(root, path)), path);
  }
  assert.ok(documents.length > 10);
});

test('each decision has a number of its own, in its name and in its title', () => {
  const decisions = documents.filter((path) => path.startsWith('docs/decisions/'));
  const numbers = decisions.map((path) => Number(/\/(\d{4})-/.exec(path)?.[1]));
  assert.equal(new Set(numbers).size, numbers.length);
  for (const [index, path] of decisions.entries())
    assert.match(read(path), new RegExp(`^# ${numbers[index]}\\. `), path);
});

test('links between documents lead somewhere', () => {
  const broken = documents.flatMap((path) =>
    [...read(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !existsSync(join(root, dirname(path), target)))
      .map((target) => `${path} → ${target}`),
  );
  assert.deepEqual(broken, []);
});

test('paths in code spans exist', () => {
  const broken = documents.flatMap((path) =>
    [...read(path).matchAll(/`((?:apps|packages|docs|checks|bench|examples|scripts|\.ci)\/[A-Za-z0-9_./-]+)`/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/\/dist(\/|$)/.test(target) && !existsSync(join(root, target)))
      .map((target) => `${path} → ${target}`),
  );
  assert.deepEqual(broken, []);
});

test('npm scripts that documents name exist', () => {
  const broken = documents.flatMap((path) =>
    [...read(path).matchAll(/npm run ([a-z][a-z:-]*)(?! -w)/g)]
      .map((match) => match[1] ?? '')
      .filter((script) => !scripts.includes(script) && script !== 'build')
      .map((script) => `${path} → npm run ${script}`),
  );
  assert.deepEqual(broken, []);
});

test('every error code is used, and the list in the guide is the table', () => {
  const code = listFiles(/^(apps|packages)\/.*\.ts$/)
    .filter((path) => path !== 'packages/contracts/src/errors.ts')
    .map(read)
    .join('\n');
  const unused = Object.keys(errorTable).filter((name) => !code.includes(`'${name}'`));
  assert.deepEqual(unused, []);
});

test('nothing points outside the repository or is left to do', () => {
  const marks = /\b(TODO|FIXME|XXX|HACK)\b/;
  const wrong = listFiles(/\.(ts|sql|md|ya?ml|sh)$|^\.ci\/run$/)
    .filter((path) => !path.includes('/vectors/') && path !== 'checks/documents.test.ts')
    .filter((path) => marks.test(read(path)) || /\.\.\/shared\b|\/work\//.test(read(path)));
  assert.deepEqual(wrong, []);
});
