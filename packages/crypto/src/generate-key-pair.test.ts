import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, keyPairAlgorithms } from './generate-key-pair.ts';
import { judgePublicJwk } from './judge-jwk.ts';
import { importDecryptionKey, importSigningKey } from './key-objects.ts';
import { publicJwkToPem } from './pem.ts';
import { jwkThumbprint } from './thumbprint.ts';

test('every algorithm: kid is the thumbprint, the public half is public, both halves import', async () => {
  for (const alg of keyPairAlgorithms) {
    const { kid, use, publicJwk, privateJwk } = await generateKeyPair(alg);
    assert.equal(kid, jwkThumbprint(publicJwk));
    assert.equal(kid, jwkThumbprint(privateJwk));
    assert.deepEqual([publicJwk.kid, publicJwk.alg, publicJwk.use], [kid, alg, use]);
    judgePublicJwk(publicJwk, { use, alg });
    if (use === 'sig') assert.equal(importSigningKey(privateJwk).kid, kid);
    else assert.equal(importDecryptionKey(privateJwk).kid, kid);
    assert.match(publicJwkToPem(publicJwk), /^-----BEGIN PUBLIC KEY-----\n[\s\S]+\n-----END PUBLIC KEY-----\n$/u);
  }
});

test('size and curve are the caller’s, within what is supported', async () => {
  const { publicJwk } = await generateKeyPair('RS256', { modulusBits: 3072 });
  assert.equal(judgePublicJwk(publicJwk, { use: 'sig' }).sizeBits, 3072);
  const x25519 = await generateKeyPair('ECDH-ES+A256KW', { curve: 'X25519' });
  assert.equal(x25519.publicJwk.kty, 'OKP');
  await assert.rejects(generateKeyPair('RS256', { modulusBits: 1024 as never }), { field: 'modulusBits' });
  await assert.rejects(generateKeyPair('RSA1_5' as never), { code: 'crypto.invalid_argument', field: 'alg' });
});

test('two members that do not belong together do not import, and the error says nothing of the key', async () => {
  const [a, b] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')]);
  const mixed = { ...a.privateJwk, d: b.privateJwk.d };
  assert.throws(
    () => importSigningKey(mixed),
    (error: Error) => !String(error.stack).includes(b.privateJwk.d) && error.cause === undefined,
  );
});
