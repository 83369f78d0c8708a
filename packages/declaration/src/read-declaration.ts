import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import {
  type Declaration,
  DeclarationFile,
  type DeclaredNamespace,
  type DeclaredOrganization,
  type DeclaredWebhook,
} from '@gatehouse/contracts';
import { checkReferences } from './check-references.ts';
import { checkShape } from './check-shape.ts';
import { secretFileOf } from './configuration-values.ts';
import { DeclarationError, type DeclarationFault } from './errors.ts';
import { maxDeclarationBytes, type ParsedYaml, parseYaml } from './parse-yaml.ts';

/** Largest file that a `*_file` key may name, bytes: it holds one password or secret. */
const maxSecretFileBytes = 4096;
/** Largest file that a configuration may take a secret from, bytes: a certificate chain, a key store in base64. */
const maxValueFileBytes = 64 * 1024;

/**
 * Reads a declaration and the files it names into the form that travels.
 * Throws {@link DeclarationError} with every fault that was found.
 */
export async function readDeclaration(path: string): Promise<Declaration> {
  const file = basename(path);
  const parsed = parseYaml(await readText(path, file), file);
  const value = filledIn(parsed.value);
  const shape = checkShape(DeclarationFile, value);
  if (shape.length > 0)
    throw new DeclarationError(
      file,
      shape.map((error) => located(error, parsed)),
    );
  const references = checkReferences(value as DeclarationFile, 'file');
  if (references.length > 0)
    throw new DeclarationError(
      file,
      references.map((error) => located(error, parsed)),
    );
  return resolveFiles(value as DeclarationFile, dirname(resolve(path)), file, parsed);
}

async function readText(path: string, file: string): Promise<string> {
  try {
    if ((await stat(path)).size > maxDeclarationBytes) {
      const rule = `is larger than ${maxDeclarationBytes / 1024} KiB`;
      throw new DeclarationError(file, [{ field: '', rule, fix: 'split it into several declarations' }]);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof DeclarationError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const rule = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new DeclarationError(path, [{ field: '', rule, fix: 'check the path and its permissions' }]);
  }
}

function located(
  { path, field, rule, fix }: { path: readonly (string | number)[]; field: string; rule: string; fix?: string },
  parsed: ParsedYaml,
): DeclarationFault {
  const line = parsed.lineOf(path);
  return { field, rule, ...(fix === undefined ? {} : { fix }), ...(line === undefined ? {} : { line }) };
}

/**
 * A key with nothing behind it (`records:`) is an empty mapping where the format wants one: the writer named a thing and
 * took every default.
 */
function filledIn(value: unknown): unknown {
  const filledService = (service: unknown) =>
    mapping(service ?? {}, (field, name) =>
      name === 'namespaces' ? mapping(field ?? {}, (namespace) => namespace ?? {}) : field,
    );
  const filledPart = (part: unknown, name: string) =>
    mapping(part ?? {}, (item) => (name === 'services' ? filledService(item) : (item ?? {})));
  return mapping(value ?? {}, (section, name) => {
    if (name === 'webhooks') return section ?? [];
    if (name !== 'organizations') return section ?? {};
    return mapping(section ?? {}, (organization) => mapping(organization ?? {}, filledPart));
  });
}

function mapping(value: unknown, map: (member: unknown, name: string) => unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, map(member, name)]));
}

/** Replaces `password_file`, `client_secret_file` and `secret_file` by what the files hold. */
async function resolveFiles(
  declared: DeclarationFile,
  directory: string,
  file: string,
  parsed: ParsedYaml,
): Promise<Declaration> {
  const faults: DeclarationFault[] = [];
  const contentOf = async (
    secretPath: string,
    path: readonly (string | number)[],
    maxBytes = maxSecretFileBytes,
  ): Promise<string> => {
    try {
      return await readSecretFile(resolve(directory, secretPath), maxBytes);
    } catch (error) {
      const rule = `names ${secretPath}, which ${(error as Error).message}`;
      faults.push(located({ path, field: path.join('.'), rule, fix: 'check the path and its permissions' }, parsed));
      return '';
    }
  };
  // One file after the other: faults come in the order of the file, and thousands of users open no thousand descriptors.
  const organizations: [string, DeclaredOrganization][] = [];
  for (const [name, { services, users, ...rest }] of Object.entries(declared.organizations ?? {})) {
    const organization: DeclaredOrganization = { ...rest };
    if (services) organization.services = {};
    for (const [service, declaredService] of Object.entries(services ?? {})) {
      const { client_secret_file: secret, namespaces, ...fields } = declaredService;
      const path = ['organizations', name, 'services', service];
      defineMember(organization.services, service, {
        ...fields,
        ...(secret === undefined ? {} : { client_secret: await contentOf(secret, [...path, 'client_secret_file']) }),
        ...(namespaces === undefined
          ? {}
          : { namespaces: await resolveNamespaces(namespaces, [...path, 'namespaces'], contentOf) }),
      });
    }
    if (users) organization.users = {};
    for (const [user, { password_file: password, ...fields }] of Object.entries(users ?? {})) {
      const path = ['organizations', name, 'users', user, 'password_file'];
      const resolved = password === undefined ? fields : { ...fields, password: await contentOf(password, path) };
      defineMember(organization.users, user, resolved);
    }
    organizations.push([name, organization]);
  }
  const webhooks: DeclaredWebhook[] = [];
  for (const [index, { secret_file: secret, ...fields }] of (declared.webhooks ?? []).entries()) {
    const path = ['webhooks', index, 'secret_file'];
    webhooks.push(secret === undefined ? fields : { ...fields, secret: await contentOf(secret, path) });
  }
  if (faults.length > 0) throw new DeclarationError(file, faults);
  return {
    ...(declared.organizations === undefined ? {} : { organizations: Object.fromEntries(organizations) }),
    ...(declared.trusted_issuers === undefined ? {} : { trusted_issuers: declared.trusted_issuers }),
    ...(declared.webhooks === undefined ? {} : { webhooks }),
  };
}

/** Configurations with the secrets that their files hold. */
async function resolveNamespaces(
  namespaces: Readonly<Record<string, DeclaredNamespace>>,
  path: readonly string[],
  contentOf: (secretPath: string, path: readonly string[], maxBytes: number) => Promise<string>,
): Promise<Record<string, DeclaredNamespace>> {
  const resolved: Record<string, DeclaredNamespace> = {};
  for (const [name, { configuration, ...settings }] of Object.entries(namespaces)) {
    const values: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(configuration ?? {})) {
      const file = secretFileOf(value);
      const at = [...path, name, 'configuration', key, 'secret_file'];
      defineMember(values, key, file === undefined ? value : { $secret: await contentOf(file, at, maxValueFileBytes) });
    }
    defineMember(resolved, name, configuration === undefined ? settings : { ...settings, configuration: values });
  }
  return resolved;
}

/** Sets a member under any name: `__proto__` is a user name like others. */
function defineMember<T>(record: Record<string, T> | undefined, name: string, value: T): void {
  if (record) Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}

/** The content without its final line break. */
async function readSecretFile(path: string, maxBytes: number): Promise<string> {
  let content: string;
  try {
    if ((await stat(path)).size > maxBytes) throw new Error(`is larger than ${maxBytes} bytes`);
    content = (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new Error(code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? message})`, { cause: error });
  }
  if (content === '') throw new Error('is empty');
  return content;
}
