import { namePattern } from '@gatehouse/contracts';

/** New names for what has one that cannot be used here: `organization:Acme` → `acme`. */
export type Renames = ReadonlyMap<string, string>;
/** Of what kind a name is. */
export type NameKind = 'organization' | 'service' | 'namespace' | 'user';

const name = new RegExp(namePattern);

/** Reads `--rename kind:old=new`; undefined for what is not of that form. */
export function readRename(text: string): [string, string] | undefined {
  const match = /^((?:organization|service|namespace|user):[^=]+)=([^=]+)$/.exec(text);
  return match ? [match[1] ?? '', match[2] ?? ''] : undefined;
}

/** The name something gets here. */
export function newName(kind: NameKind, old: string, renames: Renames): string {
  return renames.get(`${kind}:${old}`) ?? old;
}

/** What is wrong with the name something gets here, with the way out. User names are judged where users are made. */
export function nameProblem(kind: Exclude<NameKind, 'user'>, old: string, renames: Renames): string | undefined {
  const now = newName(kind, old, renames);
  if (name.test(now)) return undefined;
  const proposal = now
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63);
  return `the ${kind} "${now}" has a name that cannot be used here: add --rename '${kind}:${old}=${proposal || 'new-name'}'`;
}

/** Two things that would get one name. */
export function collisions(kind: NameKind, names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.flatMap((one) => {
    if (!seen.has(one)) {
      seen.add(one);
      return [];
    }
    return [`two ${kind}s would have the name "${one}": rename one of them`];
  });
}
