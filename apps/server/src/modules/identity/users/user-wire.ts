import { Name, strictObject, Timestamp } from '@gatehouse/contracts';
import { type Static, Type } from 'typebox';
import { wireTime } from '../deps.ts';
import type { ResolvedRoles } from '../roles/role.ts';
import type { User } from './user.ts';
import { maxUsernameCharacters, uidPattern } from './user-rules.ts';

/** A uid in a path. */
export const Uid = Type.String({ pattern: uidPattern, maxLength: 128 });
/** A user name as sent; what it may be made of is told by the error. */
export const Username = Type.String({ minLength: 1, maxLength: maxUsernameCharacters });
/** A password as sent; its policy is judged apart, so that the reason can be told. Never shown in the API page's examples. */
export const PasswordText = Type.String({ minLength: 1, maxLength: 1024 });
/** Status of an account. */
export const Status = Type.Union([Type.Literal('active'), Type.Literal('archived'), Type.Literal('deactivated')]);

/** An account as answered. */
export const UserBody = strictObject({
  uid: Type.String(),
  username: Type.String(),
  status: Status,
  organization: Name,
  roles: Type.Array(Type.String()),
  last_login: Type.Union([Timestamp, Type.Null()]),
  last_login_attempt: Type.Union([Timestamp, Type.Null()]),
  created_at: Timestamp,
  created_by: Type.String(),
});

/** Shapes an account for the wire. */
export function userToWire(user: User, roles: Pick<ResolvedRoles, 'names'>): Static<typeof UserBody> {
  return {
    uid: user.uid,
    username: user.username,
    status: user.status,
    organization: user.organization,
    roles: [...roles.names],
    last_login: user.last_login && wireTime(user.last_login),
    last_login_attempt: user.last_login_attempt && wireTime(user.last_login_attempt),
    created_at: wireTime(user.created_at),
    created_by: user.created_by,
  };
}
