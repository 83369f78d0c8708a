import type { Declaration, DeclarationFile, DeclaredService } from '@gatehouse/contracts';
import type { ShapeError } from './check-shape.ts';
import { checkValues, type DeclarationForm } from './configuration-values.ts';

type Report = (path: readonly (string | number)[], rule: string, fix: string) => void;

/**
 * Rules between fields that a declaration must keep whatever exists already, and those of configuration values. Names
 * that may exist without being declared (a user's roles) are the server's matter.
 */
export function checkReferences(declaration: Declaration | DeclarationFile, form: DeclarationForm): ShapeError[] {
  const errors: ShapeError[] = [];
  const report: Report = (path, rule, fix) => errors.push({ path, field: path.join('.'), rule, fix });
  for (const [organization, { services }] of Object.entries(declaration.organizations ?? {})) {
    const named: Record<string, Pick<DeclaredService, 'pop_url' | 'jwks' | 'namespaces'>> = services ?? {};
    for (const [name, service] of Object.entries(named)) {
      const path = ['organizations', organization, 'services', name];
      if (service.pop_url !== undefined && service.jwks !== undefined) {
        const fix = 'keep one: pop_url when the service rotates its keys, else jwks';
        report([...path, 'jwks'], 'is given beside pop_url', fix);
      }
      for (const [namespace, { configuration }] of Object.entries(service.namespaces ?? {})) {
        errors.push(...checkValues(configuration ?? {}, [...path, 'namespaces', namespace, 'configuration'], form));
      }
    }
  }
  checkIssuers(declaration, report);
  checkWebhooks(declaration, report);
  return errors.slice(0, 50);
}

function checkIssuers({ trusted_issuers: trusted = {} }: Declaration | DeclarationFile, report: Report): void {
  const issuers = new Map<string, string>();
  for (const [name, { issuer }] of Object.entries(trusted)) {
    const other = issuers.get(issuer);
    if (other === undefined) issuers.set(issuer, name);
    else report(['trusted_issuers', name, 'issuer'], `is the issuer of ${other} too`, 'name each issuer once');
  }
}

/** An address has one webhook in an organization: it is what a declared webhook is told by. */
function checkWebhooks({ webhooks = [] }: Declaration | DeclarationFile, report: Report): void {
  const known = new Set<string>();
  for (const [index, { url, organization = '' }] of webhooks.entries()) {
    const id = JSON.stringify([organization, URL.parse(url)?.href ?? url]);
    if (known.has(id)) report(['webhooks', index, 'url'], 'is named twice', 'name it once, with all its events');
    known.add(id);
  }
}
