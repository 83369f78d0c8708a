import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson, type JsonObject } from '@gatehouse/crypto';
import fc from 'fast-check';
import { buildChain, createSigner, exported, reseal, seal } from './chain-fixture.ts';
import { readCheckpointKeys } from './checkpoint.ts';
import { linesOf } from './lines.ts';
import type { ProblemKind } from './problem.ts';
import { verifyChain } from './verify-chain.ts';

const signer = createSigner();
const { keys } = signer;
const whole = buildChain(12);
const statements = signer.checkpoints(whole, [4, 8, 12]);

const verify = (entries: readonly (JsonObject | string)[], checkpoints: readonly string[] = []) =>
  verifyChain(exported(entries), { checkpoints, keys });
const swap = (entries: readonly JsonObject[], a: number, b: number) =>
  entries.with(a, entries[b] ?? {}).with(b, entries[a] ?? {});
const withText = (entry: JsonObject | undefined, text: string): JsonObject => ({ ...entry, details: { text } });

test('a whole chain holds, with and without checkpoints', async () => {
  const bare = await verify(whole);
  assert.equal(bare.ok, true);
  assert.deepEqual(bare.head, { sequence: 12, hash: whole[11]?.['hash'] });
  const signed = await verify(whole, statements);
  assert.equal(signed.ok, true);
  assert.equal(signed.checkpoints, 3);
  assert.equal(signed.lastCheckpoint?.sequence, 12);
  assert.equal((await verify([])).ok, true);
  const tail = await verify(buildChain(14).slice(0, 14), statements.slice(0, 2));
  assert.equal(tail.ok, true);
});

const tamperings: [name: string, entries: readonly (JsonObject | string)[], sequence: number, kind: ProblemKind][] = [
  ['a changed detail', whole.with(4, withText(whole[4], 'other')), 5, 'changed'],
  [
    'a changed detail with its own hash made anew',
    whole.with(4, seal(withText(whole[4], 'x'), 5, whole[3]?.['hash'] as string)),
    5,
    'changed',
  ],
  ['the last entry changed', whole.with(11, withText(whole[11], 'other')), 12, 'changed'],
  ['a changed hash', whole.with(4, { ...whole[4], hash: 'a'.repeat(64) }), 5, 'changed'],
  ['a changed previous_hash', whole.with(4, { ...whole[4], previous_hash: 'a'.repeat(64) }), 5, 'changed'],
  ['a changed sequence', whole.with(4, { ...whole[4], sequence: 7 }), 5, 'changed'],
  ['a first entry with a past', [seal(whole[0] ?? {}, 1, 'a'.repeat(64)), ...whole.slice(1)], 1, 'changed'],
  ['a line that is not JSON', whole.with(4, 'entry five' as never), 5, 'changed'],
  ['a line with spaces', whole.with(4, ` ${canonicalJson(whole[4])}` as never), 5, 'changed'],
  [
    'a line with another spelling',
    whole.with(4, canonicalJson(whole[4]).replace('acme', '\\u0061cme') as never),
    5,
    'changed',
  ],
  [
    'a line with a member twice',
    whole.with(4, canonicalJson(whole[4]).replace('{', '{"action":"x",') as never),
    5,
    'changed',
  ],
  ['an empty line', [...whole.slice(0, 4), '', ...whole.slice(4)], 5, 'changed'],
  ['an unknown version', whole.with(4, { ...whole[4], version: 2 }), 5, 'changed'],
  ['an entry removed', whole.toSpliced(4, 1), 5, 'removed'],
  ['several entries removed', whole.toSpliced(4, 3), 5, 'removed'],
  ['the first entry removed', whole.slice(1), 1, 'removed'],
  [
    'an entry removed and the rest renumbered',
    whole.toSpliced(4, 1).map((entry, index) => ({ ...entry, sequence: index + 1 })),
    5,
    'removed',
  ],
  ['two neighbours swapped', swap(whole, 4, 5), 5, 'reordered'],
  ['two distant entries swapped', swap(whole, 2, 9), 3, 'reordered'],
  [
    'two entries swapped and their sequences with them',
    swap(whole, 4, 7).map((entry, index) => ({ ...entry, sequence: index + 1 })),
    5,
    'reordered',
  ],
  [
    'two contents swapped under the hashes of their places',
    swap(whole, 4, 7).map(
      (entry, index) =>
        ({
          ...entry,
          sequence: index + 1,
          previous_hash: whole[index]?.['previous_hash'],
          hash: whole[index]?.['hash'],
        }) as JsonObject,
    ),
    5,
    'reordered',
  ],
  ['an entry twice', whole.toSpliced(5, 0, whole[4] ?? {}), 6, 'reordered'],
  ['the last entry twice', [...whole, whole[11] ?? {}], 13, 'reordered'],
];

for (const [name, entries, sequence, kind] of tamperings) {
  test(`${name} is named`, async () => {
    const { ok, firstProblem, count } = await verify(entries);
    assert.equal(ok, false);
    assert.deepEqual(
      { sequence: firstProblem?.sequence, kind: firstProblem?.kind },
      { sequence, kind },
      firstProblem?.text,
    );
    assert.ok(count <= sequence);
  });
}

test('an entry rewritten together with all hashes after it contradicts the next checkpoint', async () => {
  const forged = reseal(whole.with(5, withText(whole[5], 'innocent')));
  assert.equal((await verify(forged)).ok, true, 'hashes alone cannot show it');
  const { firstProblem, count } = await verify(forged, statements);
  assert.deepEqual([firstProblem?.kind, firstProblem?.sequence, count], ['checkpoint_mismatch', 8, 7]);
  assert.match(firstProblem?.text ?? '', /from 5 to 8/);
});

test('a tail that was cut off is shown by the checkpoints, or by one that was kept elsewhere', async () => {
  const cut = whole.slice(0, 9);
  const byList = await verify(cut, statements);
  assert.deepEqual([byList.firstProblem?.kind, byList.firstProblem?.sequence], ['truncated', 10]);
  assert.equal((await verify(cut, statements.slice(0, 2))).ok, true, 'both cut off: nothing left to see');
  const earlierCheckpoint = { jws: statements[2] ?? '', keys };
  const byKept = await verifyChain(exported(cut), { checkpoints: statements.slice(0, 2), keys, earlierCheckpoint });
  assert.deepEqual([byKept.firstProblem?.kind, byKept.firstProblem?.sequence], ['truncated', 10]);
  assert.match(byKept.firstProblem?.text ?? '', /signed over 12 entries/);
  const whenWhole = await verifyChain(exported(whole), { checkpoints: statements, keys, earlierCheckpoint });
  assert.equal(whenWhole.ok, true);
});

test('a chain and its checkpoints made anew by another key contradict a checkpoint that was kept elsewhere', async () => {
  const attacker = createSigner('attackers-key');
  const forged = reseal(whole.with(5, withText(whole[5], 'innocent')));
  const { firstProblem } = await verifyChain(exported(forged), {
    checkpoints: attacker.checkpoints(forged, [4, 8, 12]),
    keys: attacker.keys,
    earlierCheckpoint: { jws: statements[1] ?? '', keys },
  });
  assert.deepEqual([firstProblem?.kind, firstProblem?.sequence], ['checkpoint_mismatch', 8]);
  const unpinned = await verifyChain(exported(whole), { checkpoints: attacker.checkpoints(whole, [4]), keys });
  assert.deepEqual([unpinned.firstProblem?.kind, unpinned.firstProblem?.sequence], ['bad_signature', 1]);
});

test('checkpoints that are forged, left out or in another order are refused', async () => {
  const [one = '', two = '', three = ''] = statements;
  const badSignature = `${two.slice(0, -8)}${two.at(-8) === 'A' ? 'B' : 'A'}${two.slice(-7)}`;
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${two.split('.')[1]}.`;
  const otherUse = signer.signPayload(payloadOf(two), 'at+jwt');
  const notACheckpoint = signer.signPayload({ type: 'something else', version: 1 });
  const cases: [string[], ProblemKind, number][] = [
    [[one, badSignature, three], 'bad_signature', 5],
    [[one, none, three], 'bad_signature', 5],
    [[one, otherUse, three], 'bad_signature', 5],
    [[one, notACheckpoint], 'bad_signature', 5],
    [['not a token'], 'bad_signature', 1],
    [[one, three], 'checkpoint_mismatch', 5],
    [[two, three], 'checkpoint_mismatch', 1],
    [[one, one], 'checkpoint_mismatch', 5],
    [[one, ...signer.checkpoints(whole, [5, 6]).slice(1)], 'checkpoint_mismatch', 5],
  ];
  for (const [checkpoints, kind, sequence] of cases) {
    const { firstProblem } = await verify(whole, checkpoints);
    assert.deepEqual([firstProblem?.kind, firstProblem?.sequence], [kind, sequence], firstProblem?.text);
  }
});

test('checkpoints verify with keys that signed before and after a rotation', async () => {
  const next = createSigner('audit-key-2');
  const jws = signer.checkpoints(whole, [4])[0] ?? '';
  assert.equal(
    (await verifyChain(exported(whole), { checkpoints: [jws], keys: new Map([...next.keys, ...keys]) })).ok,
    true,
  );
  assert.equal(
    (await verifyChain(exported(whole), { checkpoints: [jws], keys: next.keys })).firstProblem?.kind,
    'bad_signature',
  );
});

test('a revoked key vouches for nothing by itself, and a later checkpoint vouches for what it signed', async () => {
  const next = createSigner('audit-key-2');
  const revoked = readCheckpointKeys({ keys: [{ ...signer.jwk, revoked: { revoked_at: 1_767_225_600 } }, next.jwk] });
  const [one = '', two = '', three = ''] = statements;
  const alone = await verifyChain(exported(whole), { checkpoints: [one, two], keys: revoked });
  assert.deepEqual([alone.ok, alone.checkpoints, alone.lastCheckpoint], [true, 2, undefined]);
  const renewed = next.signPayload(payloadOf(three));
  const followed = await verifyChain(exported(whole), { checkpoints: [one, two, renewed], keys: revoked });
  assert.deepEqual([followed.ok, followed.lastCheckpoint?.sequence], [true, 12]);
});

test('the sources are closed when a problem ends the reading early', async () => {
  const closed: string[] = [];
  async function* source(name: string, lines: AsyncIterable<string>): AsyncGenerator<string> {
    try {
      yield* lines;
    } finally {
      closed.push(name);
    }
  }
  const checkpoints = source('checkpoints', exported([statements[0] ?? '', 'not a token', statements[2] ?? '']));
  const { firstProblem } = await verifyChain(source('entries', exported(whole)), { checkpoints, keys });
  assert.equal(firstProblem?.kind, 'bad_signature');
  assert.deepEqual(closed.sort(), ['checkpoints', 'entries']);
});

test('any change to one character of any line is detected, and names that entry or its neighbour', async () => {
  const lines = whole.map((entry) => canonicalJson(entry));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(lines.length - 1),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.constantFrom('delete', 'replace', 'insert'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      async (index, where, how, character) => {
        const line = lines[index] ?? '';
        const at = Math.floor(where * line.length);
        const changed =
          line.slice(0, at) + (how === 'delete' ? '' : character) + line.slice(how === 'insert' ? at : at + 1);
        fc.pre(changed !== line && !changed.includes('\n'));
        const { ok, firstProblem } = await verify(lines.with(index, changed));
        assert.equal(ok, false);
        assert.equal(firstProblem?.sequence, index + 1);
      },
    ),
    { numRuns: 300 },
  );
});

test('any order of the lines but the true one is detected at the first line out of place', async () => {
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray(whole, { minLength: 1 }), async (entries) => {
      const first = entries.findIndex((entry, index) => entry !== whole[index]);
      const { ok, firstProblem } = await verify(entries);
      assert.equal(ok, first === -1);
      if (first !== -1) assert.equal(firstProblem?.sequence, first + 1);
    }),
    { numRuns: 200 },
  );
});

test('lines come out of any cutting of the bytes, and bytes that are not UTF-8 are no line', async () => {
  const bytes = Buffer.from('größe\n\n日本\nlast');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 5 }), async (cuts) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const chunks = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
      assert.deepEqual(await collect(linesOf(stream(chunks))), ['größe', '', '日本', 'last']);
    }),
  );
  assert.deepEqual(await collect(linesOf(stream([Buffer.from([0x61, 0xff, 0x0a, 0x62, 0x0a])]))), ['\ufffd', 'b']);
});

function payloadOf(jws: string): JsonObject {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
}

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const collected: string[] = [];
  for await (const line of lines) collected.push(line);
  return collected;
}
