// Generated from apps/server/migrations by `npm run generate`; do not edit.
import type { JsonValue } from '@gatehouse/contracts';
import type { ColumnType, Generated } from 'kysely';

export interface KernelChangeTopics {
  topic: string;
  version: ColumnType<string, string | number | bigint | undefined, string | number | bigint>;
}

export interface KernelMigrations {
  number: number;
  name: string;
  checksum: string;
  applied_at: ColumnType<Date, Date | undefined, Date>;
}

/** Every table of this server, by `schema.table`. */
export interface Database {
  'kernel.change_topics': KernelChangeTopics;
  'kernel.migrations': KernelMigrations;
}

export type { Generated, JsonValue };
