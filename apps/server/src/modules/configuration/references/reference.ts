import type { KeyReference, WrittenConfiguration } from '@gatehouse/configuration';
import type { JsonValue } from '@gatehouse/contracts';
import { isJsonObject } from '@gatehouse/crypto';
import type { StoredConfiguration } from '../versions/version.ts';

/** What of Gatehouse's own a value refers to. */
export type Reference =
  | { readonly kind: 'key'; readonly key: KeyReference }
  | { readonly kind: 'client'; readonly what: 'id' | 'secret' };

/** A reference as it is stored in `own`; undefined for any other value. */
export function referenceOf(value: JsonValue | undefined): Reference | undefined {
  if (value === undefined || !isJsonObject(value) || Object.keys(value).length !== 1) return undefined;
  const { $key: key, $client: what } = value as Record<string, JsonValue | undefined>;
  if (key !== undefined && isJsonObject(key)) return { kind: 'key', key: key as unknown as KeyReference };
  return what === 'id' || what === 'secret' ? { kind: 'client', what } : undefined;
}

/** True when the configuration refers to the client secret of its service. */
export function refersToClientSecret(configuration: StoredConfiguration): boolean {
  return Object.values(configuration).some((value) => {
    const reference = referenceOf(value);
    return reference?.kind === 'client' && reference.what === 'secret';
  });
}

/** The same of a configuration as it is written. */
export function writesClientSecret(written: WrittenConfiguration): boolean {
  return [...written.values()].some((value) => value.kind === 'client' && value.what === 'secret');
}
