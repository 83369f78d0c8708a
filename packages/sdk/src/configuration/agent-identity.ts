/**
 * Who this agent is: two key pairs that it made itself, kept in the state folder, and the id the server gave them.
 */
import type { Clock } from '../clock.ts';
import type { HttpOptions } from '../http/request.ts';

/** Where the server is, who this is, and where its keys are kept. */
export interface AgentIdentityOptions extends HttpOptions {
  /** Where the server answers, such as `https://id.example.com`. */
  url: string;
  /** Who signs the bundles: the server's public address. Default: `url`. */
  issuer?: string;
  /** `<organization>.<service>` or `<service>`: whose configuration this agent may read. */
  service: string;
  /**
   * The folder of this instance: keys, local copies, last seen serials. Made with mode 0700 when missing; refused when
   * others may read it. One folder is one instance: two processes with one folder are one agent to the server.
   */
  stateDir: string;
  /** The name people see in the list of agents. Default: the host's name. */
  name?: string;
  /** Works once. Needed for the first start only, as is `serviceToken`; one of the two. */
  enrolmentToken?: string;
  /** The service's authorization token: may enrol any number of agents. */
  serviceToken?: string;
  /** For how long an enrolment is tried again while the server cannot be reached. Default 0: one try. */
  enrolSeconds?: number;
  /** Keys older than this are replaced by `rotateKeysIfDue`. Default 30 days. */
  rotateKeysAfterSeconds?: number;
  clock?: Clock;
  /** Ends waiting for the enrolment. */
  signal?: AbortSignal;
}

/** An enrolled agent. */
export interface AgentIdentity {
  readonly url: string;
  readonly issuer: string;
  readonly agentId: string;
  readonly organization: string;
  readonly service: string;
  readonly stateDir: string;
  /** When the keys in use were made. */
  readonly keysCreatedAt: Date;
  /**
   * A token for the routes of agents, kept until a minute before its end. Rejects with `server_unavailable` (try later),
   * `agent_revoked` (final) or `agent_refused`.
   */
  accessToken(): Promise<string>;
  /** Forgets the kept token, after the server has refused it. */
  dropAccessToken(): void;
  /** Opens a JWE sealed to one of this agent's keys. Rejects with `sealed_cannot_open`. */
  open(jwe: string): Promise<Uint8Array>;
  /**
   * Replaces both key pairs: the new ones are written beside the old ones, the server is told, the local copies are
   * sealed anew, the old ones are dropped. Whatever ends the process in between, the next start goes on from there.
   */
  rotateKeys(): Promise<void>;
  /** Rotates when the keys are older than `rotateKeysAfterSeconds`. Tells whether it did. */
  rotateKeysIfDue(): Promise<boolean>;
}
