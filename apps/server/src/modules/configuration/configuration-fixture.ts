import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AccountsFixture,
  type Answer,
  createAccountsFixture,
  type Member,
} from '../../testing/accounts-fixture.ts';

/** A node with the organizations of the accounts, one service, people of each role, and short ways to publish. */
export interface ConfigurationFixture extends AccountsFixture {
  readonly admin: Member;
  readonly developer: Member;
  readonly auditor: Member;
  /** A request with somebody's token. */
  as(
    member: Pick<Member, 'token'>,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    payload?: object,
  ): Promise<Answer>;
  /** Makes a namespace of the service `billing`, as the operator. */
  namespace(name: string, more?: object): Promise<Answer>;
  /** Publishes on top of the newest version, as the operator; asserts success. */
  publish(name: string, configuration: object, more?: object): Promise<Answer>;
  /** The newest version, whole. */
  latest(name: string): Promise<Answer['body']>;
  /** Waits until the namespace has this version. */
  reaches(name: string, version: number): Promise<Answer['body']>;
  /** Waits until no job is left. */
  settled(): Promise<void>;
}

/** Path of a namespace: `default`, or `<service>/default`. */
export function pathOf(name: string): string {
  return `/v1/services/${name.includes('/') ? name : `billing/${name}`}`;
}

/** Starts the fixture. */
export async function createConfigurationFixture(
  options: Parameters<typeof createAccountsFixture>[0] = {},
): Promise<ConfigurationFixture> {
  const t = await createAccountsFixture(options);
  const made = await t.acme('POST', '/v1/services', { name: 'billing' });
  assert.equal(made.status, 201, made.raw.body);
  const as: ConfigurationFixture['as'] = (member, method, url, payload) =>
    t.call(method, url, { token: member.token, payload });
  const latest = async (name: string) => {
    const { body } = await t.acme('GET', `${pathOf(name)}/latest`);
    return (await t.acme('GET', `${pathOf(name)}/${body.version}`)).body;
  };
  const until = async (what: string, holds: () => Promise<boolean>) => {
    const deadline = performance.now() + 15_000;
    while (!(await holds())) {
      assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
      await delay(20);
    }
  };
  return {
    ...t,
    admin: await t.member('ada', ['admin']),
    developer: await t.member('dev', ['developer']),
    auditor: await t.member('aud', ['auditor']),
    as,
    latest,
    async namespace(name, more = {}) {
      const [namespace = '', service = 'billing'] = name.split('/').toReversed();
      return t.acme('POST', '/v1/services/namespaces', { service, namespace, ...more });
    },
    async publish(name, configuration, more = {}) {
      const parent_version = (await t.acme('GET', `${pathOf(name)}/latest`)).body.version;
      const answer = await t.acme('POST', pathOf(name), { parent_version, configuration, ...more });
      assert.equal(answer.status, 201, answer.raw.body);
      return answer;
    },
    async reaches(name, version) {
      await until(`${name} is at version ${version}`, async () => {
        const { body } = await t.acme('GET', `${pathOf(name)}/latest`);
        return body.version >= version;
      });
      const body = await latest(name);
      assert.equal(body.version, version);
      return body;
    },
    settled: () =>
      until('no job is left', async () => {
        const { rows } = await t.db.pool.query<{ count: string }>(
          `select count(*) from graphile_worker.jobs where task_identifier like 'configuration-%'`,
        );
        return rows[0]?.count === '0';
      }),
  };
}
