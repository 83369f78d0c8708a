import type { Clock, Db, Random } from '../../../kernel/index.ts';
import type { Keys } from '../../keys/index.ts';
import type { Roles } from '../roles/role-service.ts';
import { type AccessTokens, createAccessTokens } from './access-token.ts';
import { createTokenJudge, type TokenJudge } from './token-judge.ts';
import { type AccessTokenVerifier, createAccessTokenVerifier } from './verify-access-token.ts';

/** The one token machinery: headless sessions and OAuth make and judge access tokens by the same parts. */
export interface TokenMachinery {
  readonly tokens: AccessTokens;
  readonly verifier: AccessTokenVerifier;
  readonly judge: TokenJudge;
}

export function createTokenMachinery(deps: {
  issuer: string;
  db: Db;
  clock: Clock;
  random: Random;
  keys: Pick<Keys, 'sign' | 'findVerificationKey'>;
  roles: Pick<Roles, 'resolve'>;
}): TokenMachinery {
  const verifier = createAccessTokenVerifier(deps);
  return { tokens: createAccessTokens(deps), verifier, judge: createTokenJudge({ ...deps, verifier }) };
}
