/**
 * Writes `vectors/bundles.json`: bundles, secrets beside them, and what an agent makes of each. Made anew only when the
 * format changes (`npm run generate -w @gatehouse/configuration`): signatures and salts differ each time.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { encodeBase64Url, generateKeyPair, importSigningKey, publicJwkOf, signCompactJws } from '@gatehouse/crypto';
import { type BundlePayload, bundleHash, bundleType, contentHash, secretFingerprint } from '../src/bundle.ts';
import type { BundleRefusal } from '../src/verify-bundle.ts';

const [own, foreign] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')]);
const expected = {
  issuer: 'https://id.example.com',
  organization: 'acme',
  service: 'billing',
  namespace: 'default',
  version: 7,
  agent: 'agt_1',
};
const salt = randomBytes(32);
const secret = { password: 'correct horse', tries: 3 };
const configuration = {
  HOST: 'db.internal',
  PORT: 5432,
  RATIO: 0.1,
  NAME: 'Prüfung – 日本',
  NOTHING: null,
  LIST: [1, { x: true }],
  PASS: { $secret: { fingerprint: secretFingerprint(salt, secret) } },
};
const secretsOf = (change: object = {}, value: unknown = secret) => ({
  agent: expected.agent,
  service: 'billing',
  namespace: 'default',
  version: 7,
  values: { PASS: { salt: encodeBase64Url(salt), value } },
  ...change,
});

function payloadOf(change: Partial<BundlePayload> = {}): BundlePayload {
  const { organization, service, namespace, version } = { ...expected, ...change };
  const previous_hash = change.previous_hash ?? (version === 1 ? '' : 'U29tZSB2ZXJzaW9uIGJlZm9yZQ');
  const content_hash = contentHash(change.configuration ?? configuration);
  const chained = { organization, service, namespace, version, previous_hash, content_hash };
  const hash = bundleHash(chained);
  const published_at = '2026-01-01T00:00:00.000Z';
  return { iss: expected.issuer, ...chained, hash, published_at, kind: 'author', configuration, ...change };
}

const good = payloadOf();
const sign = (payload: object, key = own, typ: string = bundleType) =>
  signCompactJws({ key: importSigningKey(key.privateJwk, 'ES256'), payload: JSON.stringify(payload), typ });
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const goodBundle = await sign(good);
const [header = '', body = '', signature = ''] = goodBundle.split('.');

interface Vector {
  name: string;
  bundle: string;
  secrets?: object;
  seen?: { version: number; hash: string };
  result: 'accepted' | BundleRefusal;
}
const vectors: Vector[] = [
  { name: 'good', bundle: goodBundle, secrets: secretsOf(), result: 'accepted' },
  ...(
    [
      ['good, seen before', good.version, good.hash, 'accepted'],
      ['good, the direct successor', 6, good.previous_hash, 'accepted'],
      ['good, after one that is long gone', 2, 'x', 'accepted'],
      ['older than what was seen', 8, 'x', 'older'],
      ['another history under the same number', 7, 'x', 'forked'],
      ['not the successor of what was seen', 6, 'x', 'forked'],
    ] as const
  ).map(([name, version, hash, result]): Vector => {
    return { name, bundle: goodBundle, secrets: secretsOf(), seen: { version, hash }, result };
  }),
  { name: 'signed by a foreign key', bundle: await sign(good, foreign), result: 'forged' },
  {
    name: 'signed by a foreign key under the kid of the published one',
    bundle: await sign(good, { ...foreign, privateJwk: { ...foreign.privateJwk, kid: own.kid } }),
    result: 'forged',
  },
  { name: 'alg none', bundle: `${encode({ alg: 'none', typ: bundleType, kid: own.kid })}.${body}.`, result: 'forged' },
  {
    name: 'changed after signing',
    bundle: `${header}.${encode({ ...good, kind: 'rollback' })}.${signature}`,
    result: 'forged',
  },
  { name: 'another kind of token', bundle: await sign(good, own, 'at+jwt'), result: 'malformed' },
  { name: 'not a token', bundle: 'bundle', result: 'malformed' },
  { name: 'without a hash', bundle: await sign({ ...good, hash: undefined }), result: 'malformed' },
  { name: 'another issuer', bundle: await sign(payloadOf({ iss: 'https://evil.example.com' })), result: 'misplaced' },
  { name: 'another organization', bundle: await sign(payloadOf({ organization: 'evil' })), result: 'misplaced' },
  { name: 'another service', bundle: await sign(payloadOf({ service: 'shop' })), result: 'misplaced' },
  { name: 'another namespace', bundle: await sign(payloadOf({ namespace: 'staging' })), result: 'misplaced' },
  { name: 'another version', bundle: await sign(payloadOf({ version: 6 })), result: 'misplaced' },
  {
    name: 'values that the content_hash does not cover',
    bundle: await sign({ ...good, configuration: { ...configuration, HOST: 'evil' } }),
    result: 'inconsistent',
  },
  {
    name: 'a chain that the hash does not cover',
    bundle: await sign({ ...good, previous_hash: 'x' }),
    result: 'inconsistent',
  },
  ...(
    [
      ['no secrets', undefined],
      ['a secret that was changed', secretsOf({}, 'evil')],
      ['secrets for another agent', secretsOf({ agent: 'agt_2' })],
      ['secrets of another version', secretsOf({ version: 6 })],
      [
        'a secret that the bundle does not name',
        secretsOf({ values: { ...secretsOf().values, MORE: secretsOf().values.PASS } }),
      ],
    ] as const
  ).map(([name, secrets]): Vector => {
    return { name, bundle: goodBundle, ...(secrets === undefined ? {} : { secrets }), result: 'secrets' };
  }),
];

const file = {
  about: 'Bundles for agents: see docs/guides/agent-files-and-formats.md. secrets is the plaintext of the JWE.',
  keys: [publicJwkOf(own.privateJwk)],
  expected,
  values: { ...configuration, PASS: secret },
  vectors,
};
writeFileSync(new URL('../vectors/bundles.json', import.meta.url), `${JSON.stringify(file, null, 2)}\n`);
