import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentOf, environmentProblems, ownEnvironment, sameEnvironment } from './environment.ts';

test('our own environment goes on without what is meant for us', () => {
  const own = {
    PATH: '/bin',
    GATEHOUSE_TOKEN: 't',
    GATEHOUSE_ENROLMENT_TOKEN: 't',
    GATEHOUSE_SERVICE_TOKEN_FILE: '/f',
    GATEHOUSE_ADMIN_PASSWORD: 'p',
    GATEHOUSE_RUN_ID: 'outer',
    GATEHOUSE_URL: 'https://id.example.com',
    UNSET: undefined,
  };
  assert.deepEqual(ownEnvironment(own), { PATH: '/bin', GATEHOUSE_URL: 'https://id.example.com' });
});

test('strings as they are, other values as JSON, later namespaces over earlier ones', () => {
  const environment = environmentOf({ PATH: '/bin', KEPT: 'own' }, [
    { A: 'text "with" = everything\n', B: 5432, C: true, D: null, E: ['x', { y: 1 }], F: '' },
    { B: 'later', PATH: '/opt/bin' },
  ]);
  assert.deepEqual(environment, {
    PATH: '/opt/bin',
    KEPT: 'own',
    A: 'text "with" = everything\n',
    B: 'later',
    C: 'true',
    D: 'null',
    E: '["x",{"y":1}]',
    F: '',
  });
});

test('what cannot be a variable is named, its value is not', () => {
  const problems = environmentProblems({
    GOOD_1: 'x',
    _also: 'x',
    'db.host': 'canary',
    '1ST': 'canary',
    'A=B': 'canary',
    né: 'canary',
    ZERO: 'canary\0',
    LONG: 'c'.repeat(131_071),
    FITS: 'c'.repeat(131_071 - 'FITS='.length),
    GATEHOUSE_RUN_ID: 'canary',
  });
  assert.deepEqual(
    problems.map((problem) => /"([^"]*)"/.exec(problem)?.[1]),
    ['db.host', '1ST', 'A=B', 'né', 'ZERO', 'LONG', 'GATEHOUSE_RUN_ID'],
  );
  assert.ok(!problems.join().includes('canary') && !problems.join().includes('ccc'));
});

test('an environment that a program would not tell from another needs no restart', () => {
  assert.ok(sameEnvironment({ A: '1', B: '2' }, { B: '2', A: '1' }));
  assert.ok(!sameEnvironment({ A: '1' }, { A: '1', B: '2' }));
  assert.ok(!sameEnvironment({ A: '1', B: '2' }, { A: '1' }));
  assert.ok(!sameEnvironment({ A: '1' }, { A: '2' }));
});
