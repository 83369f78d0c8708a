import { createHash } from 'node:crypto';
import { canonicalJson } from '@gatehouse/crypto';
import { readDeclaration } from '@gatehouse/declaration';
import type { Clock, Db, Logger } from '../../kernel/index.ts';
import type { Identity } from '../identity/index.ts';
import { findAppliedHash, setAppliedHash } from './applied-store.ts';
import type { DeclarationService } from './declaration-service.ts';

/**
 * Applies the declaration of `GATEHOUSE_DECLARATION` at start: once per content, whichever node comes first, so that a
 * restart does not undo what people have changed since. Never prunes.
 */
export async function applyAtStart(
  path: string,
  deps: {
    db: Db;
    clock: Clock;
    log: Logger;
    passwords: Pick<Identity['passwords'], 'hash' | 'verify'>;
    service: DeclarationService;
  },
): Promise<void> {
  const { db, clock, log, passwords, service } = deps;
  const declaration = await readDeclaration(path);
  // The content holds passwords, so its mark is as slow to guess as they are: a plain hash in the database would not be.
  const digest = createHash('sha256').update(canonicalJson(declaration)).digest('base64url');
  const applied = await db.read(findAppliedHash);
  if (applied !== undefined && (await passwords.verify(applied, digest)).ok) {
    log.info({ declaration: path }, 'the declaration was applied before; leaving what exists as it is');
    return;
  }
  const mark = await passwords.hash(digest);
  const { summary, warnings } = await service.apply(
    {
      declaration,
      prune: false,
      granter: 'system',
      origin: { actor: { type: 'system', id: 'declaration' }, organization: 'gatehouse' },
    },
    { mayGenerateSecrets: false, alongside: (tx) => setAppliedHash(tx, mark, clock.now()) },
  );
  log.info({ declaration: path, ...summary }, 'applied the declaration');
  for (const warning of warnings) log.warn({ declaration: path }, warning);
}
