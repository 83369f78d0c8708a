/** How to reach a database; what `pg` takes as its configuration. */
export interface Connection {
  /** The directory of the unix socket, or a host name. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** The connection as a URL: `postgresql://user:password@%2Fpath%2Fto%2Fsocket:5432/database`. */
export function connectionString({ host, port, user, password, database }: Connection): string {
  const [u, p, h, d] = [user, password, host, database].map(encodeURIComponent);
  return `postgresql://${u}:${p}@${h}:${port}/${d}`;
}

/** The same server and user, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(database)}`;
  return changed.href;
}
