/**
 * Writes what the migrations amount to: `apps/server/src/tables.ts` (types of every row, for Kysely) and
 * `apps/server/schema.sql` (a readable description, for review). CI runs it and compares.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTestDatabase } from '@gatehouse/testkit';
import pg from 'pg';
import { migrate, migrationsDir } from '../apps/server/src/kernel/db/migrate.ts';

interface Column {
  schema: string;
  table: string;
  column: string;
  type: string;
  nullable: boolean;
  default: string | null;
  generated: boolean;
}

const typeNames: Record<string, { select: string; write?: string }> = {
  text: { select: 'string' },
  uuid: { select: 'string' },
  boolean: { select: 'boolean' },
  smallint: { select: 'number' },
  integer: { select: 'number' },
  'double precision': { select: 'number' },
  bigint: { select: 'string', write: 'string | number | bigint' },
  'timestamp with time zone': { select: 'Date', write: 'Date' },
  'timestamp(3) with time zone': { select: 'Date', write: 'Date' },
  bytea: { select: 'Buffer', write: 'Uint8Array' },
  jsonb: { select: 'JsonValue', write: 'string' },
  json: { select: 'JsonValue', write: 'string' },
  inet: { select: 'string' },
  'text[]': { select: 'string[]' },
  'bytea[]': { select: 'Buffer[]', write: 'Uint8Array[]' },
};

const server = join(import.meta.dirname, '../apps/server');
const ourSchemas = `n.nspname not in ('pg_catalog', 'information_schema', 'graphile_worker') and n.nspname not like 'pg_%'`;

async function main(): Promise<void> {
  const database = await createTestDatabase({
    migrationsDir,
    migrate: async (connectionString) => {
      await migrate(connectionString);
    },
  });
  const client = new pg.Client({ connectionString: database.connectionString });
  await client.connect();
  try {
    const columns = await listColumns(client);
    await writeFile(join(server, 'src/tables.ts'), tablesFile(columns));
    await writeFile(join(server, 'schema.sql'), await schemaFile(client, columns));
  } finally {
    await client.end();
    await database.drop();
  }
}

async function listColumns(client: pg.Client): Promise<Column[]> {
  const { rows } = await client.query<Column>(`
    select n.nspname as schema, c.relname as table, a.attname as column, format_type(a.atttypid, a.atttypmod) as type,
      not a.attnotnull as nullable, pg_get_expr(d.adbin, d.adrelid) as default,
      (a.attidentity <> '' or a.attgenerated <> '') as generated
    from pg_attribute a
      join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped and ${ourSchemas}
    order by n.nspname, c.relname, a.attnum`);
  return rows;
}

function byTable(columns: readonly Column[]): Map<string, Column[]> {
  const tables = new Map<string, Column[]>();
  for (const column of columns) {
    const name = `${column.schema}.${column.table}`;
    tables.set(name, [...(tables.get(name) ?? []), column]);
  }
  return tables;
}

function tablesFile(columns: readonly Column[]): string {
  const tables = byTable(columns);
  const blocks = [...tables].map(([name, members]) => {
    const lines = members.map((member) => `  ${member.column}: ${columnType(member)};`);
    return `export interface ${interfaceName(name)} {\n${lines.join('\n')}\n}\n`;
  });
  const index = [...tables.keys()].map((name) => `  '${name}': ${interfaceName(name)};`);
  const body = blocks.join('\n');
  const fromKysely = ['ColumnType', 'Generated'].filter((word) => body.includes(`${word}<`));
  const json = body.includes('JsonValue') ? `import type { JsonValue } from '@gatehouse/contracts';\n` : '';
  return `// Generated from apps/server/migrations by \`npm run generate\`; do not edit.
${json}import type { ${fromKysely.join(', ')} } from 'kysely';

${body}
/** Every table of this server, by \`schema.table\`. */
export interface Database {
${index.join('\n')}
}
`;
}

function interfaceName(name: string): string {
  return name
    .split(/[._]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}

function columnType(column: Column): string {
  const type = typeNames[column.type];
  if (!type)
    throw new Error(`${column.schema}.${column.table}.${column.column}: no TypeScript type for ${column.type}`);
  const nullable = column.nullable ? ' | null' : '';
  const optional = column.nullable || column.default !== null || column.generated;
  const select = `${type.select}${nullable}`;
  const write = `${type.write ?? type.select}${nullable}`;
  if (select === write) return optional && !column.nullable ? `Generated<${select}>` : select;
  return `ColumnType<${select}, ${write}${optional ? ' | undefined' : ''}, ${write}>`;
}

async function schemaFile(client: pg.Client, columns: readonly Column[]): Promise<string> {
  const parts = ['-- Generated from apps/server/migrations by `npm run generate`; do not edit.\n'];
  const list = async (query: string) => (await client.query<{ owner: string; text: string }>(query)).rows;
  const constraints = await list(`
    select n.nspname || '.' || c.relname as owner, 'constraint ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid) as text
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where k.contype <> 'n' and ${ourSchemas} order by 1, k.contype desc, k.conname`);
  const indexes = await list(`
    select n.nspname || '.' || c.relname as owner, pg_get_indexdef(i.indexrelid) as text
    from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
    where ${ourSchemas} and not exists (select from pg_constraint k where k.conindid = i.indexrelid) order by 1, 2`);
  const triggers = await list(`
    select n.nspname || '.' || c.relname as owner, pg_get_triggerdef(t.oid) as text
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where not t.tgisinternal and ${ourSchemas} order by 1, 2`);
  const functions = await list(`
    select n.nspname as owner, pg_get_functiondef(p.oid) as text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${ourSchemas} order by 1, 2`);
  for (const [name, members] of byTable(columns)) {
    const own = (rows: { owner: string; text: string }[]) =>
      rows.filter((row) => row.owner === name).map((row) => row.text);
    const lines = [...members.map(columnLine), ...own(constraints)].map((line) => `  ${line}`);
    parts.push(`create table ${name} (\n${lines.join(',\n')}\n);`);
    parts.push(...[...own(indexes), ...own(triggers)].map((text) => `${text};`), '');
  }
  parts.push(...functions.map((row) => `${row.text.trim()};\n`));
  return `${parts.join('\n').trimEnd()}\n`;
}

function columnLine(column: Column): string {
  const identity = column.generated && column.default === null ? ' generated always as identity' : '';
  const value = column.default === null ? '' : ` default ${column.default}`;
  return `${column.column} ${column.type}${column.nullable ? '' : ' not null'}${value}${identity}`;
}

await main();
