import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readCheckpointKeys, verifyCheckpoint } from './checkpoint.ts';
import { verifyChain } from './verify-chain.ts';

/** The fenced blocks of the guide's example, in order. */
const guide = readFileSync(new URL('../../../../docs/guides/audit-format.md', import.meta.url), 'utf8');
const blocks = [...guide.slice(guide.indexOf('## Example')).matchAll(/```[a-z]+\n([\s\S]*?)\n```/g)].map(
  (block) => block[1] ?? '',
);
const [entries = '', hashInput = '', hash = '', keysText = '', header = '', payload = '', jws = '', jwsHash = ''] =
  blocks;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

async function* lines(): AsyncGenerator<string> {
  yield* entries.split('\n');
}

test('the example of the guide is true', async () => {
  assert.equal(blocks.length, 8);
  assert.equal(sha256(hashInput), hash);
  const second = entries.split('\n')[1] ?? '';
  assert.equal(second.replace(`"hash":"${hash}",`, ''), hashInput);
  assert.equal(sha256(jws), jwsHash);
  const [headerPart = '', payloadPart = ''] = jws.split('.');
  assert.equal(Buffer.from(headerPart, 'base64url').toString(), header);
  assert.equal(Buffer.from(payloadPart, 'base64url').toString(), payload);
});

test('the verifier accepts the example of the guide', async () => {
  const keys = readCheckpointKeys(keysText);
  assert.notEqual(typeof (await verifyCheckpoint(jws, keys)), 'string');
  const result = await verifyChain(lines(), { checkpoints: [jws], keys });
  assert.deepEqual(
    { ok: result.ok, count: result.count, head: result.head.hash, covered: result.lastCheckpoint?.sequence },
    { ok: true, count: 2, head: hash, covered: 2 },
  );
});
