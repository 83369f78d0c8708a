import { secretFingerprint } from '@gatehouse/configuration';
import type { JsonValue } from '@gatehouse/contracts';
import {
  canonicalJson,
  decodeBase64Url,
  encodeBase64Url,
  parseJsonObjectStrict,
  type SealPlace,
} from '@gatehouse/crypto';
import type { Clock, Random, Reader, Tx } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import type { StoredConfiguration, StoredSecret } from '../versions/version.ts';
import { insertSecretValue, listSecretValues } from './secret-value-store.ts';

/** A secret value with the salt of its fingerprint. */
export interface OpenedSecret {
  readonly salt: Uint8Array;
  readonly value: JsonValue;
}

type Owner = Pick<Namespace, 'id' | 'organization'>;

/** Secret values: sealed under the organization's data key, bound to their row and namespace, opened for few. */
export function createSecretValues(deps: {
  keys: Pick<Keys, 'seal' | 'open'>;
  clock: Clock;
  random: Pick<Random, 'id' | 'bytes'>;
}) {
  const { keys, clock, random } = deps;

  const write = async (tx: Tx, namespace: Owner, { salt, value }: OpenedSecret): Promise<StoredSecret> => {
    const id = random.id('val');
    const fingerprint = secretFingerprint(salt, value);
    const plaintext = new TextEncoder().encode(canonicalJson({ salt: encodeBase64Url(salt), value }));
    const sealed = await keys.seal(tx, placeOf(namespace, id), plaintext);
    await insertSecretValue(tx, { id, namespaceId: namespace.id, sealed, fingerprint, createdAt: clock.now() });
    return { $secret: { id, fingerprint } };
  };

  return {
    /** Seals a secret that was just written. Its salt is new: the same value twice has two fingerprints. */
    seal: (tx: Tx, namespace: Owner, value: JsonValue) => write(tx, namespace, { salt: random.bytes(32), value }),
    /** Seals a secret of another namespace for this one, under the fingerprint that it has there. */
    copy: write,
    /** The secrets of a configuration, or of those keys of it, by key. */
    async open(
      tx: Reader,
      namespace: Owner,
      configuration: StoredConfiguration,
      only?: ReadonlySet<string>,
    ): Promise<Map<string, OpenedSecret>> {
      const wanted = new Map<string, string>();
      for (const [key, value] of Object.entries(configuration)) {
        if (isStoredSecret(value) && (only === undefined || only.has(key))) wanted.set(key, value.$secret.id);
      }
      const opened = new Map<string, OpenedSecret>();
      if (wanted.size === 0) return opened;
      const rows = await listSecretValues(tx, namespace.id, [...wanted.values()]);
      for (const [key, id] of wanted) {
        const sealed = rows.get(id);
        if (!sealed) throw new Error(`configuration: the secret ${id} of ${namespace.id} is not there`);
        const plaintext = await keys.open(tx, placeOf(namespace, id), sealed);
        const { salt, value } = parseJsonObjectStrict(plaintext) as { salt: string; value: JsonValue };
        opened.set(key, { salt: decodeBase64Url(salt), value });
      }
      return opened;
    },
  };
}

/** What {@link createSecretValues} gives. */
export type SecretValues = ReturnType<typeof createSecretValues>;

/** True for a secret as stored. */
export function isStoredSecret(value: JsonValue | undefined): value is StoredSecret & Record<string, JsonValue> {
  const secret = (value as { $secret?: { id?: unknown } } | null | undefined)?.$secret;
  return typeof value === 'object' && value !== null && typeof secret?.id === 'string';
}

/** A configuration as it is shown: of a secret only its fingerprint. */
export function toVisible(configuration: StoredConfiguration): Record<string, JsonValue> {
  const shown = Object.entries(configuration).map(([key, value]): [string, JsonValue] =>
    isStoredSecret(value) ? [key, { $secret: { fingerprint: value.$secret.fingerprint } }] : [key, value],
  );
  return Object.fromEntries(shown);
}

function placeOf({ id, organization }: Owner, rowId: string): SealPlace {
  return { organization, schema: 'configuration', table: 'secret_values', rowId, owner: id };
}
