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

/** A user's access token, as far as the database has a say in it. */
export interface UserToken {
  readonly uid: string;
  readonly organization: string;
  readonly sessionId: string;
  readonly tokenId: string;
  readonly clientId: string;
}

const userTokensStatement = {
  name: 'identity_judge_user_tokens',
  text: `select t.token_id, u.uid, u.username, u.organization as home, u.status = 'active' as active,
      case when o.status = 'active' then m.role_ids end as role_ids,
      s.id is not null and s.revoked_at is null and s.absolute_expires_at > $6 as session_alive,
      t.client_id = 'gatehouse'
        or exists (select from identity.services c where c.client_id = t.client_id and c.status = 'active')
        as client_active,
      exists (select from identity.revoked_tokens r where r.token_id = t.token_id) as token_revoked
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
        as t (uid, organization, session_id, token_id, client_id)
      join identity.users u on u.uid = t.uid
      left join identity.memberships m on m.uid = u.uid and m.organization = t.organization
      left join identity.organizations o on o.name = m.organization
      left join identity.sessions s on s.id = t.session_id and s.user_id = u.uid`,
};
/** What is to be said about these tokens, by token id. */
export async function judgeUserTokens(
  tx: Reader,
  tokens: readonly UserToken[],
  now: Date,
): Promise<Map<string, UserTokenRow>> {
  const rows = await named<UserTokenRow & { token_id: string }>(tx, userTokensStatement, [
    tokens.map((token) => token.uid),
    tokens.map((token) => token.organization),
    tokens.map((token) => token.sessionId),
    tokens.map((token) => token.tokenId),
    tokens.map((token) => token.clientId),
    now,
  ]);
  return new Map(rows.map((row) => [row.token_id, row]));
}

/** A service's own access token. */
export interface ServiceToken {
  readonly clientId: string;
  readonly tokenId: string;
}

/** What the database says about the bearer of a service's own access token. */
export interface ServiceTokenRow {
  client_id: string;
  organization: string;
  role_ids: string[];
  token_revoked: boolean;
}

const serviceTokensStatement = {
  name: 'identity_judge_service_tokens',
  text: `select t.token_id, s.client_id, s.organization, s.role_ids,
      exists (select from identity.revoked_tokens r where r.token_id = t.token_id) as token_revoked
    from unnest($1::text[], $2::text[]) as t (client_id, token_id)
      join identity.services s on s.client_id = t.client_id
      join identity.organizations o on o.name = s.organization
    where s.status = 'active' and o.status = 'active'`,
};
/** By token id; what is not there belongs to a service, or an organization, that is not active. */
export async function judgeServiceTokens(
  tx: Reader,
  tokens: readonly ServiceToken[],
): Promise<Map<string, ServiceTokenRow>> {
  const values = [tokens.map((token) => token.clientId), tokens.map((token) => token.tokenId)];
  const rows = await named<ServiceTokenRow & { token_id: string }>(tx, serviceTokensStatement, values);
  return new Map(rows.map((row) => [row.token_id, row]));
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
