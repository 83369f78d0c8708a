import { type Static, Type } from 'typebox';
import { eventPatternPattern } from './events.ts';
import { permissions } from './permissions.ts';
import { Name, namePattern, strictObject } from './schemas.ts';

/**
 * The declaration (`gatehouse.yaml`): what exists. It has two forms that differ only where a value is secret:
 * the **file** names a file beside it (`password_file`), the **wire** form carries the value (`password`), so that the
 * server never opens a path that a caller chose. Whoever reads the file resolves it: the CLI, or the server at start.
 */

/** A user name as a key of `users`. */
export const usernamePattern =
  '^[^\\u0000-\\u0020\\u007f](?:[^\\u0000-\\u001f\\u007f]{0,126}[^\\u0000-\\u0020\\u007f])?$';

const Url = Type.String({ minLength: 8, maxLength: 2048, pattern: '^https?://', description: 'an http or https URL' });
const SecretPath = Type.String({ minLength: 1, maxLength: 1024, description: 'a path relative to the declaration' });

/** What a service may be used for; the OAuth grant types by their short names. */
export const DeclaredGrant = Type.Enum([
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'token_exchange',
  'device_code',
]);
/** {@link DeclaredGrant} as a value. */
export type DeclaredGrant = Static<typeof DeclaredGrant>;

/** Signature algorithms that a trusted issuer may use. */
export const IssuerAlgorithm = Type.Enum(['RS256', 'PS256', 'ES256', 'EdDSA']);

const Jwks = Type.Object(
  { keys: Type.Array(Type.Record(Type.String({ maxLength: 64 }), Type.Unknown()), { minItems: 1, maxItems: 20 }) },
  { additionalProperties: false, description: 'a JSON Web Key Set with public keys only (RFC 7517)' },
);

const RoleName = Type.String({
  pattern: '^[a-z0-9][a-z0-9_-]{0,62}(?::[a-z0-9][a-z0-9_-]{0,62})?$',
  maxLength: 127,
  description: 'the name of a role, or <service>:<role>',
});

const RedirectUris = Type.Array(Type.String({ minLength: 1, maxLength: 2048, description: 'an absolute URI' }), {
  maxItems: 20,
  uniqueItems: true,
});
/** A key of a configuration: 1 to 256 characters, no control characters, not beginning with $. */
export const configurationKeyPattern = '^[^$\\u0000-\\u001f\\u007f][^\\u0000-\\u001f\\u007f]{0,255}$';
/** The name of a label. */
export const labelNamePattern = '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$';
const namespaceReference = '^(?:[a-z0-9][a-z0-9_-]{0,62}/)?[a-z0-9][a-z0-9_-]{0,62}$';

/**
 * A namespace. Values are themselves or a marker: a secret is `{$secret: value}` as it travels and `{secret_file: path}`
 * in a file; `{$key: …}` and `{$client: …}` refer to what Gatehouse owns.
 */
export const DeclaredNamespace = strictObject({
  configuration: Type.Optional(
    Type.Record(Type.String({ pattern: configurationKeyPattern }), Type.Unknown(), {
      additionalProperties: false,
      maxProperties: 2000,
    }),
  ),
  extends: Type.Optional(
    Type.Array(
      Type.String({ pattern: namespaceReference, maxLength: 127, description: '<namespace> or <service>/<namespace>' }),
      { maxItems: 8, uniqueItems: true },
    ),
  ),
  shared: Type.Optional(Type.Boolean({ description: 'namespaces of other services may extend it' })),
  schema: Type.Optional(
    Type.Record(Type.String({ maxLength: 256 }), Type.Unknown(), {
      description: 'JSON Schema that every published configuration has to fit',
    }),
  ),
  review_required: Type.Optional(Type.Boolean({ description: 'a second person publishes what one has proposed' })),
  labels: Type.Optional(
    Type.Record(
      Type.String({ pattern: labelNamePattern }),
      Type.String({ maxLength: 256, pattern: '^[^\\u0000-\\u001f\\u007f]*$', description: 'no control characters' }),
      { additionalProperties: false, maxProperties: 32 },
    ),
  ),
});
/** {@link DeclaredNamespace} as a value. */
export type DeclaredNamespace = Static<typeof DeclaredNamespace>;

const serviceFields = {
  audience: Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$', description: 'visible ASCII, no spaces' }),
  ),
  pop_url: Type.Optional(Url),
  jwks: Type.Optional(Jwks),
  grants: Type.Optional(Type.Array(DeclaredGrant, { maxItems: 8, uniqueItems: true })),
  redirect_uris: Type.Optional(RedirectUris),
  post_logout_redirect_uris: Type.Optional(RedirectUris),
  authentication: Type.Optional(Type.Enum(['client_secret', 'private_key_jwt', 'none'])),
  first_party: Type.Optional(Type.Boolean({ description: 'its users are not asked for consent' })),
  id_token_signed_response_alg: Type.Optional(IssuerAlgorithm),
  roles: Type.Optional(Type.Array(Name, { maxItems: 100, uniqueItems: true })),
  account_roles: Type.Optional(Type.Array(RoleName, { maxItems: 100, uniqueItems: true })),
  namespaces: Type.Optional(
    Type.Record(Type.String({ pattern: namePattern, description: 'the name of a namespace' }), DeclaredNamespace, {
      additionalProperties: false,
      maxProperties: 200,
    }),
  ),
};
const ClientSecret = Type.String({
  minLength: 32,
  maxLength: 256,
  pattern: '^[\\x21-\\x7e]+$',
  description: 'at least 32 characters of visible ASCII',
});

/** A custom role. */
export const DeclaredRole = strictObject({
  permissions: Type.Array(Type.Enum([...permissions]), { maxItems: 100, uniqueItems: true }),
});
/** {@link DeclaredRole} as a value. */
export type DeclaredRole = Static<typeof DeclaredRole>;

const userFields = {
  uid: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      pattern: '^[A-Za-z0-9._~-]+$',
      description: 'letters, digits and . _ ~ -',
    }),
  ),
  roles: Type.Optional(Type.Array(RoleName, { maxItems: 100, uniqueItems: true })),
};

/** A trusted issuer: an identity provider whose tokens the secret server accepts. */
export const DeclaredIssuer = strictObject({
  issuer: Url,
  jwks_uri: Url,
  algorithms: Type.Array(IssuerAlgorithm, { minItems: 1, maxItems: 4, uniqueItems: true }),
  audiences: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { maxItems: 50, uniqueItems: true }),
  ),
});
/** {@link DeclaredIssuer} as a value. */
export type DeclaredIssuer = Static<typeof DeclaredIssuer>;

const webhookFields = {
  url: Url,
  events: Type.Array(
    Type.String({
      pattern: eventPatternPattern,
      maxLength: 65,
      description: 'an event, such as user.created, or user.* or *',
    }),
    { minItems: 1, maxItems: 100, uniqueItems: true },
  ),
  organization: Type.Optional(Name),
  description: Type.Optional(Type.String({ maxLength: 256 })),
};

/** A webhook as it travels; without an organization it is the operators' and hears of all. */
export const DeclaredWebhook = strictObject({
  ...webhookFields,
  secret: Type.Optional(
    Type.String({ maxLength: 100, pattern: '^whsec_[A-Za-z0-9+/]+={0,2}$', description: 'whsec_ and base64' }),
  ),
});
/** {@link DeclaredWebhook} as a value. */
export type DeclaredWebhook = Static<typeof DeclaredWebhook>;

/** A service as it travels. */
export const DeclaredService = strictObject({ ...serviceFields, client_secret: Type.Optional(ClientSecret) });
/** {@link DeclaredService} as a value. */
export type DeclaredService = Static<typeof DeclaredService>;

/** A user as it travels. */
export const DeclaredUser = strictObject({
  ...userFields,
  password: Type.Optional(Type.String({ minLength: 1, maxLength: 1024, description: 'a password' })),
});
/** {@link DeclaredUser} as a value. */
export type DeclaredUser = Static<typeof DeclaredUser>;

const byName = (description: string) => Type.String({ pattern: namePattern, description });
const many = { additionalProperties: false, maxProperties: 10_000 };

/** An organization as it travels. */
export const DeclaredOrganization = strictObject({
  services: Type.Optional(Type.Record(byName('the name of a service'), DeclaredService, many)),
  roles: Type.Optional(Type.Record(byName('the name of a role'), DeclaredRole, many)),
  users: Type.Optional(Type.Record(Type.String({ pattern: usernamePattern }), DeclaredUser, many)),
});
/** {@link DeclaredOrganization} as a value. */
export type DeclaredOrganization = Static<typeof DeclaredOrganization>;

/** A declaration as it travels: values instead of paths. */
export const Declaration = strictObject({
  organizations: Type.Optional(Type.Record(byName('the name of an organization'), DeclaredOrganization, many)),
  trusted_issuers: Type.Optional(Type.Record(byName('the name of an issuer'), DeclaredIssuer, many)),
  webhooks: Type.Optional(Type.Array(DeclaredWebhook, { maxItems: 1000 })),
});
/** {@link Declaration} as a value. */
export type Declaration = Static<typeof Declaration>;

/** A declaration as it is written in a file: paths instead of secret values. */
export const DeclarationFile = strictObject({
  organizations: Type.Optional(
    Type.Record(
      byName('the name of an organization'),
      strictObject({
        services: Type.Optional(
          Type.Record(
            byName('the name of a service'),
            strictObject({ ...serviceFields, client_secret_file: Type.Optional(SecretPath) }),
            many,
          ),
        ),
        roles: Type.Optional(Type.Record(byName('the name of a role'), DeclaredRole, many)),
        users: Type.Optional(
          Type.Record(
            Type.String({ pattern: usernamePattern }),
            strictObject({ ...userFields, password_file: Type.Optional(SecretPath) }),
            many,
          ),
        ),
      }),
      many,
    ),
  ),
  trusted_issuers: Type.Optional(Type.Record(byName('the name of an issuer'), DeclaredIssuer, many)),
  webhooks: Type.Optional(
    Type.Array(strictObject({ ...webhookFields, secret_file: Type.Optional(SecretPath) }), { maxItems: 1000 }),
  ),
});
/** {@link DeclarationFile} as a value. */
export type DeclarationFile = Static<typeof DeclarationFile>;

/** The request of `/v1/declaration/plan` and `/v1/declaration/apply`. */
export const DeclarationRequest = strictObject({
  declaration: Declaration,
  prune: Type.Optional(
    Type.Boolean({ description: 'delete what the named organizations have and the declaration does not name' }),
  ),
});
/** {@link DeclarationRequest} as a value. */
export type DeclarationRequest = Static<typeof DeclarationRequest>;

/** One field that a step changes. Values of secret fields are never shown. */
export const DeclarationChange = strictObject({
  field: Type.String(),
  from: Type.Optional(Type.Unknown()),
  to: Type.Optional(Type.Unknown()),
});
/** {@link DeclarationChange} as a value. */
export type DeclarationChange = Static<typeof DeclarationChange>;

/** One step of a plan. */
export const DeclarationStep = strictObject({
  action: Type.Enum(['create', 'update', 'delete', 'unchanged']),
  kind: Type.Enum(['organization', 'service', 'namespace', 'role', 'user', 'trusted_issuer', 'webhook']),
  organization: Type.Optional(Type.String()),
  name: Type.String(),
  changes: Type.Array(DeclarationChange),
});
/** {@link DeclarationStep} as a value. */
export type DeclarationStep = Static<typeof DeclarationStep>;

const planFields = {
  steps: Type.Array(DeclarationStep),
  summary: strictObject({
    create: Type.Integer(),
    update: Type.Integer(),
    delete: Type.Integer(),
    unchanged: Type.Integer(),
  }),
  warnings: Type.Array(Type.String()),
};

/** The answer of `/v1/declaration/plan`. */
export const DeclarationPlan = strictObject(planFields);
/** {@link DeclarationPlan} as a value. */
export type DeclarationPlan = Static<typeof DeclarationPlan>;

/** The answer of `/v1/declaration/apply`; generated secrets are in this answer and nowhere else. */
export const DeclarationApplied = strictObject({
  ...planFields,
  client_secrets: Type.Array(
    strictObject({
      organization: Type.String(),
      service: Type.String(),
      client_id: Type.String(),
      client_secret: Type.String(),
    }),
  ),
  webhook_secrets: Type.Array(
    strictObject({ organization: Type.String(), id: Type.String(), url: Type.String(), secret: Type.String() }),
  ),
});
/** {@link DeclarationApplied} as a value. */
export type DeclarationApplied = Static<typeof DeclarationApplied>;
