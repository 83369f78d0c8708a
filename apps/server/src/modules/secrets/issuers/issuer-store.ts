import { named, type Reader, type Tx } from '../../../kernel/index.ts';
import type { TrustedIssuer } from './issuer.ts';

interface IssuerRow {
  id: string;
  name: string;
  issuer: string;
  jwks_uri: string;
  algorithms: string[];
  audiences: string[];
  created_at: Date;
  created_by: string;
}

const toIssuer = (row: IssuerRow): TrustedIssuer => ({
  id: row.id,
  name: row.name,
  issuer: row.issuer,
  jwksUri: row.jwks_uri,
  algorithms: row.algorithms,
  audiences: row.audiences,
  createdAt: row.created_at,
  createdBy: row.created_by,
});

/** All trusted issuers by name: there are few. */
export async function listIssuers(tx: Reader): Promise<TrustedIssuer[]> {
  const rows = await tx.selectFrom('secrets.trusted_issuers').selectAll().orderBy('name').execute();
  return rows.map(toIssuer);
}

/** The trusted issuer of this name. */
export async function findIssuerByName(tx: Reader, name: string): Promise<TrustedIssuer | undefined> {
  const row = await tx.selectFrom('secrets.trusted_issuers').selectAll().where('name', '=', name).executeTakeFirst();
  return row && toIssuer(row);
}

const byIssuer = {
  name: 'secrets_find_issuer',
  text: 'select id, name, issuer, jwks_uri, algorithms, audiences, created_at, created_by from secrets.trusted_issuers where issuer = $1',
};

/** The trusted issuer whose `iss` is exactly this. */
export async function findIssuer(tx: Reader, issuer: string): Promise<TrustedIssuer | undefined> {
  const [row] = await named<IssuerRow>(tx, byIssuer, [issuer]);
  return row && toIssuer(row);
}

/** Writes a new trusted issuer. */
export async function insertIssuer(tx: Tx, issuer: TrustedIssuer): Promise<void> {
  await tx
    .insertInto('secrets.trusted_issuers')
    .values({
      id: issuer.id,
      name: issuer.name,
      issuer: issuer.issuer,
      jwks_uri: issuer.jwksUri,
      algorithms: [...issuer.algorithms],
      audiences: [...issuer.audiences],
      created_at: issuer.createdAt,
      created_by: issuer.createdBy,
    })
    .execute();
}

/** Replaces what may change of a trusted issuer. */
export async function updateIssuer(tx: Tx, issuer: TrustedIssuer): Promise<void> {
  await tx
    .updateTable('secrets.trusted_issuers')
    .set({
      issuer: issuer.issuer,
      jwks_uri: issuer.jwksUri,
      algorithms: [...issuer.algorithms],
      audiences: [...issuer.audiences],
    })
    .where('id', '=', issuer.id)
    .execute();
}

/** Removes a trusted issuer. */
export async function deleteIssuer(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('secrets.trusted_issuers').where('id', '=', id).execute();
}
