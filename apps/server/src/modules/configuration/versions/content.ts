import { limits, type WrittenConfiguration, type WrittenValue } from '@gatehouse/configuration';
import type { JsonValue } from '@gatehouse/contracts';
import { canonicalJson, canonicalJsonBytes, publicJwkToPem } from '@gatehouse/crypto';
import { AppError, type FieldError, type Tx } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import type { ClientSecrets, ManagedSecret } from '../references/client-secrets.ts';
import { type Reference, referenceOf } from '../references/reference.ts';
import type { UsedReference } from '../references/reference-store.ts';
import { sumSealedBytes } from '../values/secret-value-store.ts';
import { isStoredSecret, type SecretValues, toVisible } from '../values/secret-values.ts';
import { type Base, listBases } from './base-store.ts';
import type { Source, StoredConfiguration, StoredSecret, UsedBase, Version } from './version.ts';

/** Sealed secrets of one version, bytes in steps of 1 KiB: what is inherited counts as well. */
const maxSecretBytes = 4 * 1024 * 1024;

/** A secret that has yet to be sealed for the namespace: a base's, or the service's client secret. */
type Elsewhere = { readonly base: Base; readonly key: string } | { readonly client: ManagedSecret };

/** What agents will get of a namespace, and where each key comes from. Nothing is written yet. */
export interface Draft {
  /** Secrets by fingerprint. */
  readonly visible: Readonly<Record<string, JsonValue>>;
  readonly sources: Readonly<Record<string, Source>>;
  readonly bases: readonly UsedBase[];
  readonly references: readonly UsedReference[];
  /** Seals, for this namespace, the secrets that come from elsewhere, and gives what is stored. */
  seal(tx: Tx): Promise<StoredConfiguration>;
}

/** The own part of a new version. */
export interface Own {
  readonly own: StoredConfiguration;
  /** The secrets that were written in this request; all others are somebody's secrets. */
  readonly fresh: ReadonlyMap<string, JsonValue>;
  /** Those of them that were sealed now: no version has them yet. */
  readonly sealedKeys: readonly string[];
}

/** Turns what was written into what is stored, and what is stored into what agents get. */
export function createContent(deps: {
  secretValues: SecretValues;
  keys: Pick<Keys, 'publicKeysOf'>;
  clientSecrets: Pick<ClientSecrets, 'open'>;
}) {
  const { secretValues, keys, clientSecrets } = deps;

  /** What a reference stands for. */
  const resolve = async (
    tx: Tx,
    namespace: Namespace,
    reference: Reference,
    key: string,
  ): Promise<{ value: JsonValue | ManagedSecret; source: Source; used: UsedReference | undefined }> => {
    const field = `configuration.${key}`;
    if (reference.kind === 'client') {
      const client_id = `${namespace.organization}.${namespace.service}`;
      const source: Source = { kind: 'client', client_id };
      if (reference.what === 'id') return { value: client_id, source, used: undefined };
      const secret = await clientSecrets.open(tx, namespace.serviceId);
      if (!secret) {
        const rule = 'refers to the client secret, which the service no longer has';
        throw invalid([{ field, rule, fix: 'publish it anew: that adds a secret to the service' }]);
      }
      return { value: secret, source, used: { kind: 'client', target: namespace.serviceId } };
    }
    const { keyring, format } = reference.key;
    const found = await keys.publicKeysOf(tx, keyring);
    if (!found) {
      const rule = `refers to the keyring ${keyring}, which is not one whose keys are public`;
      throw invalid([{ field, rule, fix: 'use a keyring that /.well-known/jwks.json or /pop shows' }]);
    }
    const used = { kind: 'key', target: keyring } as const;
    if (format === 'jwks') {
      return { value: { keys: found.keys.map((jwk) => ({ ...jwk })) }, source: { kind: 'key', keyring }, used };
    }
    if (!found.inUse) {
      throw new AppError('keys.no_valid_key', { detail: `The keyring ${keyring} has no key in use.` });
    }
    const { kid } = found.inUse as { kid: string };
    return { value: publicJwkToPem(found.inUse), source: { kind: 'key', keyring, kid }, used };
  };

  return {
    /**
     * The own configuration of a new version. What comes back as it was shown stays what it was: a secret by its
     * fingerprint, an inherited value inherited, a resolved reference a reference. A fingerprint under another key, or
     * of another secret, is refused. Whether a new secret equals the present one is looked at only for who may see it:
     * otherwise the answer would tell whether a guess is right.
     */
    async store(
      tx: Tx,
      namespace: Namespace,
      written: WrittenConfiguration,
      { parent, mayCompare }: { parent: Version | undefined; mayCompare: boolean },
    ): Promise<Own> {
      const own: Record<string, JsonValue> = {};
      const fresh = new Map<string, JsonValue>();
      const sealedKeys: string[] = [];
      const errors: FieldError[] = [];
      const opened = mayCompare && parent ? await secretValues.open(tx, namespace, parent.own) : new Map();
      const inherited = parent === undefined ? new Set<string>() : await keysOfBases(tx, namespace, parent);
      for (const [key, value] of written) {
        const shown = parent && member(parent.effective, key);
        const before = parent && member(parent.own, key);
        const isUnchanged =
          (value.kind === 'keep' && isStoredSecret(shown) && shown.$secret.fingerprint === value.fingerprint) ||
          (value.kind === 'plain' && shown !== undefined && canonicalJson(shown) === canonicalJson(value.value));
        if (isUnchanged && before !== undefined) own[key] = before;
        else if (isUnchanged && inherited.has(key)) continue;
        else if (value.kind === 'keep') {
          if (isUnchanged) own[key] = shown;
          else errors.push(unknownFingerprint(key, parent));
        } else if (value.kind === 'secret') {
          const known = opened.get(key);
          const isSame = known !== undefined && canonicalJson(known.value) === canonicalJson(value.value);
          const secret = isSame ? before : await secretValues.seal(tx, namespace, value.value);
          own[key] = secret as unknown as JsonValue;
          fresh.set(key, value.value);
          if (!isSame) sealedKeys.push(key);
        } else own[key] = markerOf(value);
      }
      if (errors.length > 0) throw invalid(errors);
      return { own, fresh, sealedKeys };
    },

    /**
     * What agents get: inherited values, the strongest last, then the own ones, references resolved. A rollback takes the
     * values of the version that it restores instead, and resolves only the references, for an old key may be gone.
     */
    async compose(
      tx: Tx,
      namespace: Namespace,
      own: StoredConfiguration,
      { previous, restored }: { previous: Version | undefined; restored?: Version | undefined },
    ): Promise<Draft> {
      const values: Record<string, JsonValue> = {};
      const sources: Record<string, Source> = {};
      const elsewhere = new Map<string, Elsewhere>();
      const references: UsedReference[] = [];
      const put = (key: string, value: JsonValue, source: Source) => {
        values[key] = value;
        sources[key] = source;
        elsewhere.delete(key);
      };
      const bases = await listBases(tx, namespace.id, previous?.bases ?? []);
      if (restored) {
        for (const [key, value] of Object.entries(restored.effective))
          put(key, value, restored.sources[key] ?? { kind: 'own' });
      } else {
        for (const base of bases) {
          const name = base.service === namespace.service ? base.name : `${base.service}/${base.name}`;
          for (const [key, value] of Object.entries(base.effective)) {
            put(key, value, { kind: 'inherited', namespace: name, version: base.used });
            if (isStoredSecret(value)) elsewhere.set(key, { base, key });
          }
        }
      }
      for (const [key, value] of Object.entries(own)) {
        const reference = referenceOf(value);
        if (!reference) {
          if (!restored) put(key, value, { kind: 'own' });
          continue;
        }
        const { value: resolved, source, used } = await resolve(tx, namespace, reference, key);
        if (used && !references.some((one) => one.kind === used.kind && one.target === used.target))
          references.push(used);
        if (isManaged(resolved)) {
          put(key, { $secret: { id: '', fingerprint: resolved.fingerprint } }, source);
          elsewhere.set(key, { client: resolved });
        } else put(key, resolved, source);
      }
      const visible = toVisible(values);
      assertSize(visible);
      return {
        visible,
        sources,
        references,
        bases: bases.map(({ id, used, seen }) => ({
          id,
          used: restored ? (restored.bases.find((one) => one.id === id)?.used ?? 0) : used,
          seen,
        })),
        async seal(sealTx) {
          const stored = { ...values };
          for (const [key, secret] of await copies(sealTx, namespace, { values, elsewhere, previous })) {
            stored[key] = secret as unknown as JsonValue;
          }
          if (bases.length > 0) await assertSecretSize(sealTx, namespace, stored);
          return stored;
        },
      };
    },
  };

  /**
   * The namespace's own copies of secrets from elsewhere, so that its versions open whatever becomes of the other place.
   * Of a secret that it has already, by fingerprint, no second one is made.
   */
  async function copies(
    tx: Tx,
    namespace: Namespace,
    {
      values,
      elsewhere,
      previous,
    }: { values: StoredConfiguration; elsewhere: Map<string, Elsewhere>; previous: Version | undefined },
  ): Promise<Map<string, StoredSecret>> {
    const made = new Map<string, StoredSecret>();
    const wanted = new Map<Base, Set<string>>();
    for (const [key, from] of elsewhere) {
      const before = previous && member(previous.effective, key);
      const now = values[key];
      if (isStoredSecret(before) && isStoredSecret(now) && before.$secret.fingerprint === now.$secret.fingerprint) {
        made.set(key, before);
      } else if ('client' in from) made.set(key, await secretValues.copy(tx, namespace, from.client));
      else wanted.set(from.base, (wanted.get(from.base) ?? new Set()).add(key));
    }
    for (const [base, only] of wanted) {
      for (const [key, opened] of await secretValues.open(tx, base, base.effective, only)) {
        made.set(key, await secretValues.copy(tx, namespace, opened));
      }
    }
    return made;
  }

  async function keysOfBases(tx: Tx, namespace: Namespace, parent: Version): Promise<Set<string>> {
    if (namespace.extends.length === 0) return new Set();
    const bases = await listBases(tx, namespace.id, parent.bases);
    return new Set(bases.flatMap((base) => Object.keys(base.effective)));
  }
}

/** What {@link createContent} gives. */
export type ContentRules = ReturnType<typeof createContent>;

function member(configuration: StoredConfiguration, key: string): JsonValue | undefined {
  return Object.hasOwn(configuration, key) ? configuration[key] : undefined;
}

function isManaged(value: JsonValue | ManagedSecret): value is ManagedSecret {
  return (value as Partial<ManagedSecret> | null)?.salt instanceof Uint8Array;
}

/** Plain values as they are; references as they were written: they are resolved anew with each version. */
export function markerOf(value: Exclude<WrittenValue, { kind: 'secret' | 'keep' }>): JsonValue {
  if (value.kind === 'plain') return value.value;
  return value.kind === 'client' ? { $client: value.what } : { $key: { ...value.reference } };
}

function assertSize(visible: Readonly<Record<string, JsonValue>>): void {
  const count = Object.keys(visible).length;
  if (count > limits.keys) {
    const rule = `has ${count} keys with what it inherits; at most ${limits.keys} are accepted`;
    throw invalid([{ field: 'configuration', rule }]);
  }
  const { byteLength } = canonicalJsonBytes(visible);
  if (byteLength > limits.bytes) {
    const rule = `is ${byteLength} bytes with what it inherits and refers to; at most ${limits.bytes} are accepted`;
    throw invalid([{ field: 'configuration', rule }]);
  }
}

async function assertSecretSize(tx: Tx, namespace: Namespace, stored: StoredConfiguration): Promise<void> {
  const ids = Object.values(stored).flatMap((value) => (isStoredSecret(value) ? [value.$secret.id] : []));
  const bytes = ids.length === 0 ? 0 : await sumSealedBytes(tx, namespace.id, ids);
  if (bytes > maxSecretBytes) {
    const rule = `has more than ${maxSecretBytes} bytes of secrets with those it inherits`;
    throw invalid([{ field: 'configuration', rule, fix: 'inherit less' }]);
  }
}

/** 400 with everything that is wrong. */
export function invalid(errors: readonly FieldError[]): AppError {
  const [first] = errors;
  return new AppError('configuration.invalid', {
    detail: first ? `${first.field} ${first.rule}` : 'configuration',
    errors,
  });
}

function unknownFingerprint(key: string, parent: Version | undefined): FieldError {
  return {
    field: `configuration.${key}`,
    rule: parent
      ? `has a fingerprint that is not that of ${key} in version ${parent.version}`
      : 'has a fingerprint although there is no version before this one',
    fix: 'write the secret as {"$secret": "<value>"}, or send back the fingerprint of the parent version',
  };
}
