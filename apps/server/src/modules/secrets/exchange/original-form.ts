import { ExchangeRefused } from './refusal.ts';
import { tokenExchangeGrant, tokenTypes } from './token-exchange.ts';

/** A token-exchange request as the original STS read it: empty means not given, lists repeat or are split at commas. */
export interface OriginalForm {
  readonly subjectToken: string;
  readonly actorToken: string | undefined;
  readonly audiences: readonly string[];
  readonly scope: readonly string[];
}

const specification = 'https://tools.ietf.org/html/draft-ietf-oauth-token-exchange-08#section-2.1';

/** Reads the form in the original's order of checks, with its texts. */
export function readOriginalForm(body: Readonly<Record<string, unknown>>): OriginalForm {
  const values = (name: string) => {
    const value = body[name];
    return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string');
  };
  const text = (name: string) => (values(name)[0] ?? '').trim();
  const list = (name: string) =>
    values(name)
      .flatMap((one) => one.split(','))
      .map((one) => one.trim())
      .filter(Boolean);
  if (text('grant_type') !== tokenExchangeGrant) throw wrong('grant_type', tokenExchangeGrant);
  if (text('subject_token') === '') throw missing('subject_token');
  if (text('subject_token_type') === '') throw missing('subject_token_type');
  if (!['', tokenTypes.jwt].includes(text('requested_token_type'))) throw wrong('requested_token_type', tokenTypes.jwt);
  if (text('subject_token_type') !== tokenTypes.jwt) throw wrong('subject_token_type', tokenTypes.jwt);
  const actorToken = text('actor_token');
  if (actorToken !== '' && text('actor_token_type') !== tokenTypes.jwt) throw wrong('actor_token_type', tokenTypes.jwt);
  const audiences = list('audience');
  return {
    subjectToken: text('subject_token'),
    actorToken: actorToken === '' ? undefined : actorToken,
    audiences: [...new Set(audiences.length > 0 ? audiences : list('resource'))].slice(0, 20),
    scope: text('scope').split(' ').filter(Boolean),
  };
}

function missing(name: string): ExchangeRefused {
  return new ExchangeRefused('invalid_request', `Request parameter ${name} is missing. See ${specification}`);
}

function wrong(name: string, value: string): ExchangeRefused {
  return new ExchangeRefused(
    'invalid_request',
    `Request parameter ${name} is missing or does not carry the value ${value}. See ${specification}`,
  );
}
