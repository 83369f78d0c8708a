/** Of an account: `active`, `deactivated` (suspended) or `archived`. */
export type UserStatus = 'active' | 'archived' | 'deactivated';

/** A person's account, as stored. No profile data: that belongs to the company's own user service. */
export interface User {
  uid: string;
  /** The organization that administers the account. */
  organization: string;
  username: string;
  status: UserStatus;
  last_login: Date | null;
  last_login_attempt: Date | null;
  created_at: Date;
  created_by: string;
}

/** What a user is in one organization. */
export interface Membership {
  organization: string;
  uid: string;
  role_ids: string[];
  created_at: Date;
  created_by: string;
}
