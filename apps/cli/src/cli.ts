import type { Api } from './api.ts';
import type { Credentials } from './credentials.ts';
import type { Output } from './output.ts';
import type { Terminal } from './terminal.ts';

/** What a command works with. */
export interface Cli {
  readonly output: Output;
  readonly terminal: Terminal;
  readonly credentials: Credentials;
  /** The server that the command goes to: `--url`, `GATEHOUSE_URL`, that of the last login, http://127.0.0.1:8400. */
  server(): Promise<string>;
  /** Calls of that server; `loginOnly` leaves GATEHOUSE_TOKEN aside. */
  api(options?: { loginOnly?: boolean }): Promise<Api>;
  /** Milliseconds since 1970. */
  now(): number;
}
