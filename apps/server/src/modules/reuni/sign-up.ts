import { AppError, type Clock, type Db, type Origin, type Random, type Tx } from '../../kernel/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Identity } from '../identity/index.ts';
import { insertUserId } from './ids-store.ts';
import { insertReuniSession } from './session-store.ts';
import { getSignUpOrganizationForUpdate, setSignUpOrganization } from './sign-up-store.ts';

/** The built-in organization of those who sign up. Its members have no rights there. */
export const signUpOrganization = 'reuni';

/** How long a sign-in at this layer lasts, as in the original; its refresh token does not rotate. */
export const sessionSeconds = 3600;

/** Longest name of a person, characters. */
const maxNameCharacters = 256;

const system: Origin = { actor: { type: 'system', id: 'reuni' } };

/** Accounts of this layer: made by whoever asks, in an organization of their own, without rights. */
export function createSignUp(deps: {
  db: Db;
  clock: Clock;
  random: Pick<Random, 'bytes'>;
  audit: Pick<Audit, 'append'>;
  identity: Identity;
}) {
  const { db, random, audit, identity } = deps;
  const signUpThrottle = identity.createThrottle('reuni-sign-up');
  const organizationThrottle = identity.createThrottle('reuni-organization');

  const many = { organization: signUpOrganization, outcome: 'failure', reason: 'too_many_attempts' } as const;
  /** Slow down who makes many; counted whether it succeeds or not. */
  const admitSignUp = (username: string, origin: Origin) =>
    signUpThrottle.admit({ subject: username.slice(0, 256), address: origin.address }, (tx) =>
      audit.append(tx, { ...many, action: 'user.sign_up_refused', origin }),
    );
  const admitOrganization = (uid: string, origin: Origin) =>
    organizationThrottle.admit({ subject: uid, address: origin.address }, (tx) =>
      audit.append(tx, { ...many, action: 'organization.refused', origin }),
    );

  return {
    /**
     * Makes the organization of those who sign up. One of this name that somebody else has filled is refused: its
     * administrators would administer the accounts of strangers.
     */
    async start(): Promise<void> {
      await db.transaction(async (tx) => {
        if ((await getSignUpOrganizationForUpdate(tx)) !== undefined) return;
        const present = await identity.organizations.findOrganization(tx, signUpOrganization);
        if (present) {
          const members = await identity.members.listMembers(tx, {
            organization: signUpOrganization,
            afterUid: undefined,
            limit: 1,
          });
          if (members.length > 0) {
            throw new Error(
              `GATEHOUSE_MODULES names reuni, which keeps those who sign up in the organization "${signUpOrganization}"; it exists and has members. Leave the module out.`,
            );
          }
        } else {
          await identity.organizations.createOrganization(tx, { name: signUpOrganization, origin: system });
        }
        await setSignUpOrganization(tx, signUpOrganization);
      });
    },

    /** Makes an account under the password policy. */
    async signUp(input: { name: string; username: string; password: string; origin: Origin }): Promise<void> {
      const { name, username, password, origin } = input;
      if (Array.from(name).length > maxNameCharacters || !name.isWellFormed() || name.includes('\0')) {
        throw new AppError('kernel.invalid_request', {
          detail: `name must have at most ${maxNameCharacters} characters`,
        });
      }
      await admitSignUp(username, origin);
      const { status } = await db.read((tx) => identity.organizations.getOrganization(tx, signUpOrganization));
      if (status !== 'active') {
        throw new AppError('identity.not_active', { detail: 'Nobody can sign up here at the moment.' });
      }
      const passwordHash = await identity.passwords.hashNew(password, [username, signUpOrganization]);
      await db.transaction(async (tx) => {
        const user = await identity.users.createUser(tx, {
          organization: signUpOrganization,
          username,
          passwordHash,
          roles: [],
          granter: 'system',
          origin,
        });
        await insertUserId(tx, user.uid, name);
      });
    },

    /** Signs in; the refresh token is 256 random bits, stored as a hash, and good as long as the session. */
    async signIn(input: { username: string; password: string; origin: Origin }) {
      const refreshToken = Buffer.from(random.bytes(32)).toString('base64url');
      const { username, password, origin } = input;
      const { accessToken } = await identity.fixedSessions.create(
        {
          username,
          password,
          seconds: sessionSeconds,
          also: (tx, session) => insertReuniSession(tx, session.id, refreshToken),
        },
        origin,
      );
      return { accessToken, refreshToken };
    },

    /** Makes an organization whose maker is its administrator. */
    async createOrganization(input: { name: string; uid: string; origin: Origin }): Promise<void> {
      const { name, uid, origin } = input;
      await admitOrganization(uid, origin);
      await db.transaction(async (tx) => {
        await identity.organizations.createOrganization(tx, { name, origin });
        await identity.users.addMember(tx, { organization: name, uid, roles: ['admin'], granter: 'system', origin });
      });
    },

    /** True for accounts that may be made members by whoever manages an organization: those who signed up. */
    isInPool: async (tx: Tx, uid: string): Promise<boolean> =>
      (await identity.users.findMembership(tx, signUpOrganization, uid)) !== undefined,
  };
}

/** Accounts of this layer. */
export type SignUp = ReturnType<typeof createSignUp>;
