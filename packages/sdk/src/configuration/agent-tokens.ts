/** The agent's access token: kept until a minute before its end, fetched once for all who wait. */
import type { Clock } from '../clock.ts';

const marginSeconds = 60;

/** A token as the server gives it. */
export interface AgentToken {
  readonly accessToken: string;
  readonly expiresInSeconds: number;
}

/** The kept token. */
export interface AgentTokens {
  get(): Promise<string>;
  /** Forgets it. One that is being fetched now is not kept either. */
  drop(): void;
}

/** Makes the keeper; `fetchToken` asks the server. */
export function createAgentTokens(deps: { clock: Clock; fetchToken: () => Promise<AgentToken> }): AgentTokens {
  const { clock, fetchToken } = deps;
  let kept: { token: string; usableUntilMs: number } | undefined;
  let running: Promise<string> | undefined;

  async function fetchAndKeep(): Promise<string> {
    const { accessToken, expiresInSeconds } = await fetchToken();
    const usableSeconds = Math.max(0, expiresInSeconds - marginSeconds);
    kept = { token: accessToken, usableUntilMs: clock.now().getTime() + usableSeconds * 1000 };
    return accessToken;
  }

  return {
    get() {
      if (kept !== undefined && kept.usableUntilMs > clock.now().getTime()) return Promise.resolve(kept.token);
      running ??= fetchAndKeep().finally(() => {
        running = undefined;
      });
      return running;
    },
    drop() {
      kept = undefined;
    },
  };
}
