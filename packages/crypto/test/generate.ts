/**
 * Writes `vectors/gatehouse/*.json` and `vectors/ACCEPTED-DIFFERENCES.md`. Deterministic: running it
 * again changes nothing, and a test says so.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AcceptedDifferences, renderAcceptedDifferences } from './accepted-differences.ts';
import { edited, plaintextOf, type SealingVector, sha256, type UserDataVector } from './own-vectors.ts';
import { referenceSeal, referenceUserData } from './reference.ts';
import { readVectors } from './vector-cases.ts';

/** The generated files by path below `vectors/`. */
export function generatedFiles(): Record<string, string> {
  const differences = readVectors('accepted-differences.json') as unknown as AcceptedDifferences;
  return {
    'gatehouse/sealing.json': json({ format: 'gatehouse/sealed/1', vectors: sealingVectors() }),
    'gatehouse/user-data.json': json({ format: 'gatehouse/user-data/1', vectors: userDataVectors() }),
    'ACCEPTED-DIFFERENCES.md': renderAcceptedDifferences(differences),
  };
}

/** Bytes that look random and are the same in each run. */
function seeded(label: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(`gatehouse vectors: ${label}`).digest();
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function b64u(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function sealingVectors(): SealingVector[] {
  const key = seeded('key', 32);
  const place = { organization: 'acme', schema: 'secrets', table: 'user_secrets', rowId: 'row_1', owner: 'alice' };
  const placeJson =
    '{"organization":"acme","owner":"alice","row_id":"row_1","schema":"secrets","table":"user_secrets"}';
  const opens = (id: string, comment: string, plaintext: Uint8Array, keyId: string): SealingVector => {
    const nonce = seeded(`nonce ${id}`, 12);
    const sealed = b64u(referenceSeal(key, plaintext, placeJson, nonce, keyId));
    const bytes = { nonce: b64u(nonce), plaintext: b64u(plaintext) };
    return { id, comment, result: 'opens', key: b64u(key), place, sealed, keyId, ...bytes };
  };
  const good = opens('secret', 'A user secret of 32 bytes under a named key', seeded('secret', 32), 'dk_1');
  const bytes = Buffer.from(good.sealed, 'base64url');
  const refused = (id: string, comment: string, change: Partial<SealingVector>): SealingVector => ({
    id,
    comment,
    result: 'refused',
    key: good.key,
    place,
    sealed: good.sealed,
    ...change,
  });
  const flipped = (offset: number) => b64u(edited(bytes, [{ op: 'flip', offset }]));
  return [
    good,
    opens('empty', 'No plaintext at all', new Uint8Array(), 'dk_1'),
    opens('no-key-id', 'Without a key id', seeded('plain', 100), ''),
    opens('long-key-id', 'The longest key id', seeded('plain', 17), 'k'.repeat(64)),
    refused('other-key', 'Another key', { key: b64u(seeded('other key', 32)) }),
    ...(['organization', 'schema', 'table', 'rowId', 'owner'] as const).map((member) =>
      refused(`other-${member}`, `Moved: another ${member}`, { place: { ...place, [member]: 'other' } }),
    ),
    refused('swapped-members', 'Values of two members exchanged', {
      place: { ...place, schema: place.table, table: place.schema },
    }),
    refused('magic', 'First byte changed', { sealed: flipped(0) }),
    refused('version', 'Version 0', { sealed: flipped(3) }),
    refused('key-id-length', 'Length of the key id changed', { sealed: flipped(4) }),
    refused('key-id', 'Key id changed', { sealed: flipped(5) }),
    refused('nonce', 'Nonce changed', { sealed: flipped(9) }),
    refused('ciphertext', 'Ciphertext changed', { sealed: flipped(21) }),
    refused('tag', 'Last byte of the tag changed', { sealed: flipped(-1) }),
    refused('truncated', 'One byte missing', { sealed: b64u(bytes.subarray(0, -1)) }),
    refused('appended', 'One byte more', { sealed: b64u(Buffer.concat([bytes, Buffer.of(0)])) }),
    refused('header-only', 'Nothing after the header', { sealed: b64u(bytes.subarray(0, 9)) }),
    refused('nothing', 'No bytes', { sealed: '' }),
    refused('plain', 'Plaintext that was never sealed', { sealed: b64u(seeded('secret', 60)) }),
  ];
}

function userDataVectors(): UserDataVector[] {
  const context: UserDataVector['context'] = { user: 'alice', purpose: 'records/file' };
  const base = { secret: b64u(seeded('user secret', 32)), context };
  const make = (
    id: string,
    comment: string,
    plaintext: UserDataVector['plaintext'],
    more: Partial<UserDataVector> = {},
  ): UserDataVector => {
    const salt = seeded(`salt ${'pattern' in plaintext ? plaintext.pattern : plaintext.bytes}`, 32);
    const written: Pick<UserDataVector, 'secret' | 'context'> = { ...base, ...more };
    const { organization, purpose, user } = written.context;
    const middle = organization === undefined ? '' : `"organization":${JSON.stringify(organization)},`;
    const contextJson = `{"format":"gatehouse/user-data/1",${middle}"purpose":${JSON.stringify(purpose)},"user":${JSON.stringify(user)}}`;
    const secret = Buffer.from(written.secret, 'base64url');
    const bytes = referenceUserData(secret, plaintextOf(plaintext), contextJson, salt);
    const message = bytes.length < 1000 ? { bytes: b64u(bytes) } : { length: bytes.length, sha256: sha256(bytes) };
    return { id, comment, result: 'opens', ...base, salt: b64u(salt), plaintext, message, ...more };
  };
  const text = { bytes: b64u(Buffer.from('You shall not pass. Ünïcödé 🔐')) };
  const two = { pattern: 131_072 };
  const three = { pattern: 150_000 };
  const refused = (
    id: string,
    comment: string,
    plaintext: UserDataVector['plaintext'],
    more: Partial<UserDataVector>,
  ) => make(id, comment, plaintext, { result: 'refused', ...more });
  return [
    make('text', 'A short text', text),
    make('empty', 'No bytes: one empty last chunk', { bytes: '' }),
    make('organization', 'With an organization', text, { context: { ...context, organization: 'acme' } }),
    make('unicode', 'Context outside ASCII', text, { context: { user: 'ålice"\\\u2028', purpose: 'ärzte/brief' } }),
    make('chunk-minus-one', 'One byte less than a chunk', { pattern: 65_535 }),
    make('chunk', 'Exactly one chunk', { pattern: 65_536 }),
    make('chunk-plus-one', 'One byte more than a chunk', { pattern: 65_537 }),
    make('two-chunks', 'Exactly two chunks', two),
    make('three-chunks', 'Two full chunks and a short one', three),
    refused('other-secret', 'Another secret', text, { reader: { secret: b64u(seeded('another', 32)) } }),
    refused('other-user', 'Another user', text, { reader: { context: { ...context, user: 'bob' } } }),
    refused('other-purpose', 'Another purpose', text, { reader: { context: { ...context, purpose: 'records/note' } } }),
    refused('other-organization', 'An organization where none was', text, {
      reader: { context: { ...context, organization: 'acme' } },
    }),
    refused('exchanged', 'User and purpose exchanged', text, {
      reader: { context: { user: context.purpose, purpose: context.user } },
    }),
    refused('magic', 'Magic changed', text, { edits: [{ op: 'flip', offset: 0 }] }),
    refused('version', 'Version changed', text, { edits: [{ op: 'flip', offset: 3 }] }),
    refused('salt', 'Salt changed', text, { edits: [{ op: 'flip', offset: 4 }] }),
    refused('commitment', 'Commitment changed', text, { edits: [{ op: 'flip', offset: 36 }] }),
    refused('ciphertext', 'Ciphertext changed', text, { edits: [{ op: 'flip', offset: 68 }] }),
    refused('tag', 'Tag changed', text, { edits: [{ op: 'flip', offset: -1 }] }),
    refused('truncated', 'One byte missing', text, { edits: [{ op: 'truncate', bytes: 1 }] }),
    refused('appended', 'One byte more', text, { edits: [{ op: 'append', bytes: 1 }] }),
    refused('header-only', 'Nothing after the header', { bytes: '' }, { edits: [{ op: 'truncate', bytes: 16 }] }),
    refused('nothing', 'No bytes', { bytes: '' }, { edits: [{ op: 'truncate', bytes: 84 }] }),
    refused('last-chunk-missing', 'Cut exactly between chunks', three, { edits: [{ op: 'drop', chunk: 2 }] }),
    refused('middle-chunk-missing', 'A chunk left out', three, { edits: [{ op: 'drop', chunk: 1 }] }),
    refused('first-chunk-missing', 'The first chunk left out', three, { edits: [{ op: 'drop', chunk: 0 }] }),
    refused('swapped', 'Two chunks exchanged', three, { edits: [{ op: 'swap', chunks: [0, 1] }] }),
    refused('repeated', 'A chunk twice', three, { edits: [{ op: 'repeat', chunk: 1 }] }),
    refused('last-repeated', 'The last chunk twice', two, { edits: [{ op: 'repeat', chunk: 1 }] }),
    refused('last-truncated', 'A full last chunk cut to its tag', two, { edits: [{ op: 'truncate', bytes: 65_536 }] }),
    refused('chunk-appended', 'Zeros behind the last chunk', two, { edits: [{ op: 'append', bytes: 16 }] }),
  ];
}

if (import.meta.main) {
  const root = new URL('../vectors/', import.meta.url);
  mkdirSync(new URL('gatehouse/', root), { recursive: true });
  for (const [path, text] of Object.entries(generatedFiles())) writeFileSync(new URL(path, root), text);
}
