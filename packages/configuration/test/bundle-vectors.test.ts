/** The published bundles, through the door that agents use. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { importVerificationKey, type PublicJwk } from '@gatehouse/crypto';
import { BundleError, bundleValues, verifyBundle } from '../src/verify-bundle.ts';

interface VectorFile {
  keys: PublicJwk[];
  expected: Record<'issuer' | 'organization' | 'service' | 'namespace' | 'agent', string> & { version: number };
  values: Record<string, unknown>;
  vectors: {
    name: string;
    bundle: string;
    secrets?: object;
    seen?: { version: number; hash: string };
    result: string;
  }[];
}

const file = JSON.parse(readFileSync(new URL('../vectors/bundles.json', import.meta.url), 'utf8')) as VectorFile;

test('the vectors are there, and each way to be refused is among them', () => {
  assert.ok(file.vectors.length > 20);
  const results = [...new Set(file.vectors.map(({ result }) => result))].sort();
  assert.deepEqual(results, [
    'accepted',
    'forged',
    'forked',
    'inconsistent',
    'malformed',
    'misplaced',
    'older',
    'secrets',
  ]);
});

for (const { name, bundle, secrets, seen, result } of file.vectors) {
  test(`${name}: ${result}`, async () => {
    const { agent, ...place } = file.expected;
    const findKey = ({ kid }: { kid?: string }) => {
      const jwk = file.keys.find((key) => key.kid === kid);
      return jwk === undefined ? undefined : importVerificationKey(jwk);
    };
    const open = async () => {
      const payload = await verifyBundle(bundle, { ...place, findKey, ...(seen === undefined ? {} : { seen }) });
      return bundleValues(payload, secrets === undefined ? undefined : Buffer.from(JSON.stringify(secrets)), agent);
    };
    if (result === 'accepted') assert.deepEqual((await open()).values, file.values);
    else await assert.rejects(open(), (error) => error instanceof BundleError && error.refusal === result);
  });
}
