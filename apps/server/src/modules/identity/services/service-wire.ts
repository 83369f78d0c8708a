import { Name, strictObject, Timestamp } from '@gatehouse/contracts';
import type { Jwks } from '@gatehouse/crypto';
import { type Static, Type } from 'typebox';
import { wireTime } from '../deps.ts';
import { RoleName } from '../roles/role-routes.ts';
import { type Service, type ServiceSecret, type ServiceSettings, serviceGrants } from './service.ts';

const Uri = Type.String({ minLength: 1, maxLength: 2048 });
const JwksSchema = Type.Object(
  { keys: Type.Array(Type.Record(Type.String({ maxLength: 64 }), Type.Unknown()), { minItems: 1, maxItems: 20 }) },
  { additionalProperties: false, description: 'public keys (RFC 7517): "use":"sig" to authenticate, "enc" to receive' },
);
const Authentication = Type.Enum(['client_secret', 'private_key_jwt', 'none'], {
  description: 'how the service proves who it is; `none` for a public client',
});
const RoleShortNames = Type.Array(Name, {
  maxItems: 100,
  uniqueItems: true,
  description: 'without the service’s name',
});

const settingsFields = {
  audience: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  authentication: Type.Optional(Authentication),
  grants: Type.Optional(Type.Array(Type.Enum([...serviceGrants]), { maxItems: 8, uniqueItems: true })),
  redirect_uris: Type.Optional(Type.Array(Uri, { maxItems: 20, uniqueItems: true })),
  post_logout_redirect_uris: Type.Optional(Type.Array(Uri, { maxItems: 20, uniqueItems: true })),
  first_party: Type.Optional(Type.Boolean({ description: 'people are not asked for consent' })),
  id_token_signed_response_alg: Type.Optional(Type.String({ maxLength: 16 })),
  roles: Type.Optional(RoleShortNames),
  account_roles: Type.Optional(Type.Array(RoleName, { maxItems: 64, uniqueItems: true })),
};

/** The request that registers a service. */
export const CreateServiceBody = strictObject({
  name: Name,
  ...settingsFields,
  pop_url: Type.Optional(Uri),
  jwks: Type.Optional(JwksSchema),
});

/** The request that changes one; `null` takes `pop_url` or `jwks` away. */
export const UpdateServiceBody = strictObject(
  {
    ...settingsFields,
    pop_url: Type.Optional(Type.Union([Uri, Type.Null()])),
    jwks: Type.Optional(Type.Union([JwksSchema, Type.Null()])),
  },
  { minProperties: 1 },
);

const SecretBody = strictObject({
  id: Type.String(),
  created_at: Timestamp,
  created_by: Type.String(),
  expires_at: Type.Optional(Timestamp),
});

const serviceFields = {
  id: Type.String(),
  name: Name,
  client_id: Type.String(),
  organization: Name,
  audience: Type.String(),
  status: Type.Enum(['active', 'suspended']),
  authentication: Authentication,
  pop_url: Type.Optional(Type.String()),
  jwks: Type.Optional(Type.Unknown()),
  grants: Type.Array(Type.String()),
  redirect_uris: Type.Array(Type.String()),
  post_logout_redirect_uris: Type.Array(Type.String()),
  first_party: Type.Boolean(),
  id_token_signed_response_alg: Type.String(),
  roles: Type.Array(Type.String()),
  account_roles: Type.Array(Type.String()),
  secrets: Type.Array(SecretBody),
  created_at: Timestamp,
  created_by: Type.String(),
};

/** A service as answered. */
export const ServiceBody = strictObject(serviceFields);
/** A service as answered once, when it is registered. */
export const RegisteredServiceBody = strictObject({
  ...serviceFields,
  client_secret: Type.Optional(Type.String({ description: 'shown this once; we keep only its hash' })),
});
/** A new secret as answered once. */
export const AddedSecretBody = strictObject({
  id: Type.String(),
  client_id: Type.String(),
  client_secret: Type.String({ description: 'shown this once; we keep only its hash' }),
  created_at: Timestamp,
  expires_at: Type.Optional(Timestamp),
});

/** The settings that a request names. */
export function settingsOf(
  body: Static<typeof UpdateServiceBody> | Static<typeof CreateServiceBody>,
): Partial<ServiceSettings> {
  const settings: Partial<ServiceSettings> = {};
  if (body.audience !== undefined) settings.audience = body.audience;
  if (body.authentication !== undefined) settings.authentication = body.authentication;
  if (body.pop_url !== undefined) settings.popUrl = body.pop_url ?? undefined;
  if (body.jwks !== undefined) settings.jwks = (body.jwks ?? undefined) as Jwks | undefined;
  if (body.grants !== undefined) settings.grants = body.grants;
  if (body.redirect_uris !== undefined) settings.redirectUris = body.redirect_uris;
  if (body.post_logout_redirect_uris !== undefined) settings.postLogoutRedirectUris = body.post_logout_redirect_uris;
  if (body.first_party !== undefined) settings.firstParty = body.first_party;
  if (body.id_token_signed_response_alg !== undefined) settings.idTokenAlgorithm = body.id_token_signed_response_alg;
  return settings;
}

/** Shapes a service for the wire. */
export function serviceToWire(
  service: Service,
  more: { roles: readonly string[]; accountRoles: readonly string[]; secrets: readonly ServiceSecret[] },
): Static<typeof ServiceBody> {
  return {
    id: service.id,
    name: service.name,
    client_id: service.clientId,
    organization: service.organization,
    audience: service.audience,
    status: service.status,
    authentication: service.authentication,
    ...(service.popUrl === undefined ? {} : { pop_url: service.popUrl }),
    ...(service.jwks === undefined ? {} : { jwks: service.jwks }),
    grants: [...service.grants],
    redirect_uris: [...service.redirectUris],
    post_logout_redirect_uris: [...service.postLogoutRedirectUris],
    first_party: service.firstParty,
    id_token_signed_response_alg: service.idTokenAlgorithm,
    roles: [...more.roles],
    account_roles: [...more.accountRoles],
    secrets: more.secrets.map((secret) => ({
      id: secret.id,
      created_at: wireTime(secret.createdAt),
      created_by: secret.createdBy,
      ...(secret.expiresAt === undefined ? {} : { expires_at: wireTime(secret.expiresAt) }),
    })),
    created_at: wireTime(service.createdAt),
    created_by: service.createdBy,
  };
}
