/** Reads the published vectors into one shape. */
import { readdirSync, readFileSync } from 'node:fs';
import type { JsonObject } from '../src/index.ts';

/** One published vector: a token, the key or key set it comes with, and what its authors expect. */
export interface VectorCase {
  readonly id: string;
  readonly kind: 'jws' | 'jwe';
  readonly expected: 'valid' | 'invalid';
  readonly token: unknown;
  readonly key: JsonObject;
  /** Content of a valid token, where the vector states it. */
  readonly content?: Uint8Array;
  /** Expected `cty`, where the vector nests. */
  readonly cty?: string;
}

const root = new URL('../vectors/', import.meta.url);

/** Parses a JSON file below `vectors/`. */
export function readVectors(path: string): JsonObject {
  return JSON.parse(readFileSync(new URL(path, root), 'utf8')) as JsonObject;
}

interface WycheproofGroup {
  readonly public?: JsonObject;
  readonly private: JsonObject;
  readonly tests: readonly {
    readonly tcId: number;
    readonly result: 'valid' | 'invalid';
    readonly jws?: unknown;
    readonly jwe?: unknown;
    readonly pt?: string;
  }[];
}

/** All of Wycheproof's JSON web vectors. */
export function wycheproofCases(): VectorCase[] {
  return readdirSync(new URL('wycheproof/', root))
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const groups = readVectors(`wycheproof/${file}`).testGroups as unknown as readonly WycheproofGroup[];
      return groups.flatMap((group) =>
        group.tests.map((test): VectorCase => {
          const kind = test.jws === undefined ? 'jwe' : 'jws';
          return {
            id: `wycheproof/${file.slice(0, -'.json'.length)}/${test.tcId}`,
            kind,
            expected: test.result,
            token: kind === 'jws' ? test.jws : test.jwe,
            key: kind === 'jws' ? (group.public ?? group.private) : group.private,
            ...(test.pt === undefined ? {} : { content: Buffer.from(test.pt, 'hex') }),
          };
        }),
      );
    });
}

interface CookbookFile {
  readonly input: {
    readonly payload?: string;
    readonly plaintext?: string;
    readonly key?: JsonObject | readonly JsonObject[];
    readonly pwd?: string;
  };
  readonly output: { readonly compact?: string; readonly json?: JsonObject; readonly json_flat?: JsonObject };
}

/**
 * The RFC 7520 cookbook with its neighbours. Every serialization is a case: compact ones are valid,
 * the JSON ones too in their own right, so our refusal of them stands in the list of differences.
 */
export function cookbookCases(): VectorCase[] {
  const files = ['jws', 'jwe', 'curve25519', 'rfc7797'].flatMap((folder) =>
    readdirSync(new URL(`jose-cookbook/${folder}/`, root))
      .filter((file) => file.endsWith('.json'))
      .map((file) => `${folder}/${file}`),
  );
  return files.flatMap((file) => {
    const { input, output } = readVectors(`jose-cookbook/${file}`) as unknown as CookbookFile;
    const kind = input.plaintext === undefined ? 'jws' : 'jwe';
    // A password (PBES2) is no JWK; the nearest thing is an oct key of its bytes.
    const password = { kty: 'oct', k: Buffer.from(input.pwd ?? '').toString('base64url') };
    const key = input.key ?? password;
    const content = Buffer.from(input.plaintext ?? input.payload ?? '');
    return Object.entries(output).map(
      ([form, token]): VectorCase => ({
        id: `jose-cookbook/${file.slice(0, -'.json'.length)}/${form}`,
        kind,
        expected: 'valid',
        token: typeof token === 'string' ? token : JSON.stringify(token),
        key: Array.isArray(key) ? { keys: key } : (key as JsonObject),
        content,
      }),
    );
  });
}
