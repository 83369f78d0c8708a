/**
 * The parts inside oidc-provider that custom grants build on. Its own documentation imports them by these paths; the
 * package is pinned to an exact version, and the tests of the refresh grant fail when one of them changes.
 */
declare module 'oidc-provider/lib/helpers/validate_dpop.js' {
  import type Provider from 'oidc-provider';
  import type { KoaContextWithOIDC } from 'oidc-provider';

  export interface DpopProof {
    readonly thumbprint: string;
    readonly jti: string;
    readonly iat: number;
  }
  export default function validateDpop(provider: Provider, ctx: KoaContextWithOIDC): Promise<DpopProof | undefined>;
  export function checkDpopReplay(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: DpopProof | undefined,
    clientId: string,
  ): Promise<void>;
}

declare module 'oidc-provider/lib/helpers/grant_common.js' {
  import type Provider from 'oidc-provider';
  import type { KoaContextWithOIDC } from 'oidc-provider';

  export function issueIdToken(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    source: object,
    accessToken: object,
    grant: object,
    scopes?: ReadonlySet<string>,
  ): Promise<string | undefined>;
}

declare module 'oidc-provider/lib/helpers/challenge.js' {
  /** Nonces that follow from a secret and the time: any node can check those of another. */
  export default class ServerChallenge {
    constructor(secret: Buffer, info: string);
    nextChallenge(): string;
    checkChallenge(challenge: string): boolean;
  }
}

declare module 'oidc-provider/lib/response_modes/form_post.js' {
  /** Writes a page with a form that sends itself; `continue-page.ts` puts ours in its place. */
  export default function formPost(ctx: object, action: string, inputs: Readonly<Record<string, string>>): void;
}
