import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { before, describe, it } from 'node:test';
import {
  encodeBase64Url,
  type GeneratedKeyPair,
  generateKeyPair,
  importSigningKey,
  importVerificationKey,
  type JsonValue,
  publicJwkToPem,
  signCompactJws,
} from '@gatehouse/crypto';
import { type BundlePayload, bundleHash, bundleType, contentHash, secretFingerprint } from './bundle.ts';
import { BundleError, type BundleRefusal, bundleValues, verifyBundle } from './verify-bundle.ts';

const salt = Buffer.alloc(32, 5);
const place = { organization: 'acme', service: 'billing', namespace: 'default' };
const issuer = 'https://id.example.com';

/** A payload whose hashes are right, whatever is changed in it. */
function payloadOf(change: Partial<BundlePayload> = {}): BundlePayload {
  const configuration = change.configuration ?? {
    HOST: 'db.internal',
    PASS: { $secret: { fingerprint: secretFingerprint(salt, 'canary') } },
  };
  const version = change.version ?? 7;
  const chained = { ...place, version, previous_hash: version === 1 ? '' : 'hash-of-6', ...change };
  const content_hash = contentHash(configuration);
  const hash = bundleHash({ ...chained, content_hash });
  return {
    iss: issuer,
    ...chained,
    content_hash,
    hash,
    published_at: '2026-01-01T00:00:00.000Z',
    kind: 'author',
    configuration,
    ...change,
  };
}

describe('verifyBundle', () => {
  let own: GeneratedKeyPair;
  let foreign: GeneratedKeyPair;
  before(async () => {
    [own, foreign] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')]);
  });

  const sign = (payload: object | string, key = own, typ: string = bundleType) =>
    signCompactJws({
      key: importSigningKey(key.privateJwk, 'ES256'),
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
      typ,
    });
  const verify = (bundle: string, more: { version?: number; seen?: { version: number; hash: string } } = {}) =>
    verifyBundle(bundle, {
      issuer,
      ...place,
      version: 7,
      findKey: ({ kid }) => (kid === own.kid ? importVerificationKey(own.publicJwk) : undefined),
      ...more,
    });
  async function refuses(refusal: BundleRefusal, bundle: string, more: Parameters<typeof verify>[1] = {}) {
    await assert.rejects(verify(bundle, more), (error) => {
      assert.ok(error instanceof BundleError, String(error));
      assert.equal(error.refusal, refusal, error.message);
      assert.ok(!error.message.includes('db.internal'));
      return true;
    });
  }

  it('accepts a good one, the first one, the same again, a direct successor and a later one', async () => {
    const payload = payloadOf();
    assert.deepEqual(await verify(await sign(payload)), payload);
    await verify(await sign(payloadOf({ version: 1 })), { version: 1 });
    await verify(await sign(payload), { seen: { version: 7, hash: payload.hash } });
    await verify(await sign(payload), { seen: { version: 6, hash: 'hash-of-6' } });
    await verify(await sign(payload), { seen: { version: 3, hash: 'of another time' } });
  });

  it('refuses what the issuer did not sign', async () => {
    const payload = payloadOf();
    const good = await sign(payload);
    const [header = '', body = '', signature = ''] = good.split('.');
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    await refuses('forged', await sign(payload, foreign));
    await refuses('forged', `${header}.${encode({ ...payload, kind: 'rollback' })}.${signature}`);
    await refuses('forged', `${header}.${body}.${'A'.repeat(86)}`);
    await refuses('forged', `${encode({ alg: 'ES256', typ: bundleType })}.${body}.${signature}`);
    for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
      await refuses('forged', `${encode({ alg, typ: bundleType, kid: own.kid })}.${body}.`);
    }
    // The public key as the secret of an HMAC, and a foreign key that the token brings along.
    const confused = `${encode({ alg: 'HS256', typ: bundleType, kid: own.kid })}.${body}`;
    const mac = createHmac('sha256', publicJwkToPem(own.publicJwk)).update(confused).digest('base64url');
    await refuses('forged', `${confused}.${mac}`);
    const embedded = { alg: 'ES256', typ: bundleType, kid: foreign.kid, jwk: foreign.publicJwk };
    const [, , foreignSignature = ''] = (await sign(payload, foreign)).split('.');
    await refuses('forged', `${encode(embedded)}.${body}.${foreignSignature}`);
  });

  it('refuses what is no bundle', async () => {
    await refuses('malformed', 'x');
    await refuses('malformed', await sign(payloadOf(), own, 'at+jwt'));
    await refuses('malformed', await sign('[]'));
    await refuses('malformed', await sign('{"version":7,"version":8}'));
    for (const name of ['iss', 'hash', 'content_hash', 'previous_hash', 'published_at', 'kind', 'configuration']) {
      const { [name as 'iss']: _left, ...rest } = payloadOf();
      await refuses('malformed', await sign(rest));
    }
    await refuses('malformed', await sign({ ...payloadOf(), version: 7.5 }));
    await refuses('malformed', await sign({ ...payloadOf(), version: '7' }));
    await refuses('malformed', await sign({ ...payloadOf(), published_at: 'yesterday' }));
    await refuses('malformed', await sign({ ...payloadOf(), configuration: [] }));
  });

  it('refuses one of another place or version', async () => {
    await refuses('misplaced', await sign(payloadOf({ iss: 'https://evil.example.com' })));
    await refuses('misplaced', await sign(payloadOf({ organization: 'evil' })));
    await refuses('misplaced', await sign(payloadOf({ service: 'shop' })));
    await refuses('misplaced', await sign(payloadOf({ namespace: 'staging' })));
    await refuses('misplaced', await sign(payloadOf({ version: 6 })));
  });

  it('refuses hashes that are not those of the content', async () => {
    await refuses('inconsistent', await sign({ ...payloadOf(), configuration: { HOST: 'evil' } }));
    await refuses('inconsistent', await sign({ ...payloadOf(), hash: 'AAAA' }));
    await refuses('inconsistent', await sign({ ...payloadOf(), previous_hash: 'other' }));
    await refuses('inconsistent', await sign(payloadOf({ version: 1, previous_hash: 'something' })), { version: 1 });
    await refuses('inconsistent', await sign(payloadOf({ previous_hash: '' })));
  });

  it('refuses older versions and other chains', async () => {
    const { hash } = payloadOf();
    const bundle = await sign(payloadOf());
    await refuses('older', bundle, { seen: { version: 8, hash: 'x' } });
    await refuses('forked', bundle, { seen: { version: 7, hash: 'another 7' } });
    await refuses('forked', bundle, { seen: { version: 6, hash: 'another 6' } });
    await refuses('forked', await sign(payloadOf({ previous_hash: 'other' })), { seen: { version: 7, hash } });
  });
});

describe('bundleValues', () => {
  const payload = payloadOf();
  const secretsOf = (
    change: object = {},
    values: unknown = { PASS: { salt: encodeBase64Url(salt), value: 'canary' } },
  ) =>
    Buffer.from(
      JSON.stringify({ agent: 'agt_1', service: 'billing', namespace: 'default', version: 7, values, ...change }),
    );
  function refuses(secrets: Uint8Array | undefined): void {
    assert.throws(
      () => bundleValues(payload, secrets, 'agt_1'),
      (error) => {
        assert.ok(error instanceof BundleError && error.refusal === 'secrets', String(error));
        assert.ok(!error.message.includes('canary'));
        return true;
      },
    );
  }

  it('puts the secrets in their places', () => {
    assert.deepEqual(bundleValues(payload, secretsOf(), 'agt_1'), {
      values: { HOST: 'db.internal', PASS: 'canary' },
      secretKeys: ['PASS'],
    });
    const plain = payloadOf({ configuration: { A: 1, B: null, C: { d: [true] } } });
    assert.deepEqual(bundleValues(plain, undefined, 'agt_1').values, { A: 1, B: null, C: { d: [true] } });
    const nothing: JsonValue = null;
    const empty = payloadOf({ configuration: { N: { $secret: { fingerprint: secretFingerprint(salt, nothing) } } } });
    const sent = secretsOf({}, { N: { salt: encodeBase64Url(salt), value: null } });
    assert.deepEqual(bundleValues(empty, sent, 'agt_1').values, { N: null });
  });

  it('refuses secrets that are missing, changed, added, or somebody else’s', () => {
    const good = encodeBase64Url(salt);
    refuses(undefined);
    refuses(Buffer.from('not json'));
    refuses(secretsOf({}, {}));
    refuses(secretsOf({}, []));
    refuses(secretsOf({}, { PASS: { salt: good, value: 'canary2' } }));
    refuses(secretsOf({}, { PASS: { salt: encodeBase64Url(Buffer.alloc(32)), value: 'canary' } }));
    refuses(secretsOf({}, { PASS: { salt: 'AAAA', value: 'canary' } }));
    refuses(secretsOf({}, { PASS: { salt: good } }));
    refuses(secretsOf({}, { PASS: { salt: good, value: 'canary' }, HOST: { salt: good, value: 'evil' } }));
    refuses(secretsOf({ agent: 'agt_2' }));
    refuses(secretsOf({ service: 'shop' }));
    refuses(secretsOf({ namespace: 'staging' }));
    refuses(secretsOf({ version: 6 }));
  });
});
