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
  /**
   * Calls of that server; `loginOnly` leaves GATEHOUSE_TOKEN aside. `organization` is one that an argument names: it is
   * refused when `--organization` names another.
   */
  api(options?: { loginOnly?: boolean; organization?: string | undefined }): Promise<Api>;
  /** The environment of the program. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970. */
  now(): number;
}
