import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgePassword, normalizePassword } from './password-policy.ts';

const context = ['alice.miller', 'acme'];

test('long passwords of any kind are taken', () => {
  for (const password of [
    'correct horse battery staple 42',
    'a very long password 1',
    'the cat sat on the mat',
    '猫は窓から海を見ていた、静かな朝に',
    'ünïcödé wörds fröm éverywhère',
    'x7Kq2mPz9LwR4tB',
    '🦊🌊🍇🚲🎻🧊🪁🐙🌵🍩🔭🧵🪐🎈🦉',
    `${'long sentence about nothing in particular '.repeat(5)}end`,
    'alice in wonderland drinks a lot of tea',
  ]) {
    assert.equal(judgePassword(password, context), undefined, password);
  }
});

test('short, common, repeated, sequential and context passwords are refused with the reason', () => {
  const refused: [string, RegExp][] = [
    ['fourteen chars', /fewer than 15/],
    ['🦊🌊🍇🚲🎻🧊🪁🐙🌵🍩🔭🧵🪐🎈', /fewer than 15/],
    ['passwordpassword', /common and breached/],
    ['PasswordPassword', /common and breached/],
    ['p@ssw0rdp@ssw0rd', /common and breached/],
    ['passwordpasswordpassword1', /common passwords, repetitions/],
    ['qwertyuiopasdfghjkl', /common/],
    ['aaaaaaaaaaaaaaaaaaaa', /repetitions/],
    ['abcabcabcabcabcabc', /repetitions/],
    ['123456789012345', /common/],
    ['letmein monkey dragon', /common passwords/],
    ['iloveyou12345678', /common passwords/],
    ['gatehouse gatehouse', /gatehouse/],
    ['alice.miller.2026', /user name/],
    ['Acme-Alice-Miller-1', /user name/],
    ['gatehouse-acme-password', /user name/],
    ['xy long words '.repeat(30), /longer than/],
    ['\ud800 not valid unicode at all', /not valid Unicode/],
  ];
  for (const [password, reason] of refused) {
    const verdict = judgePassword(password, context);
    assert.match(verdict?.rule ?? 'taken', reason, password);
    assert.ok(verdict?.fix);
  }
});

test('random passwords of the least length pass', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...Array.from('abcdefghijklmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789')), {
        minLength: 15,
        maxLength: 15,
      }),
      (characters) => {
        fc.pre(new Set(characters).size > 9);
        return judgePassword(characters.join(''), context) === undefined;
      },
    ),
    { numRuns: 300, seed: 7 },
  );
});

test('one password typed on two keyboards is one password', () => {
  assert.equal(normalizePassword('cafe\u0301 au lait'), normalizePassword('caf\u00e9 au lait'));
});
