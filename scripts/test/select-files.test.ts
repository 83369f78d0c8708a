import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { selectFiles } from './select-files.ts';

const root = await mkdtemp(join(tmpdir(), 'select-files-'));
after(() => rm(root, { recursive: true }));
const files = [
  'packages/a/src/one.test.ts',
  'packages/a/src/deep/two.test.ts',
  'packages/a/src/one.ts',
  'packages/a/test/three.test.ts',
  'packages/a/node_modules/b/src/other.test.ts',
  'apps/c/src/four.test.ts',
  'apps/c/journeys/five.test.ts',
  'apps/c/journeys/six.browser.test.ts',
  'checks/seven.test.ts',
];
for (const file of files) {
  await mkdir(dirname(join(root, file)), { recursive: true });
  await writeFile(join(root, file), '');
}

const everything = {
  units: [
    'apps/c/src/four.test.ts',
    'checks/seven.test.ts',
    'packages/a/src/deep/two.test.ts',
    'packages/a/src/one.test.ts',
    'packages/a/test/three.test.ts',
  ],
  journeys: ['apps/c/journeys/five.test.ts', 'apps/c/journeys/six.browser.test.ts'],
};

test('without paths: every test, journeys apart', async () => {
  assert.deepEqual(await selectFiles(root, [], { withoutBrowser: false }), everything);
});

test('without the browser: all but the tests in a browser', async () => {
  const { journeys } = await selectFiles(root, [], { withoutBrowser: true });
  assert.deepEqual(journeys, ['apps/c/journeys/five.test.ts']);
});

test('a file, a directory, a pattern', async () => {
  const select = (...paths: string[]) => selectFiles(root, paths, { withoutBrowser: false });
  assert.deepEqual(await select(join(root, 'checks/seven.test.ts')), { units: ['checks/seven.test.ts'], journeys: [] });
  assert.deepEqual((await select(join(root, 'packages/a/src'))).units, [
    'packages/a/src/deep/two.test.ts',
    'packages/a/src/one.test.ts',
  ]);
  assert.deepEqual(await select('apps/**/f*.test.ts'), {
    units: ['apps/c/src/four.test.ts'],
    journeys: ['apps/c/journeys/five.test.ts'],
  });
});

test('a path that matches nothing is an error, also beside one that does', async () => {
  const select = selectFiles(root, [join(root, 'checks'), 'packages/a/src/one.ts'], { withoutBrowser: false });
  await assert.rejects(select, /^Error: No test file matches packages\/a\/src\/one\.ts\.$/);
  await assert.rejects(
    selectFiles(root, [join(root, 'apps/c/journeys/six.browser.test.ts')], { withoutBrowser: true }),
    {
      message: 'There is no test to run.',
    },
  );
});
