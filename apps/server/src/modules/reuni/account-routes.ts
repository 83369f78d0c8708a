import { type Db, unauthenticated } from '../../kernel/index.ts';
import type { Identity } from '../identity/index.ts';
import { created } from './answer.ts';
import { badRequest, textOf } from './body.ts';
import type { Directory } from './directory.ts';
import type { Routes } from './route.ts';
import type { SignUp } from './sign-up.ts';

/** What the original's list of users says of times it did not read. */
const noTime = '0001-01-01T00:00:00Z';

/** `/signup`, `/login`, `/generateToken`, `/users`. */
export function accountRoutes(
  routes: Routes,
  { db, identity, signUp, directory }: { db: Db; identity: Identity; signUp: SignUp; directory: Directory },
): void {
  routes.open('whoever signs up has no account yet', {
    method: 'POST',
    path: '/signup',
    operationId: 'reuniSignUp',
    summary: 'Make an account without rights',
    async handle({ request: { origin }, body }) {
      const sent = body();
      const [name, username, password, email] = ['name', 'username', 'password', 'email'].map((field) =>
        textOf(sent, field),
      );
      // An address is asked for, as the original does, and not kept: no profile data here.
      if (!name || !username || !password || !email) throw badRequest('User data not valid');
      await signUp.signUp({ name, username, password, origin });
      return created;
    },
  });

  routes.open('whoever signs in has no token yet', {
    method: 'POST',
    path: '/login',
    operationId: 'reuniSignIn',
    summary: 'Sign in',
    async handle({ request: { origin }, body }) {
      const sent = body();
      const [username, password] = [textOf(sent, 'username'), textOf(sent, 'password')];
      const { accessToken, refreshToken } = await signUp.signIn({ username, password, origin });
      return { status: 200, json: { token: accessToken, refresh_token: refreshToken } };
    },
  });

  routes.user({
    method: 'POST',
    path: '/generateToken',
    operationId: 'reuniRenewToken',
    summary: 'Another access token for the same session',
    async handle({ who }) {
      const token = await identity.fixedSessions.renew(who.sessionId, who.origin);
      if (token === undefined) throw unauthenticated('The session has ended: sign in at /reuni/login.');
      return { status: 201, json: { token } };
    },
  });

  routes.user({
    method: 'GET',
    path: '/users',
    operationId: 'reuniListUsers',
    summary: 'Those who signed up, and fellow members',
    async handle({ who }) {
      const users = await db.transaction((tx) => directory.listVisibleUsers(tx, who.uid));
      const listed = users.map(({ id, name, username }) => ({
        id,
        name,
        username,
        password: '',
        email: '',
        created_at: noTime,
        updated_at: noTime,
      }));
      return { status: 200, json: listed.length === 0 ? null : listed };
    },
  });
}
