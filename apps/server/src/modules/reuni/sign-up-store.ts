import { named, type Tx } from '../../kernel/index.ts';

const lock = {
  name: 'reuni_lock_sign_up_organization',
  text: 'select organization from reuni.sign_up_organization for update',
};
/** The organization of those who sign up, once it is made; one node at a time may make it. */
export async function getSignUpOrganizationForUpdate(tx: Tx): Promise<string | undefined> {
  return (await named<{ organization: string | null }>(tx, lock, []))[0]?.organization ?? undefined;
}

const set = { name: 'reuni_set_sign_up_organization', text: 'update reuni.sign_up_organization set organization = $1' };
export async function setSignUpOrganization(tx: Tx, organization: string): Promise<void> {
  await named(tx, set, [organization]);
}
