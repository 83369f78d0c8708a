/** What an instance tells the server about itself, and the leave it asks for before it restarts. */

/** What became of a version on this instance. */
export type InstanceState = 'received' | 'applied' | 'rejected' | 'healthy' | 'unhealthy';

/** Leave to restart, or not yet. */
export type RestartSlot =
  | { readonly granted: true; readonly expiresAt: Date }
  | { readonly granted: false; readonly reason: string; readonly retryAfterSeconds: number };

/** Reports and slots of one namespace. */
export interface RolloutClient {
  /**
   * Tells the server. In order, tried again while the server is away; resolves when it was delivered, or dropped
   * because a newer version was reported or the client was closed. Never rejects. `reason` must not hold a value.
   */
  report(version: number, state: InstanceState, reason?: string): Promise<void>;
  /**
   * Asks for a restart slot. Waits up to `waitSeconds` (default 60, at most 60) for one. Rejects with
   * `server_unavailable` when the server is away.
   */
  requestSlot(version: number, options?: { waitSeconds?: number; signal?: AbortSignal }): Promise<RestartSlot>;
  /** Drops what was not delivered. */
  close(): void;
}
