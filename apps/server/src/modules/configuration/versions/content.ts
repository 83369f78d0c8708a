import type { WrittenConfiguration, WrittenValue } from '@gatehouse/configuration';
import type { JsonValue } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import { AppError, type FieldError, type Tx } from '../../../kernel/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import { isStoredSecret, type OpenedSecret, type SecretValues } from '../values/secret-values.ts';
import { listBases } from './base-store.ts';
import type { Source, StoredConfiguration, StoredSecret, Version } from './version.ts';

/** What agents get of a namespace, and where each key comes from. */
export interface Content {
  readonly effective: StoredConfiguration;
  readonly sources: Readonly<Record<string, Source>>;
}

/** Turns what was written into what is stored, and what is stored into what agents get. */
export function createContent({ secretValues }: { secretValues: SecretValues }) {
  const presentSecret = (parent: Version | undefined, key: string): StoredSecret | undefined => {
    for (const configuration of [parent?.own, parent?.effective]) {
      const value = configuration && Object.hasOwn(configuration, key) ? configuration[key] : undefined;
      if (isStoredSecret(value)) return value;
    }
    return undefined;
  };

  /** The namespace's copy of an inherited secret: that of the version before when it is the same. */
  const inherit = async (
    tx: Tx,
    namespace: Namespace,
    stored: StoredSecret,
    { opened, before }: { opened: OpenedSecret | undefined; before: JsonValue | undefined },
  ): Promise<StoredSecret> => {
    if (isStoredSecret(before) && before.$secret.fingerprint === stored.$secret.fingerprint) return before;
    if (!opened) throw new Error(`configuration: the secret ${stored.$secret.id} was not opened`);
    return secretValues.copy(tx, namespace, opened);
  };

  return {
    /**
     * The own configuration of a new version. A secret shown by its fingerprint stays what it is in `parent`; under
     * another key or with another fingerprint it is refused. Whether a new secret equals the present one is looked at
     * only for who may see it: otherwise the answer would tell whether a guess is right.
     */
    async store(
      tx: Tx,
      namespace: Namespace,
      written: WrittenConfiguration,
      { parent, mayCompare }: { parent: Version | undefined; mayCompare: boolean },
    ): Promise<StoredConfiguration> {
      const own: Record<string, JsonValue> = {};
      const errors: FieldError[] = [];
      const opened = mayCompare && parent ? await secretValues.open(tx, namespace, parent.own) : new Map();
      for (const [key, value] of written) {
        const stored = presentSecret(parent, key);
        if (value.kind === 'keep') {
          if (stored?.$secret.fingerprint === value.fingerprint) own[key] = stored as unknown as JsonValue;
          else errors.push(unknownFingerprint(key, parent));
        } else if (value.kind === 'secret') {
          const known = opened.get(key);
          const isSame = known !== undefined && canonicalJson(known.value) === canonicalJson(value.value as never);
          const secret = isSame && stored ? stored : await secretValues.seal(tx, namespace, value.value);
          own[key] = secret as unknown as JsonValue;
        } else own[key] = markerOf(value);
      }
      if (errors.length > 0) {
        throw new AppError('configuration.invalid', { detail: `${errors[0]?.field} ${errors[0]?.rule}`, errors });
      }
      return own;
    },

    /**
     * What agents get: inherited values, the strongest last, then the own ones. Inherited secrets are sealed anew for
     * this namespace, under their fingerprints, so that its versions open whatever becomes of the other namespace.
     */
    async compose(
      tx: Tx,
      namespace: Namespace,
      own: StoredConfiguration,
      previous: Version | undefined,
    ): Promise<Content> {
      const effective: Record<string, JsonValue> = {};
      const sources: Record<string, Source> = {};
      for (const base of await listBases(tx, namespace.id)) {
        const opened = await secretValues.open(tx, base, base.effective);
        for (const [key, value] of Object.entries(base.effective)) {
          const before = previous && Object.hasOwn(previous.effective, key) ? previous.effective[key] : undefined;
          effective[key] = isStoredSecret(value)
            ? ((await inherit(tx, namespace, value, { opened: opened.get(key), before })) as unknown as JsonValue)
            : value;
          const name = base.service === namespace.service ? base.name : `${base.service}/${base.name}`;
          sources[key] = { kind: 'inherited', namespace: name, version: base.version };
        }
      }
      for (const [key, value] of Object.entries(own)) {
        effective[key] = value;
        sources[key] = { kind: 'own' };
      }
      return { effective, sources };
    },
  };
}

/** What {@link createContent} gives. */
export type ContentRules = ReturnType<typeof createContent>;

/** Plain values as they are; references as they were written: they are resolved anew with each version. */
function markerOf(value: Exclude<WrittenValue, { kind: 'secret' | 'keep' }>): JsonValue {
  if (value.kind === 'plain') return value.value;
  return value.kind === 'client' ? { $client: value.what } : { $key: { ...value.reference } };
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
