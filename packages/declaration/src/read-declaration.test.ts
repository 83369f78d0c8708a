import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Declaration, permissions } from '@gatehouse/contracts';
import { checkShape, DeclarationError, readDeclaration } from './index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-declaration-'));
});
after(() => rm(folder, { recursive: true }));

/** Writes the files and reads the first of them as a declaration. */
async function read(files: Record<string, string>) {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return readDeclaration(join(folder, Object.keys(files)[0] ?? ''));
}

/** The lines of the refusal. */
async function refusal(text: string): Promise<string[]> {
  try {
    await read({ 'gatehouse.yaml': text });
  } catch (error) {
    assert.ok(error instanceof DeclarationError, String(error));
    return error.message.split('\n');
  }
  return assert.fail('it was accepted');
}

test('a declaration is read, with the files beside it', async () => {
  const declaration = await read({
    'gatehouse.yaml': `
organizations:
  acme:
    services:
      records:
        audience: records
        pop_url: http://127.0.0.1:9000/pop
        client_secret_file: ./secrets/records.secret
        grants: [client_credentials, token_exchange]
        roles: [reader, writer]
      plain:
    roles:
      support: { permissions: [users:read, sessions:revoke] }
    users:
      alice: { password_file: secrets/alice.password, roles: [developer, 'records:reader'] }
trusted_issuers:
  partner: { issuer: 'https://idp.partner.example', jwks_uri: 'https://idp.partner.example/jwks', algorithms: [RS256] }
`,
    'secrets/records.secret': `${'s'.repeat(40)}\n`,
    'secrets/alice.password': 'correct horse battery \r\n',
  });
  assert.deepEqual(declaration, {
    organizations: {
      acme: {
        services: {
          records: {
            audience: 'records',
            pop_url: 'http://127.0.0.1:9000/pop',
            client_secret: 's'.repeat(40),
            grants: ['client_credentials', 'token_exchange'],
            roles: ['reader', 'writer'],
          },
          plain: {},
        },
        roles: { support: { permissions: ['users:read', 'sessions:revoke'] } },
        users: { alice: { password: 'correct horse battery ', roles: ['developer', 'records:reader'] } },
      },
    },
    trusted_issuers: {
      partner: {
        issuer: 'https://idp.partner.example',
        jwks_uri: 'https://idp.partner.example/jwks',
        algorithms: ['RS256'],
      },
    },
  });
  assert.deepEqual(checkShape(Declaration, declaration), [], 'what the reader makes is what the API takes');
});

test('an empty file is an empty declaration', async () => {
  assert.deepEqual(await read({ 'gatehouse.yaml': '# nothing yet\n' }), {});
});

test('an unknown key is refused with line, path and what was probably meant', async () => {
  assert.deepEqual(
    await refusal(`organizations:
  acme:
    services:
      records:
        pop_ur1: http://127.0.0.1:9000/pop
        colour: blue
trusted_isuers: {}
`),
    [
      'gatehouse.yaml:5: organizations.acme.services.records.pop_ur1 is not known; did you mean pop_url?',
      'gatehouse.yaml:6: organizations.acme.services.records.colour is not known; known here: audience, pop_url, jwks, grants, redirect_uris, post_logout_redirect_uris, authentication, first_party, id_token_signed_response_alg, roles, account_roles, namespaces, client_secret_file',
      'gatehouse.yaml:7: trusted_isuers is not known; did you mean trusted_issuers?',
    ],
  );
});

test('secrets in the file are refused with what to do', async () => {
  assert.deepEqual(
    await refusal(`organizations:
  acme:
    services: { records: { client_secret: hunter2 } }
    users: { alice: { password: hunter2 } }
webhooks:
  - { url: https://h.example/, events: ['*'], secret: hunter2 }
`),
    [
      'gatehouse.yaml:3: organizations.acme.services.records.client_secret is not known; write the secret to a file and name it with client_secret_file',
      'gatehouse.yaml:4: organizations.acme.users.alice.password is not known; write the password to a file and name it with password_file',
      'gatehouse.yaml:6: webhooks.0.secret is not known; write the secret to a file and name it with secret_file',
    ],
  );
});

test('namespaces and webhooks: values as they are, secrets from the files beside the declaration', async () => {
  const declaration = await read({
    'gatehouse.yaml': `
organizations:
  acme:
    services:
      records:
        namespaces:
          empty:
          default:
            configuration:
              DB_HOST: 127.0.0.1
              RETRIES: 3
              LIMITS: { read: 1.5, nested: { secret_file: not a secret here } }
              NOTHING: null
              DB_PASS: { secret_file: ./db.secret }
              OWN: { $client: id }
              'a key: with __proto__': x
            extends: [base, platform/common]
            shared: false
            schema: { type: object, required: [DB_HOST] }
            review_required: false
            labels: { team: storage }
webhooks:
  - { url: 'https://hooks.acme.example/a', events: [keys.rotated, 'user.*'] }
  - { url: 'https://hooks.acme.example/a', events: ['*'], organization: acme, secret_file: hook.secret }
`,
    'db.secret': `-----BEGIN-----\n${'x'.repeat(50_000)}\n`,
    'hook.secret': 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n',
  });
  const service = declaration.organizations?.['acme']?.services?.['records'];
  assert.deepEqual(service?.namespaces, {
    empty: {},
    default: {
      configuration: {
        DB_HOST: '127.0.0.1',
        RETRIES: 3,
        LIMITS: { read: 1.5, nested: { secret_file: 'not a secret here' } },
        NOTHING: null,
        DB_PASS: { $secret: `-----BEGIN-----\n${'x'.repeat(50_000)}` },
        OWN: { $client: 'id' },
        'a key: with __proto__': 'x',
      },
      extends: ['base', 'platform/common'],
      shared: false,
      schema: { type: 'object', required: ['DB_HOST'] },
      review_required: false,
      labels: { team: 'storage' },
    },
  });
  assert.deepEqual(declaration.webhooks, [
    { url: 'https://hooks.acme.example/a', events: ['keys.rotated', 'user.*'] },
    {
      url: 'https://hooks.acme.example/a',
      events: ['*'],
      organization: 'acme',
      secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    },
  ]);
  assert.deepEqual(checkShape(Declaration, declaration), []);
});

test('configuration values and webhooks that are not right are refused with their place, never with their value', async () => {
  assert.deepEqual(
    await refusal(`organizations:
  acme:
    services:
      records:
        namespaces:
          Default: {}
          default:
            configuration:
              $odd: 1
              INLINE: { $secret: hunter2 }
              BOTH: { secret_file: a, or: b }
              LIST: { secret_file: [a] }
              INFINITE: .inf
              MISSING: { secret_file: nowhere }
            extends: [../other]
            labels: { 'a b': x }
            colour: blue
webhooks:
  - { url: ftp://x.example, events: [] }
  - { events: [Users], secret_file: 7 }
`),
    [
      'gatehouse.yaml:6: organizations.acme.services.records.namespaces.Default is not a name that is allowed here; use lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters',
      'gatehouse.yaml:9: organizations.acme.services.records.namespaces.default.configuration.$odd is not a name that is allowed here; use 1 to 256 characters, no control characters, not beginning with $',
      'gatehouse.yaml:15: organizations.acme.services.records.namespaces.default.extends.0 has a form that is not allowed; use <namespace> or <service>/<namespace>',
      'gatehouse.yaml:16: organizations.acme.services.records.namespaces.default.labels.a b is not a name that is allowed here; use letters, digits and . _ / -, beginning with a letter or digit, at most 63 characters',
      'gatehouse.yaml:17: organizations.acme.services.records.namespaces.default.colour is not known; known here: configuration, extends, shared, schema, review_required, labels',
      'gatehouse.yaml:19: webhooks.0.url has a form that is not allowed; use an http or https URL',
      'gatehouse.yaml:19: webhooks.0.events needs at least 1 entries',
      'gatehouse.yaml:20: webhooks.1.events.0 has a form that is not allowed; use an event, such as user.created, or user.* or *',
      'gatehouse.yaml:20: webhooks.1.secret_file must be text; put it in quotes',
      'gatehouse.yaml:20: webhooks.1.url is missing; add it',
    ],
  );
  assert.deepEqual(
    await refusal(`organizations:
  acme:
    services:
      records:
        namespaces:
          default:
            configuration:
              INLINE: { $secret: hunter2 }
              BOTH: { secret_file: a, or: b }
              LIST: { secret_file: [a] }
              INFINITE: [.inf]
webhooks:
  - { url: https://x.example, events: ['*'] }
  - { url: https://X.example/, events: [user.created] }
`),
    [
      'gatehouse.yaml:8: organizations.acme.services.records.namespaces.default.configuration.INLINE has a secret in the declaration itself; write it to a file and name it with {secret_file: path}',
      'gatehouse.yaml:9: organizations.acme.services.records.namespaces.default.configuration.BOTH has a secret_file that is not understood; write {secret_file: path} and nothing beside it',
      'gatehouse.yaml:10: organizations.acme.services.records.namespaces.default.configuration.LIST has a secret_file that is not understood; write {secret_file: path} and nothing beside it',
      'gatehouse.yaml:11: organizations.acme.services.records.namespaces.default.configuration.INFINITE has a number that JSON cannot write; write it as text',
      'gatehouse.yaml:14: webhooks.1.url is named twice; name it once, with all its events',
    ],
  );
  assert.deepEqual(
    await refusal(`organizations:
  acme: { services: { records: { namespaces: { default: { configuration: { A: { secret_file: nowhere } } } } } } }
webhooks: [{ url: https://x.example, events: ['*'], secret_file: nowhere }]
`),
    [
      'gatehouse.yaml:2: organizations.acme.services.records.namespaces.default.configuration.A.secret_file names nowhere, which does not exist; check the path and its permissions',
      'gatehouse.yaml:3: webhooks.0.secret_file names nowhere, which does not exist; check the path and its permissions',
    ],
  );
});

test('wrong values are refused with rule and fix', async () => {
  assert.deepEqual(
    await refusal(`organizations:
  Acme: {}
  acme:
    services: { records: { audience: 7, grants: [client_credential], redirect_uris: x, roles: [a, a] } }
    roles: { support: { permissions: [users:raed] }, empty: }
    users: []
`),
    [
      'gatehouse.yaml:2: organizations.Acme is not a name that is allowed here; use lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters',
      'gatehouse.yaml:4: organizations.acme.services.records.audience must be text; put it in quotes',
      'gatehouse.yaml:4: organizations.acme.services.records.grants.0 must be one of authorization_code, refresh_token, client_credentials, token_exchange, device_code; did you mean client_credentials?',
      'gatehouse.yaml:4: organizations.acme.services.records.redirect_uris must be a list; write [a, b] or lines that begin with -',
      'gatehouse.yaml:4: organizations.acme.services.records.roles names an entry twice; remove one of the two',
      `gatehouse.yaml:5: organizations.acme.roles.support.permissions.0 must be one of ${permissions.join(', ')}; did you mean users:read?`,
      'gatehouse.yaml:5: organizations.acme.roles.empty.permissions is missing; add it',
      'gatehouse.yaml:6: organizations.acme.users must be a mapping; write keys and values below it',
    ],
  );
});

test('pop_url beside jwks, and one issuer under two names, are refused', async () => {
  assert.deepEqual(
    await refusal(`organizations:
  acme: { services: { records: { pop_url: 'https://r.example/pop', jwks: { keys: [ { kty: RSA } ] } } } }
trusted_issuers:
  a: { issuer: https://idp.example, jwks_uri: https://idp.example/jwks, algorithms: [ES256] }
  b: { issuer: https://idp.example, jwks_uri: https://idp.example/jwks, algorithms: [ES256] }
`),
    [
      'gatehouse.yaml:2: organizations.acme.services.records.jwks is given beside pop_url; keep one: pop_url when the service rotates its keys, else jwks',
      'gatehouse.yaml:5: trusted_issuers.b.issuer is the issuer of a too; name each issuer once',
    ],
  );
});

test('a file that a key names must be there, readable, small and not empty; every fault is told at once', async () => {
  await mkdir(join(folder, 'directory'), { recursive: true });
  await writeFile(join(folder, 'empty'), '\n');
  await writeFile(join(folder, 'big'), 'x'.repeat(5000));
  assert.deepEqual(
    await refusal(`organizations:
  acme:
    users:
      a: { password_file: ./missing }
      b: { password_file: empty }
      c: { password_file: big }
      d: { password_file: directory }
`),
    [
      'gatehouse.yaml:4: organizations.acme.users.a.password_file names ./missing, which does not exist; check the path and its permissions',
      'gatehouse.yaml:5: organizations.acme.users.b.password_file names empty, which is empty; check the path and its permissions',
      'gatehouse.yaml:6: organizations.acme.users.c.password_file names big, which is larger than 4096 bytes; check the path and its permissions',
      'gatehouse.yaml:7: organizations.acme.users.d.password_file names directory, which cannot be read (EISDIR); check the path and its permissions',
    ],
  );
});

test('broken, oversized, deep and self-repeating YAML is refused before it costs anything', async () => {
  assert.match(
    (await refusal('a: 1\na: 2\n'))[0] ?? '',
    /^gatehouse.yaml:2: is not YAML as we accept it: Map keys must be unique/,
  );
  assert.match((await refusal('a: [1\n'))[0] ?? '', /is not YAML as we accept it/);
  assert.match((await refusal('a: !!js/function x\n'))[0] ?? '', /is not YAML as we accept it: Unresolved tag/);
  assert.match((await refusal(`a: ${'['.repeat(20_000)}`))[0] ?? '', /is nested deeper than 32 levels/);
  assert.match((await refusal('- '.repeat(20_000)))[0] ?? '', /is nested deeper than 32 levels/);
  assert.match((await refusal(`a: ${'x'.repeat(600_000)}`))[0] ?? '', /is larger than 512 KiB; split it/);
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefghi'.split('').map((name, index) => {
      const previous = 'abcdefghi'[index];
      return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${previous}`).join(',')}]`;
    }),
  ].join('\n');
  assert.match((await refusal(bomb))[0] ?? '', /repeats too much by aliases/);
  assert.match((await refusal('organizations: {}\n---\norganizations: {}\n'))[0] ?? '', /multiple documents/);
  await assert.rejects(readDeclaration(join(folder, 'nowhere.yaml')), /nowhere.yaml: does not exist; check the path/);
});
