/** The whole journey, step by step. Each step says what it does, shows what travelled, and fails if it was not so. */
import { createHash } from 'node:crypto';
import { sealTo } from '@gatehouse/sdk';
import { call, check, jsonBody, type ListedFile, signIn, type Tokens, upload } from './client.ts';
import { auditEntries, kidsAt, linesOf, until } from './look-up.ts';
import { decodedPart, hexDump, type Report, shortened } from './report.ts';
import type { World } from './world.ts';

/** A document to upload. */
export interface Document {
  name: string;
  bytes: Buffer;
}

interface Uploaded extends Document {
  id: string;
}

/** Walks the journey. Rejects with `NotAsTold` at the first thing that is not as told. */
export async function walk(world: World, report: Report, documents: readonly Document[]): Promise<void> {
  const alice = await signInSealed(world, report);
  const files = await uploadSealed(world, report, alice, documents);
  const bob = await readBack(world, report, alice, files);
  await showStored(world, report, files, bob);
  const later = await rotateKeys(world, report, alice, files);
  await suspend(world, report, later, bob, files);
  await destroy(world, report, files);
  await showAudit(world, report);
}

async function signInSealed(world: World, report: Report): Promise<Tokens> {
  report.step('Alice signs in. Her password leaves her client only sealed to the server’s key.');
  const pop = (await call(`${world.gatehouseUrl}/pop`)).json<{ keys: { kid: string; use: string; alg: string }[] }>();
  check(
    pop.keys.some((key) => key.use === 'enc'),
    'the server publishes no encryption key at /pop',
  );
  check(!/"(d|p|q|k)":/.test(JSON.stringify(pop)), 'the server publishes private parts of its keys');
  report.show('GET /pop', pop.keys.map((key) => `${key.use} ${key.alg} ${key.kid.slice(0, 8)}…`).join(', '));
  const credentials = await sealTo(pop, { username: 'alice', password: world.password('alice') });
  report.show('sealed credentials', `${shortened(credentials)} ${JSON.stringify(decodedPart(credentials, 0))}`);
  const answer = await call(`${world.gatehouseUrl}/v1/sessions`, jsonBody({ credentials, audience: ['acme.records'] }));
  check([200, 201].includes(answer.status), `the sign-in was answered ${answer.status}: ${answer.bytes.toString()}`);
  const tokens = answer.json<Tokens>();
  const [header, claims] = [decodedPart(tokens.access_token, 0), decodedPart(tokens.access_token, 1)];
  check(header.typ === 'at+jwt' && header.alg === 'ES256', 'the access token is not an ES256 at+jwt');
  check(claims.org === 'acme', 'the access token does not name the organization');
  report.show('access token', `${shortened(tokens.access_token)} ${JSON.stringify(header)}`);
  report.show('it says', JSON.stringify({ ...claims, jti: '…', sid: '…' }));
  report.show('refresh token', `${tokens.refresh_token.length} characters, of no meaning to anybody but the server`);
  const wrong = await call(
    `${world.gatehouseUrl}/v1/sessions`,
    jsonBody({ username: 'alice', password: 'a wrong one' }),
  );
  check(wrong.status === 401, `a wrong password was answered ${wrong.status}`);
  report.good('Alice is signed in; a wrong password is refused.');
  return tokens;
}

async function uploadSealed(
  world: World,
  report: Report,
  alice: Tokens,
  documents: readonly Document[],
): Promise<Uploaded[]> {
  report.step('She uploads her files to the records service, each sealed to that service’s own key.');
  const uploaded: Uploaded[] = [];
  for (const document of documents) {
    const { answer, sealed } = await upload(world.recordsUrl, alice.access_token, document);
    check(answer.status === 201, `${document.name} was answered ${answer.status}: ${answer.bytes.toString()}`);
    const { id } = answer.json<ListedFile>();
    uploaded.push({ ...document, id });
    report.show(
      document.name,
      `${document.bytes.length} bytes, sent as ${shortened(sealed)}, kept as ${id.slice(0, 13)}…`,
    );
  }
  const plain = await call(`${world.recordsUrl}/files`, { method: 'POST', body: 'x' });
  check(plain.status === 401, `an upload without a token was answered ${plain.status}`);
  report.good('All are stored; an upload without a token is refused.');

  report.step('For each, the service verified her token by itself and asked the server for her secret.');
  const released = (await auditEntries(world)).filter((entry) => entry.action === 'secret.released');
  check(released.length >= documents.length, `${released.length} releases are recorded for ${documents.length} files`);
  const keys = (await call(`${world.recordsUrl}/pop`)).json<{ keys: { kid: string }[] }>().keys;
  const ours = keys[0]?.kid ?? '';
  check(JSON.stringify(released).includes(ours), 'no release names the key of the records service');
  report.say('POST /oauth/token with the token exchange of RFC 8693; the answer was her secret, sealed to the key');
  report.say(`${ours} that the server had fetched from ${world.recordsUrl}/pop.`);
  report.good(`The server recorded ${released.length} releases, each with user, service and key.`);
  return uploaded;
}

async function readBack(world: World, report: Report, alice: Tokens, files: readonly Uploaded[]): Promise<Tokens> {
  report.step('She reads them back. Bob, of the same organization, sees and opens nothing.');
  const listed = (await call(`${world.recordsUrl}/files`, { token: alice.access_token })).json<{
    items: ListedFile[];
  }>();
  check(listed.items.length === files.length, `her list has ${listed.items.length} files`);
  for (const file of files) await assertSame(world, alice.access_token, file);
  report.good(`All ${files.length} files are byte for byte what she sent.`);

  const plain = jsonBody({ username: 'bob', password: world.password('bob') });
  const session = await call(`${world.gatehouseUrl}/v1/sessions`, plain);
  check([200, 201].includes(session.status), `Bob could not sign in with plain JSON: ${session.bytes.toString()}`);
  const bob = session.json<Tokens>();
  report.say('Bob signs in too (with plain JSON: that works as well).');
  const own = (await call(`${world.recordsUrl}/files`, { token: bob.access_token })).json<{ items: ListedFile[] }>();
  check(own.items.length === 0, 'Bob sees files');
  const [first] = files;
  check(first, 'there is no file');
  const foreign = await call(`${world.recordsUrl}/files/${first.id}`, { token: bob.access_token });
  check(foreign.status === 404, `Bob asked for her file and was answered ${foreign.status}`);
  report.good('Bob’s list is empty, and her file does not exist for him (404).');

  const { sub: bobId } = decodedPart(bob.access_token, 1);
  const { sub: aliceId } = decodedPart(alice.access_token, 1);
  world.changeOwner(first.id, String(bobId));
  const stolen = await call(`${world.recordsUrl}/files/${first.id}`, { token: bob.access_token });
  world.changeOwner(first.id, String(aliceId));
  check(stolen.status === 410, `the file under Bob’s name was answered ${stolen.status}`);
  report.good('Even with its row put under his name in the database, his secret does not open it (410).');
  return bob;
}

async function showStored(world: World, report: Report, files: readonly Uploaded[], bob: Tokens): Promise<void> {
  report.step('What the two programs have stored cannot be read.');
  const largest = files.toSorted((a, b) => b.bytes.length - a.bytes.length)[0];
  check(largest, 'there is no file');
  const stored = Buffer.from(await world.storedBytes(largest.id));
  report.say(`The records service keeps ${largest.name} as:`);
  report.lines(hexDump(stored));
  for (const file of files) {
    const bytes = Buffer.from(await world.storedBytes(file.id));
    // 24 bytes in a row of the original, from 50 places in it: a readable part would show.
    const step = Math.max(1, Math.floor(file.bytes.length / 50));
    for (let at = 0; at + 24 <= file.bytes.length; at += step) {
      check(!bytes.includes(file.bytes.subarray(at, at + 24)), `${file.name} is stored readable`);
    }
  }
  const rows = await world.query<{ id: string; subject: string; sealed: Buffer }>(
    'select id, subject, sealed from secrets.user_secrets order by created_at',
  );
  const ids = rows.map((row) => row.subject);
  check(ids.includes(String(decodedPart(bob.access_token, 1).sub)), 'Bob has no secret of his own');
  check(rows.length === 2, `there are ${rows.length} user secrets`);
  for (const row of rows) {
    report.say(`The server keeps the secret of user ${row.subject} as:`);
    report.lines(hexDump(row.sealed));
  }
  check(!rows[0]?.sealed.equals(rows[1]?.sealed ?? Buffer.alloc(0)), 'two users have one secret');
  report.good('No part of any file is to be found in what is stored, and every user has a secret of their own.');
}

async function rotateKeys(world: World, report: Report, alice: Tokens, files: readonly Uploaded[]): Promise<Tokens> {
  report.step('While she goes on reading, the keys of both sides are replaced.');
  const [file] = files;
  check(file, 'there is no file');
  // The first key of a set is the one that is sealed to.
  const inUse = async () =>
    Promise.all([world.gatehouseUrl, world.recordsUrl].map(async (url) => (await kidsAt(`${url}/pop`))[0]));
  const before = await inUse();
  const sealedBefore = await sealTo(`${world.gatehouseUrl}/pop`, {
    username: 'alice',
    password: world.password('alice'),
  });
  const enough = new AbortController();
  let reads = 0;
  const readAll = async () => {
    while (!enough.signal.aborted) {
      await assertSame(world, alice.access_token, file);
      reads += 1;
    }
  };
  const background = readAll();
  // A failure in the background is reported when it is awaited below, not as an unhandled rejection.
  background.catch(() => undefined);
  try {
    for (const keyring of ['tokens-es256', 'pop']) {
      const { exitCode, output } = await world.cli('keys', 'rotate', keyring, '--force');
      check(exitCode === 0, `gatehouse keys rotate ${keyring}: ${output}`);
      report.say(`gatehouse keys rotate ${keyring} --force: ${output.trim().split('\n').at(-1)}`);
    }
    await world.rotateRecordsKeys();
    await until('both sides publish new keys', async () => (await inUse()).every((kid) => !before.includes(kid)));
    const readsThen = reads;
    await until('she reads on', async () => reads > readsThen + 3);
  } finally {
    enough.abort();
  }
  await background;
  report.good(
    `The records service’s keys are new too. ${reads} reads in the meantime, with the old token: none failed.`,
  );
  const old = await call(`${world.gatehouseUrl}/v1/sessions`, jsonBody({ credentials: sealedBefore }));
  check([200, 201].includes(old.status), `credentials sealed to the old key were answered ${old.status}`);
  const tokens = await signIn(world.gatehouseUrl, 'alice', world.password('alice'), ['acme.records']);
  const [oldKid, newKid] = [alice, tokens].map((each) => decodedPart(each.access_token, 0).kid);
  check(oldKid !== newKid, 'new tokens are signed with the old key');
  for (const each of files) await assertSame(world, tokens.access_token, each);
  const { answer } = await upload(world.recordsUrl, tokens.access_token, {
    name: 'after.txt',
    bytes: Buffer.from('new'),
  });
  check(answer.status === 201, `an upload after the rotation was answered ${answer.status}`);
  report.good('What was sealed to the old keys still opens, new tokens carry the new key, all old files open.');
  return tokens;
}

async function suspend(
  world: World,
  report: Report,
  alice: Tokens,
  bob: Tokens,
  files: readonly Uploaded[],
): Promise<void> {
  report.step('Alice is suspended: one switch, and refresh and secret release are refused at once.');
  const [file] = files;
  check(file, 'there is no file');
  const suspended = await world.cli('--organization', 'acme', 'users', 'suspend', 'alice');
  check(suspended.exitCode === 0, `gatehouse users suspend: ${suspended.output}`);
  report.say(`gatehouse users suspend alice: ${suspended.output.trim()}`);
  const refresh = jsonBody({ refresh_token: alice.refresh_token });
  const refreshed = await call(`${world.gatehouseUrl}/v1/sessions/refresh`, refresh);
  check(refreshed.status >= 400 && refreshed.status < 500, `her refresh token was answered ${refreshed.status}`);
  const read = await call(`${world.recordsUrl}/files/${file.id}`, { token: alice.access_token });
  check(read.status === 403, `her read was answered ${read.status}: ${read.bytes.toString().slice(0, 200)}`);
  const again = jsonBody({ username: 'alice', password: world.password('alice') });
  const signedIn = await call(`${world.gatehouseUrl}/v1/sessions`, again);
  check(signedIn.status === 401, `her sign-in was answered ${signedIn.status}`);
  report.good(`Refresh ${refreshed.status}, reading a file ${read.status}, signing in again ${signedIn.status}.`);
  const others = await call(`${world.recordsUrl}/files`, { token: bob.access_token });
  check(others.status === 200, `Bob was answered ${others.status}`);
  const restored = await world.cli('--organization', 'acme', 'users', 'restore', 'alice');
  check(restored.exitCode === 0, `gatehouse users restore: ${restored.output}`);
  const back = await signIn(world.gatehouseUrl, 'alice', world.password('alice'), ['acme.records']);
  await assertSame(world, back.access_token, file);
  report.good('Bob noticed nothing. Restored, she signs in and reads as before.');
}

async function destroy(world: World, report: Report, files: readonly Uploaded[]): Promise<void> {
  report.step('Her secret is destroyed: what was encrypted under it is unreadable for good.');
  const alice = await signIn(world.gatehouseUrl, 'alice', world.password('alice'), ['acme.records']);
  const subject = String(decodedPart(alice.access_token, 1).sub);
  const [row] = await world.query<{ id: string }>('select id from secrets.user_secrets where subject = $1', [subject]);
  check(row, 'she has no secret');
  const command = ['secrets', 'destroy', row.id, '--delay-seconds', '0', '--reason', 'the demo', '--yes'];
  const destroyed = await world.cli('--organization', 'acme', ...command);
  check(destroyed.exitCode === 0, `gatehouse secrets destroy: ${destroyed.output}`);
  report.say(`gatehouse secrets destroy: ${destroyed.output.trim()}`);
  const [left] = await world.query<{ status: string; sealed: Buffer | null }>(
    'select status, sealed from secrets.user_secrets where id = $1',
    [row.id],
  );
  check(left?.status === 'destroyed' && left.sealed === null, 'the row still holds a secret');
  for (const file of files) {
    const read = await call(`${world.recordsUrl}/files/${file.id}`, { token: alice.access_token });
    check(read.status === 403 || read.status === 410, `${file.name} was answered ${read.status}`);
  }
  const restored = await world.cli('--organization', 'acme', 'secrets', 'restore', row.id);
  check(restored.exitCode !== 0, 'a destroyed secret could be restored');
  report.good(`The row is empty, none of her ${files.length} files opens, and it cannot be taken back.`);
}

async function showAudit(world: World, report: Report): Promise<void> {
  report.step('All of it is in one audit trail, and the trail is whole.');
  await until('all entries are sealed', async () => (await auditEntries(world)).every((entry) => entry.sequence));
  const entries = (await auditEntries(world)).toReversed();
  report.lines(linesOf(entries));
  for (const action of ['session.created', 'secret.released', 'keys.rotated', 'user.suspended', 'secret.destroyed']) {
    check(
      entries.some((entry) => entry.action === action),
      `there is no entry ${action}`,
    );
  }
  const secrets = [world.password('alice'), world.password('bob'), world.password('operator')];
  check(!secrets.some((secret) => JSON.stringify(entries).includes(secret)), 'the audit trail holds a password');
  const verified = await world.cli('audit', 'verify');
  check(verified.exitCode === 0, `gatehouse audit verify: ${verified.output}`);
  report.good(
    `gatehouse audit verify: ${verified.output
      .trim()
      .split('\n')
      .find((line) => /whole/.test(line))}`,
  );
}

async function assertSame(world: World, token: string, file: Uploaded): Promise<void> {
  const answer = await call(`${world.recordsUrl}/files/${file.id}`, { token });
  check(answer.status === 200, `${file.name} was answered ${answer.status}: ${answer.bytes.toString().slice(0, 200)}`);
  const [got, sent] = [answer.bytes, file.bytes].map((bytes) => createHash('sha256').update(bytes).digest('hex'));
  check(got === sent, `${file.name} came back changed`);
}
