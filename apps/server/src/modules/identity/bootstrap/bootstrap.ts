import { createHash } from 'node:crypto';
import {
  AppError,
  type Clock,
  type Db,
  type Logger,
  type Origin,
  type Random,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { operatorOrganization } from '../deps.ts';
import type { Passwords } from '../passwords/passwords.ts';
import type { User } from '../users/user.ts';
import type { Users } from '../users/user-service.ts';
import { lockOperators } from '../users/user-store.ts';
import {
  completeBootstrap,
  findAnyOperator,
  findBootstrapCompleted,
  insertSetupCode,
  isSetupCode,
} from './bootstrap-store.ts';

/** Set-up links that work at the same time: one for each node of a cluster that starts at once. */
const maxSetupCodes = 8;

/**
 * How the first operator comes to be: from the settings, or by a one-time link. There is no default credential, and
 * whatever the number of nodes and of people who use the link, there is one first operator.
 */
export function createBootstrap(deps: {
  db: Db;
  clock: Clock;
  random: Pick<Random, 'bytes'>;
  log: Logger;
  audit: Pick<Audit, 'append'>;
  users: Pick<Users, 'createUser'>;
  passwords: Pick<Passwords, 'hashNew'>;
  settings: { publicUrl: string; adminUsername: string | undefined; adminPassword: string | undefined };
}) {
  const { db, clock, random, log, audit, users, passwords, settings } = deps;
  let setupUrl: string | undefined;

  /** With the lock held: true while there is no operator. */
  const isOpen = async (tx: Tx): Promise<boolean> => {
    if (await lockOperators(tx)) return false;
    const operator = await findAnyOperator(tx);
    if (operator === undefined) return true;
    await completeBootstrap(tx, clock.now(), operator); // made by a declaration
    return false;
  };

  const createOperator = async (tx: Tx, username: string, passwordHash: string, origin: Origin): Promise<User> => {
    const user = await users.createUser(tx, {
      organization: operatorOrganization,
      username,
      passwordHash,
      roles: ['admin'],
      granter: 'system',
      origin,
    });
    await completeBootstrap(tx, clock.now(), user.uid);
    await audit.append(tx, {
      action: 'operator.created',
      organization: operatorOrganization,
      origin,
      target: { type: 'user', id: user.uid },
      details: { username },
    });
    return user;
  };

  const fromSettings = async (username: string, password: string): Promise<void> => {
    const hash = await passwords.hashNew(password, [username, operatorOrganization]).catch((error: unknown) => {
      throw new Error(`GATEHOUSE_ADMIN_PASSWORD: ${(error as Error).message} Choose another one.`, { cause: error });
    });
    const origin: Origin = { actor: { type: 'system', id: 'system' }, organization: operatorOrganization };
    const made = await db.transaction(
      async (tx) => (await isOpen(tx)) && (await createOperator(tx, username, hash, origin)),
    );
    if (made) log.info({ username }, 'the first operator was created from GATEHOUSE_ADMIN_USERNAME');
  };

  return {
    /** At the start of a node: makes the first operator from the settings, or a fresh link, or nothing. */
    async start(): Promise<void> {
      const { adminUsername, adminPassword, publicUrl } = settings;
      const open = await db.transaction(isOpen);
      if (!open) {
        if (adminUsername !== undefined) {
          log.info('GATEHOUSE_ADMIN_USERNAME is not used: the first operator exists already');
        }
        return;
      }
      if (adminUsername !== undefined && adminPassword !== undefined) {
        await fromSettings(adminUsername, adminPassword);
        return;
      }
      const code = Buffer.from(random.bytes(32)).toString('base64url');
      await db.transaction((tx) => insertSetupCode(tx, hashOf(code), clock.now(), maxSetupCodes));
      setupUrl = `${publicUrl}/setup#${code}`;
    },
    /** The one-time link, for whoever started the server; undefined when there is an operator. Not for the log. */
    setupUrl: (): string | undefined => setupUrl,
    /** True while nobody is operator. */
    isOpen: async (): Promise<boolean> =>
      db.read(async (tx) => !(await findBootstrapCompleted(tx)) && (await findAnyOperator(tx)) === undefined),
    /** Makes the first operator with a code of a printed link; 410 when there is one, 403 for a code that is not ours. */
    async setUp(input: { code: string; username: string; password: string; origin: Origin }): Promise<User> {
      const { code, username, password, origin } = input;
      const hash = hashOf(code);
      await db.read(async (tx) => assertCode(tx, hash));
      const passwordHash = await passwords.hashNew(password, [username, operatorOrganization]);
      const user = await db.transaction(async (tx) => {
        if (!(await isOpen(tx))) throw closed();
        await assertCode(tx, hash);
        return createOperator(tx, username, passwordHash, origin);
      });
      setupUrl = undefined;
      return user;
    },
  };

  async function assertCode(tx: Parameters<typeof isSetupCode>[0], hash: Buffer): Promise<void> {
    if (await isSetupCode(tx, hash)) return;
    // The codes go with the commit that makes the operator, so a code that is missing is asked about before this is.
    if (await findBootstrapCompleted(tx)) throw closed();
    throw new AppError('kernel.forbidden', {
      detail: 'The code is not that of a set-up link that was printed lately. Start the server again for a fresh one.',
    });
  }
}

/** How the first operator comes to be. */
export type Bootstrap = ReturnType<typeof createBootstrap>;

function closed(): AppError {
  return new AppError('identity.setup_closed', { detail: 'Sign in, or ask an operator for an account.' });
}

function hashOf(code: string): Buffer {
  return createHash('sha256').update(`gatehouse setup\0${code}`).digest();
}
