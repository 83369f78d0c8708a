import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { canonicalJson, type JsonObject } from '@gatehouse/crypto';
import { readCheckpointKeys } from './checkpoint.ts';

/** A chain built after docs/guides/audit-format.md, for tests of the verifier. */
export function buildChain(length: number): JsonObject[] {
  const entries: JsonObject[] = [];
  for (let sequence = 1; sequence <= length; sequence += 1) {
    const content: JsonObject = {
      version: 1,
      id: `audit_${sequence}`,
      at: new Date(Date.UTC(2026, 0, 1) + sequence * 1000).toISOString(),
      action: 'session.created',
      organization: 'acme',
      actor: { type: 'user', id: `user-${sequence % 3}` },
      outcome: 'success',
      details: { n: sequence, text: `größe ${sequence}`, ratio: 1 / sequence },
    };
    entries.push(seal(content, sequence, entries.at(-1)?.['hash'] as string | undefined));
  }
  return entries;
}

/** Gives content a place and the hash that belongs to it. */
export function seal(entry: JsonObject, sequence: number, previousHash: string = '0'.repeat(64)): JsonObject {
  const { hash: _old, ...content } = entry;
  const placed = { ...content, sequence, previous_hash: previousHash };
  return { ...placed, hash: createHash('sha256').update(canonicalJson(placed)).digest('hex') };
}

/** Seals all entries anew, as an attacker who knows the format does. */
export function reseal(entries: readonly JsonObject[]): JsonObject[] {
  const sealed: JsonObject[] = [];
  for (const entry of entries)
    sealed.push(seal(entry, sealed.length + 1, sealed.at(-1)?.['hash'] as string | undefined));
  return sealed;
}

/** An audit key and the checkpoints it signs. */
export function createSigner(kid = 'audit-key-1') {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' } as unknown as JsonObject;
  const encode = (value: JsonObject) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signPayload = (payload: JsonObject, typ = 'gatehouse-checkpoint+jwt'): string => {
    const input = `${encode({ alg: 'ES256', typ, kid })}.${encode(payload)}`;
    return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  return {
    jwk,
    keys: readCheckpointKeys({ keys: [jwk] }),
    signPayload,
    /** Checkpoints after the given numbers of entries, chained. */
    checkpoints(entries: readonly JsonObject[], sequences: readonly number[]): string[] {
      const signed: string[] = [];
      for (const sequence of sequences) {
        const before = signed.at(-1);
        signed.push(
          signPayload({
            type: 'gatehouse-audit-checkpoint',
            version: 1,
            number: signed.length + 1,
            at: '2026-01-01T00:00:00.000Z',
            sequence,
            hash: entries[sequence - 1]?.['hash'] as string,
            previous: before === undefined ? '0'.repeat(64) : createHash('sha256').update(before).digest('hex'),
          }),
        );
      }
      return signed;
    },
  };
}

/** Entries as the lines of an export. */
export async function* exported(entries: readonly (JsonObject | string)[]): AsyncGenerator<string> {
  for (const entry of entries) yield typeof entry === 'string' ? entry : canonicalJson(entry);
}
