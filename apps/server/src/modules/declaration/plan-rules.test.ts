import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Declaration } from '@gatehouse/contracts';
import type { CurrentOrganization, CurrentState, CurrentUser } from './current-state.ts';
import { describePlan, planDeclaration } from './plan-rules.ts';

const nothing: CurrentState = { organizations: new Map(), issuers: new Map(), webhooks: [] };

/** An organization as it is; built-in roles are always there. */
function organization(parts: Partial<CurrentOrganization> = {}): CurrentOrganization {
  const roles = new Map([
    ['admin', { permissions: [], builtIn: true }],
    ...(parts.roles ?? new Map<string, { permissions: string[]; builtIn: boolean }>()),
  ]);
  return { exists: true, services: new Map(), users: new Map(), others: [], ...parts, roles };
}

const user = (parts: Partial<CurrentUser> = {}): CurrentUser => ({
  uid: 'usr_1',
  username: 'alice',
  organization: 'acme',
  status: 'active',
  member: true,
  roles: [],
  ...parts,
});

/** A line a step: sign, kind, name and the changed fields. */
function planLines(declaration: Declaration, current: CurrentState, prune = false): string[] {
  const signs = { create: '+', update: '~', delete: '-', unchanged: '=' };
  return describePlan(planDeclaration(declaration, current, { prune })).steps.map(({ action, kind, name, changes }) =>
    [signs[action], kind, name, ...changes.map(({ field }) => field)].join(' '),
  );
}

const declaration: Declaration = {
  organizations: {
    acme: {
      services: {
        records: { audience: 'records', grants: ['client_credentials', 'token_exchange'], roles: ['reader'] },
        web: { authentication: 'none', grants: ['authorization_code'], redirect_uris: ['https://a.example/cb'] },
        jobs: { client_secret: 'x'.repeat(40) },
      },
      roles: { support: { permissions: ['users:read'] } },
      users: { alice: { password: 'correct horse battery staple', roles: ['developer', 'records:reader'] } },
    },
  },
  trusted_issuers: {
    partner: { issuer: 'https://idp.example', jwks_uri: 'https://idp.example/jwks', algorithms: ['RS256'] },
  },
};

test('where there is nothing, everything is created in an order that works, and no secret is in the plan', () => {
  const plan = describePlan(planDeclaration(declaration, nothing, { prune: true }));
  assert.deepEqual(planLines(declaration, nothing, true), [
    '+ trusted_issuer partner issuer jwks_uri algorithms',
    '+ organization acme',
    '+ service acme.records audience grants client_secret',
    '+ role records:reader',
    '+ service acme.web authentication grants redirect_uris',
    '+ service acme.jobs client_secret',
    '+ role support permissions',
    '+ user alice roles password',
  ]);
  assert.deepEqual(plan.summary, { create: 8, update: 0, delete: 0, unchanged: 0 });
  assert.doesNotMatch(JSON.stringify(plan), /correct horse|xxxx/);
});

/** What exists after the declaration above was applied. */
const applied: CurrentState = {
  organizations: new Map([
    [
      'acme',
      organization({
        services: new Map([
          [
            'records',
            {
              fields: {
                audience: 'records',
                grants: ['token_exchange', 'client_credentials'],
                pop_url: 'https://r/pop',
              },
              secretMatches: true,
              namespaces: new Map(),
            },
          ],
          [
            'web',
            {
              fields: {
                authentication: 'none',
                grants: ['authorization_code'],
                redirect_uris: ['https://a.example/cb'],
              },
              secretMatches: true,
              namespaces: new Map(),
            },
          ],
          ['jobs', { fields: {}, secretMatches: true, namespaces: new Map() }],
        ]),
        roles: new Map([
          ['records:reader', { permissions: [], builtIn: false }],
          ['support', { permissions: ['users:read'], builtIn: false }],
        ]),
        users: new Map([['alice', user({ roles: ['records:reader', 'developer'] })]]),
      }),
    ],
  ]),
  webhooks: [],
  issuers: new Map([
    [
      'partner',
      { issuer: 'https://idp.example', jwks_uri: 'https://idp.example/jwks', algorithms: ['RS256'], audiences: [] },
    ],
  ]),
};

test('applied twice is a no-op: order of lists and unnamed fields do not matter, a password is not set again', () => {
  const plan = describePlan(planDeclaration(declaration, applied, { prune: true }));
  assert.deepEqual(plan.summary, { create: 0, update: 0, delete: 0, unchanged: 8 });
  assert.deepEqual(plan.warnings, []);
});

test('what is otherwise is updated, field by field', () => {
  const acme = applied.organizations.get('acme');
  const current: CurrentState = {
    webhooks: [],
    issuers: new Map([
      ['partner', { issuer: 'https://idp.example', jwks_uri: 'https://x', algorithms: ['ES256'], audiences: [] }],
    ]),
    organizations: new Map([
      [
        'acme',
        organization({
          ...acme,
          services: new Map([
            ...(acme?.services ?? []),
            [
              'records',
              {
                fields: { audience: 'old', grants: ['client_credentials'] },
                secretMatches: true,
                namespaces: new Map(),
              },
            ],
            ['jobs', { fields: {}, secretMatches: false, namespaces: new Map() }],
          ]),
          users: new Map([['alice', user({ roles: ['developer'] })]]),
        }),
      ],
    ]),
  };
  assert.deepEqual(
    planLines(declaration, current).filter((line) => !line.startsWith('=')),
    [
      '~ trusted_issuer partner jwks_uri algorithms',
      '~ service acme.records audience grants',
      '~ service acme.jobs client_secret',
      '~ user alice roles',
    ],
  );
  const [, records] = describePlan(planDeclaration(declaration, current, { prune: false })).steps.filter(
    ({ action }) => action === 'update',
  );
  assert.deepEqual(records?.changes[0], { field: 'audience', from: 'old', to: 'records' });
});

test('naming one source of keys ends the other', () => {
  const current: CurrentState = {
    issuers: new Map(),
    webhooks: [],
    organizations: new Map([
      [
        'acme',
        organization({
          services: new Map([
            ['r', { fields: { pop_url: 'https://r/pop' }, secretMatches: true, namespaces: new Map() }],
          ]),
        }),
      ],
    ]),
  };
  const jwks = { keys: [{ kty: 'RSA' }] };
  const plan = planDeclaration({ organizations: { acme: { services: { r: { jwks } } } } }, current, { prune: false });
  assert.deepEqual(plan.steps[1]?.step.changes, [
    { field: 'jwks', to: jwks },
    { field: 'pop_url', from: 'https://r/pop' },
  ]);
});

test('an account of another organization becomes a member, without a password', () => {
  const current: CurrentState = {
    issuers: new Map(),
    webhooks: [],
    organizations: new Map([['acme', organization({ users: new Map([['alice', user({ member: false })]]) })]]),
  };
  const { steps } = planDeclaration(
    { organizations: { acme: { users: { alice: { password: 'never used here', roles: ['admin'] } } } } },
    current,
    { prune: false },
  );
  assert.deepEqual(steps[1]?.step, {
    action: 'update',
    kind: 'user',
    organization: 'acme',
    name: 'alice',
    changes: [
      { field: 'member', from: false, to: true },
      { field: 'roles', from: [], to: ['admin'] },
    ],
  });
});

test('a declared account that was suspended or archived stays so, and the plan says it', () => {
  const current: CurrentState = {
    issuers: new Map(),
    webhooks: [],
    organizations: new Map([['acme', organization({ users: new Map([['alice', user({ status: 'deactivated' })]]) })]]),
  };
  const plan = describePlan(
    planDeclaration({ organizations: { acme: { users: { alice: {} } } } }, current, { prune: true }),
  );
  assert.equal(plan.summary.unchanged, 2);
  assert.match(plan.warnings[0] ?? '', /alice in acme is declared and suspended; .* gatehouse users restore/);
});

test('only with prune is anything deleted, only in named organizations, and never in gatehouse or of the built-in', () => {
  const short: Declaration = {
    organizations: {
      acme: { services: { records: { roles: [] } }, roles: {}, users: {} },
      gatehouse: { users: {} },
    },
    trusted_issuers: {},
  };
  const guest = user({ uid: 'usr_4', username: 'guest', organization: 'globex', roles: ['auditor'] });
  const current: CurrentState = {
    issuers: applied.issuers,
    webhooks: [],
    organizations: new Map([
      [
        'acme',
        organization({
          ...applied.organizations.get('acme'),
          users: new Map(),
          others: [user(), user({ uid: 'usr_2', username: 'gone', status: 'archived' }), guest],
        }),
      ],
      ['gatehouse', organization({ others: [user({ uid: 'usr_3', username: 'root' })] })],
    ]),
  };
  assert.deepEqual(
    planLines(short, current).filter((line) => line.startsWith('-')),
    [],
  );
  assert.deepEqual(
    planLines(short, current, true).filter((line) => line.startsWith('-')),
    [
      '- user alice status',
      '- user guest roles',
      '- role records:reader',
      '- role support',
      '- service acme.web',
      '- service acme.jobs',
      '- trusted_issuer partner',
    ],
  );
  assert.deepEqual(planLines({ organizations: {} }, current, true), [], 'an organization is never deleted');
  assert.deepEqual(
    planLines({ organizations: { acme: { services: { records: {}, web: {} } } } }, current, true),
    ['= organization acme', '= service acme.records', '= service acme.web', '- service acme.jobs'],
    'an absent section or list says nothing: users, roles, roles of records and issuers stay',
  );
});
