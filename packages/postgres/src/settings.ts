/**
 * Settings of the server, given on its command line at each start, so that a release can change them without editing a
 * file in the data directory. For a small machine that has other work too; `postgresql.conf` still decides what is not here.
 */
export function serverSettings(options: { socketDirectory: string; ephemeral: boolean }): string[] {
  const settings: Record<string, string> = {
    // Only this machine, only through the socket, only who may enter its directory.
    listen_addresses: '',
    port: String(socketPort),
    unix_socket_directories: `"${options.socketDirectory.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    password_encryption: 'scram-sha-256',
    scram_iterations: '1', // See cluster.ts: the password is random.

    max_connections: '200',
    shared_buffers: '64MB',
    effective_cache_size: '512MB',
    work_mem: '8MB',
    maintenance_work_mem: '64MB',
    max_wal_size: '512MB',
    min_wal_size: '64MB',
    jit: 'off', // LLVM is not in the package.
    timezone: 'UTC',
    log_timezone: 'UTC',

    // An answered commit survives a power cut.
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',

    // Our log must hold no statement, no parameter and no row. Errors go to the client, which knows what they mean.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    log_autovacuum_min_duration: '-1',
    log_line_prefix: '',
    log_destination: 'stderr',
    logging_collector: 'off',
    cluster_name: 'gatehouse',
  };
  // For tests, whose data lives as long as their process.
  if (options.ephemeral) {
    Object.assign(settings, {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      autovacuum_naptime: '1h',
    });
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Names the socket file (`.s.PGSQL.5432`); no network port. */
export const socketPort = 5432;
