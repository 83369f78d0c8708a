/**
 * What the programs of Gatehouse say to each other: wire schemas, permission names, the error table.
 * No behaviour lives here, and nothing here reads the environment.
 */
export {
  configurationKeyPattern,
  Declaration,
  DeclarationApplied,
  type DeclarationChange,
  DeclarationFile,
  DeclarationPlan,
  DeclarationRequest,
  type DeclarationStep,
  type DeclaredGrant,
  type DeclaredIssuer,
  DeclaredNamespace,
  type DeclaredOrganization,
  type DeclaredRole,
  type DeclaredService,
  type DeclaredUser,
  DeclaredWebhook,
  labelNamePattern,
  usernamePattern,
} from './declaration.ts';
export { type ErrorCode, errorTable } from './errors.ts';
export {
  type EventDescription,
  type EventName,
  eventPatternPattern,
  eventTable,
  isEventName,
  matchesEvent,
} from './events.ts';
export type { JsonArray, JsonObject, JsonValue } from './json.ts';
export { builtInRoles, isPermission, operatorPermissions, type Permission, permissions } from './permissions.ts';
export {
  Name,
  namePattern,
  PageQuery,
  Problem,
  pageOf,
  reservedNamespaceNames,
  strictObject,
  Timestamp,
} from './schemas.ts';
