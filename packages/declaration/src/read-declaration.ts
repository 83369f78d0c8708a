import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type Declaration, DeclarationFile, type DeclaredOrganization } from '@gatehouse/contracts';
import { checkReferences } from './check-references.ts';
import { checkShape } from './check-shape.ts';
import { DeclarationError, type DeclarationFault } from './errors.ts';
import { maxDeclarationBytes, type ParsedYaml, parseYaml } from './parse-yaml.ts';

/** Largest file that a `*_file` key may name, bytes: it holds one password or secret. */
const maxSecretFileBytes = 4096;

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
  const references = checkReferences(value as DeclarationFile);
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
  return mapping(value ?? {}, (section, name) =>
    name === 'organizations'
      ? mapping(section ?? {}, (organization) =>
          mapping(organization ?? {}, (part) => mapping(part ?? {}, (item) => item ?? {})),
        )
      : (section ?? {}),
  );
}

function mapping(value: unknown, map: (member: unknown, name: string) => unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, map(member, name)]));
}

/** Replaces `password_file` and `client_secret_file` by what the files hold. */
async function resolveFiles(
  declared: DeclarationFile,
  directory: string,
  file: string,
  parsed: ParsedYaml,
): Promise<Declaration> {
  const faults: DeclarationFault[] = [];
  const contentOf = async (secretPath: string, path: readonly string[]): Promise<string> => {
    try {
      return await readSecretFile(resolve(directory, secretPath));
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
    for (const [service, { client_secret_file: secret, ...fields }] of Object.entries(services ?? {})) {
      const path = ['organizations', name, 'services', service, 'client_secret_file'];
      const resolved = secret === undefined ? fields : { ...fields, client_secret: await contentOf(secret, path) };
      defineMember(organization.services, service, resolved);
    }
    if (users) organization.users = {};
    for (const [user, { password_file: password, ...fields }] of Object.entries(users ?? {})) {
      const path = ['organizations', name, 'users', user, 'password_file'];
      const resolved = password === undefined ? fields : { ...fields, password: await contentOf(password, path) };
      defineMember(organization.users, user, resolved);
    }
    organizations.push([name, organization]);
  }
  if (faults.length > 0) throw new DeclarationError(file, faults);
  return {
    ...(declared.organizations === undefined ? {} : { organizations: Object.fromEntries(organizations) }),
    ...(declared.trusted_issuers === undefined ? {} : { trusted_issuers: declared.trusted_issuers }),
  };
}

/** Sets a member under any name: `__proto__` is a user name like others. */
function defineMember<T>(record: Record<string, T> | undefined, name: string, value: T): void {
  if (record) Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}

/** The content without its final line break. */
async function readSecretFile(path: string): Promise<string> {
  let content: string;
  try {
    if ((await stat(path)).size > maxSecretFileBytes) throw new Error(`is larger than ${maxSecretFileBytes} bytes`);
    content = (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new Error(code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? message})`, { cause: error });
  }
  if (content === '') throw new Error('is empty');
  return content;
}
