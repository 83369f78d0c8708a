/**
 * `gatehouse.yaml` as a file: read, parsed, checked, its `*_file` paths replaced by what the files hold.
 * The CLI and the server's start read declarations through this one door; what a declaration changes is decided by the
 * server's module `declaration`.
 *
 * Invariants: an unknown key is refused with its path; a secret value never stands in the file itself; size, aliases
 * and depth are bounded; an error names file, line, key, rule and fix, and no secret.
 */

export { checkReferences } from './check-references.ts';
export { checkShape, type ShapeError } from './check-shape.ts';
export { DeclarationError, type DeclarationFault } from './errors.ts';
export { maxDeclarationBytes, type ParsedYaml, parseYaml } from './parse-yaml.ts';
export { readDeclaration } from './read-declaration.ts';
