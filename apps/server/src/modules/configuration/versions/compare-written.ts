import type { WrittenConfiguration } from '@gatehouse/configuration';
import type { JsonValue } from '@gatehouse/contracts';
import { canonicalJson } from '@gatehouse/crypto';
import type { Reader } from '../../../kernel/index.ts';
import type { Namespace } from '../namespaces/namespace.ts';
import { isStoredSecret, type SecretValues } from '../values/secret-values.ts';
import { markerOf } from './content.ts';
import type { Version } from './version.ts';

/** A key whose own value differs. A side that is or was a secret is absent: that it changed is all that is said. */
export interface OwnChange {
  readonly key: string;
  readonly kind: 'created' | 'changed' | 'deleted';
  readonly from?: JsonValue;
  readonly to?: JsonValue;
}

/**
 * What publishing a written configuration would change in a namespace's own values, secrets compared by their values.
 * The answer tells whether a secret is what was written, so it is for callers who may see secrets.
 */
export function createComparison({ secretValues }: { secretValues: Pick<SecretValues, 'open'> }) {
  return async function compareWritten(
    tx: Reader,
    namespace: Pick<Namespace, 'id' | 'organization'>,
    present: Version | undefined,
    written: WrittenConfiguration,
  ): Promise<OwnChange[]> {
    const own = present?.own ?? {};
    const opened = await secretValues.open(tx, namespace, own);
    const changes: OwnChange[] = [];
    for (const [key, value] of written) {
      const before = Object.hasOwn(own, key) ? own[key] : undefined;
      const from = before === undefined || isStoredSecret(before) ? {} : { from: before };
      const kind = before === undefined ? 'created' : 'changed';
      if (value.kind === 'keep') {
        const isSame = isStoredSecret(before) && before.$secret.fingerprint === value.fingerprint;
        if (!isSame) changes.push({ key, kind, ...from });
      } else if (value.kind === 'secret') {
        const known = opened.get(key);
        const isSame = known !== undefined && canonicalJson(known.value) === canonicalJson(value.value);
        if (!isSame) changes.push({ key, kind, ...from });
      } else {
        const to = markerOf(value);
        const isSame = before !== undefined && canonicalJson(before) === canonicalJson(to);
        if (!isSame) changes.push({ key, kind, ...from, to });
      }
    }
    for (const [key, before] of Object.entries(own)) {
      if (!written.has(key))
        changes.push({ key, kind: 'deleted', ...(isStoredSecret(before) ? {} : { from: before }) });
    }
    return changes;
  };
}
