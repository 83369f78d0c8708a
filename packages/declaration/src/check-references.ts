import type { Declaration, DeclarationFile, DeclaredService } from '@gatehouse/contracts';
import type { ShapeError } from './check-shape.ts';

/**
 * Rules between fields that a declaration must keep whatever exists already. Names that may exist without being
 * declared (a user's roles) are the server's matter.
 */
export function checkReferences(declaration: Declaration | DeclarationFile): ShapeError[] {
  const errors: ShapeError[] = [];
  const report = (path: readonly string[], rule: string, fix: string) =>
    errors.push({ path, field: path.join('.'), rule, fix });
  for (const [organization, { services }] of Object.entries(declaration.organizations ?? {})) {
    const named: Record<string, Pick<DeclaredService, 'pop_url' | 'jwks'>> = services ?? {};
    for (const [name, service] of Object.entries(named)) {
      if (service.pop_url !== undefined && service.jwks !== undefined) {
        const path = ['organizations', organization, 'services', name, 'jwks'];
        report(path, 'is given beside pop_url', 'keep one: pop_url when the service rotates its keys, else jwks');
      }
    }
  }
  const issuers = new Map<string, string>();
  for (const [name, { issuer }] of Object.entries(declaration.trusted_issuers ?? {})) {
    const other = issuers.get(issuer);
    if (other === undefined) issuers.set(issuer, name);
    else report(['trusted_issuers', name, 'issuer'], `is the issuer of ${other} too`, 'name each issuer once');
  }
  return errors;
}
