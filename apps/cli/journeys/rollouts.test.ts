import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { operator, type ServerUnderTest, startServer } from './session.ts';
import { play } from './transcript.ts';

let server: ServerUnderTest;
before(async () => {
  server = await startServer();
  await server.gatehouse(`login --username ${operator.username} --password-file -`, {
    stdin: `${operator.password}\n`,
  });
  await writeFile(join(server.folder, 'gatehouse.yaml'), 'organizations: { acme: { services: { billing: {} } } }\n');
  for (const command of [
    'apply -f gatehouse.yaml',
    'config create acme.billing',
    'config set acme.billing GREETING=hello',
  ]) {
    const { code, stderr } = await server.gatehouse(command);
    assert.equal(code, 0, stderr);
  }
});
after(() => server.stop());

test('how a service takes new versions', async () => {
  await play(
    server,
    `
$ gatehouse rollouts policy acme.billing
acme.billing: 1 instance down at once, no canary, bake 0 s, lease 120 s, automatic rollback on
$ gatehouse rollouts policy acme.billing --max-unavailable 2 --canary 10 --bake 10m
acme.billing: 2 instances down at once, canary 10 %, bake 600 s, lease 120 s, automatic rollback on
$ gatehouse rollouts policy acme.billing --automatic-rollback off --lease 90s
acme.billing: 2 instances down at once, canary 10 %, bake 600 s, lease 90 s, automatic rollback off
$ gatehouse rollouts list acme.billing
1 | completed | none | TIME | TIME |
$ gatehouse rollouts show acme.billing
Version 1: completed
Instances: none
Stable version: 1
Policy: 2 instances down at once, canary 10 %, bake 600 s, lease 90 s, automatic rollback off
`,
  );
});

test('what cannot be is refused', async () => {
  for (const [command, code, says] of [
    ['rollouts stop acme.billing 1', 1, /The rollout of version 1 is not running: it is completed\./],
    ['rollouts resume acme.billing 1', 1, /is neither stopped nor failed: it is completed\./],
    ['rollouts show acme.billing 7', 1, /There is no rollout of version 7\./],
    ['rollouts policy acme.billing --bake 10', 2, /Use a time in whole seconds/],
    ['rollouts policy acme.billing --canary 101', 1, /canary_percent/],
    ['rollouts policy acme.billing --max-unavailable no', 2, /whole number/],
  ] as const) {
    const ended = await server.gatehouse(command);
    assert.equal(ended.code, code, `${command}: ${ended.stderr}`);
    assert.match(ended.stderr, says);
  }
});
