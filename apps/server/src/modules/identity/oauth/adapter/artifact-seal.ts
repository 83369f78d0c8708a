import { createHmac } from 'node:crypto';
import { openBytes, sealBytes } from '@gatehouse/crypto';
import type { Random } from '../../../../kernel/index.ts';
import { bearerHash } from '../../tokens/hashes.ts';
import type { SharedSecrets } from '../../tokens/shared-secrets.ts';

/**
 * How an artefact lies in the database. oidc-provider's ids are the bearer values themselves (a code, a session
 * cookie) and its payloads repeat them and name other artefacts (an interaction holds a device code, a browser session
 * its grants). So rows are keyed by hashes, and the whole payload is sealed: a dump of the database holds nothing usable.
 */
export function createArtifactSeal(deps: { secrets: SharedSecrets; random: Random }) {
  const { secrets, random } = deps;
  const seal = (idHash: Buffer, payload: object): Uint8Array => {
    const text = Buffer.from(JSON.stringify(payload));
    return sealBytes(secrets.artifactKey, text, idHash, (count) => random.bytes(count));
  };
  const open = (idHash: Buffer, sealed: Uint8Array): Record<string, unknown> => {
    const bytes = openBytes(secrets.artifactKey, sealed, idHash);
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
  };
  return {
    idHash: (model: string, id: string) => bearerHash(`artifact:${model}`, id),
    grantHash: (grantId: string) => bearerHash('grant', grantId),
    uidHash: (uid: string) => bearerHash('session-uid', uid),
    /** User codes are short, so a plain hash could be turned back by trying: a keyed one cannot. */
    userCodeHash: (userCode: string) =>
      createHmac('sha256', secrets.formKey).update('user-code\0').update(userCode).digest(),
    /** What oidc-provider needs again at a refresh; bound to the session, because successors inherit it. */
    sealDetails(sessionId: string, details: object): Uint8Array {
      return seal(bearerHash('refresh-details', sessionId), details);
    },
    openDetails(sessionId: string, sealed: Uint8Array): Record<string, unknown> {
      return open(bearerHash('refresh-details', sessionId), sealed);
    },
    /** Seals `payload`, bound to the row it belongs to. */
    seal,
    open,
  };
}

export type ArtifactSeal = ReturnType<typeof createArtifactSeal>;
