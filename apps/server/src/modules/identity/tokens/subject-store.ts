import { named, type Reader } from '../../../kernel/index.ts';

/** A user as a member of an organization. */
export interface MemberRow {
  uid: string;
  username: string;
  home: string;
  active: boolean;
  /** Null when the user is no member of the organization, or the organization is suspended. */
  role_ids: string[] | null;
}

const memberStatement = {
  name: 'identity_find_member',
  text: `select u.uid, u.username, u.organization as home, u.status = 'active' as active,
      case when o.status = 'active' then m.role_ids end as role_ids
    from identity.users u
      left join identity.memberships m on m.uid = u.uid and m.organization = $2
      left join identity.organizations o on o.name = m.organization
    where u.uid = $1`,
};
/** A user and its roles in an organization. */
export async function findMember(tx: Reader, uid: string, organization: string): Promise<MemberRow | undefined> {
  return (await named<MemberRow>(tx, memberStatement, [uid, organization]))[0];
}

/** What the database says about the bearer of a user's access token, in one statement. */
export interface UserTokenRow extends MemberRow {
  session_alive: boolean;
  /** The client is Gatehouse itself, or an active service. */
  client_active: boolean;
  token_revoked: boolean;
}

const userTokenStatement = {
  name: 'identity_judge_user_token',
  text: `select u.uid, u.username, u.organization as home, u.status = 'active' as active,
      case when o.status = 'active' then m.role_ids end as role_ids,
      s.id is not null and s.revoked_at is null and s.absolute_expires_at > $5 as session_alive,
      $6 = 'gatehouse' or exists (select from identity.services c where c.client_id = $6 and c.status = 'active')
        as client_active,
      exists (select from identity.revoked_tokens r where r.token_id = $4) as token_revoked
    from identity.users u
      left join identity.memberships m on m.uid = u.uid and m.organization = $2
      left join identity.organizations o on o.name = m.organization
      left join identity.sessions s on s.id = $3 and s.user_id = u.uid
    where u.uid = $1`,
};
export async function judgeUserToken(
  tx: Reader,
  token: { uid: string; organization: string; sessionId: string; tokenId: string; clientId: string; now: Date },
): Promise<UserTokenRow | undefined> {
  const values = [token.uid, token.organization, token.sessionId, token.tokenId, token.now, token.clientId];
  return (await named<UserTokenRow>(tx, userTokenStatement, values))[0];
}

/** What the database says about the bearer of a service's own access token. */
export interface ServiceTokenRow {
  client_id: string;
  organization: string;
  role_ids: string[];
  token_revoked: boolean;
}

const serviceTokenStatement = {
  name: 'identity_judge_service_token',
  text: `select s.client_id, s.organization, s.role_ids,
      exists (select from identity.revoked_tokens r where r.token_id = $2) as token_revoked
    from identity.services s join identity.organizations o on o.name = s.organization
    where s.client_id = $1 and s.status = 'active' and o.status = 'active'`,
};
/** Undefined when the service or its organization is not active. */
export async function judgeServiceToken(
  tx: Reader,
  token: { clientId: string; tokenId: string },
): Promise<ServiceTokenRow | undefined> {
  return (await named<ServiceTokenRow>(tx, serviceTokenStatement, [token.clientId, token.tokenId]))[0];
}

const organizationStatement = {
  name: 'identity_is_organization',
  text: 'select 1 as found from identity.organizations where name = $1',
};
export async function isOrganization(tx: Reader, name: string): Promise<boolean> {
  return (await named(tx, organizationStatement, [name])).length === 1;
}

const subjectStatement = {
  name: 'identity_is_subject',
  text: 'select 1 as found from identity.subjects where subject = $1',
};
/** True for a value that is, or ever was, the `sub` of a user or a service. */
export async function isSubject(tx: Reader, subject: string): Promise<boolean> {
  return (await named(tx, subjectStatement, [subject])).length === 1;
}
