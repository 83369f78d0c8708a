import type { Origin } from '../../../../kernel/index.ts';
import { audienceOf } from '../audiences.ts';
import type { Form } from '../client-authentication/form.ts';
import type { OAuthClient } from '../clients/client.ts';
import { OAuthError } from '../oauth-error.ts';

/** The parameters of RFC 8693 §2.1 as the secret server takes them; absent ones are undefined. */
export interface ExchangeParams {
  readonly subject_token?: string | undefined;
  readonly subject_token_type?: string | undefined;
  readonly actor_token?: string | undefined;
  readonly actor_token_type?: string | undefined;
  readonly requested_token_type?: string | undefined;
  readonly audience?: readonly string[] | undefined;
  readonly resource?: readonly string[] | undefined;
  readonly scope?: string | undefined;
  /** Why the secret is needed, for the audit. */
  readonly reason?: string | undefined;
}

/**
 * The grant itself: the secrets module's, handed in by `app.ts`. The client has been authenticated and may use it.
 * A refusal is an error with `error` (RFC 6749 §5.2) and `description`.
 */
export type ExchangeToken = (input: { client: OAuthClient; params: ExchangeParams; origin: Origin }) => Promise<object>;

const names = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'scope',
  'reason',
] as const;

/** Token exchange (RFC 8693): reads the form and hands over. */
export async function exchange(
  exchangeToken: ExchangeToken,
  input: { client: OAuthClient; form: Form; origin: Origin },
): Promise<object> {
  const { client, form, origin } = input;
  if (client.authentication === 'none') {
    throw new OAuthError('unauthorized_client', 'a public client cannot exchange tokens');
  }
  const params: ExchangeParams = {
    ...Object.fromEntries(names.map((name) => [name, form.single[name]])),
    audience: form.all.getAll('audience'),
    resource: form.all.getAll('resource').map(audienceOf),
  };
  try {
    return await exchangeToken({ client, params, origin });
  } catch (error) {
    throw toOAuthError(error);
  }
}

/** Refusals of the secrets module as OAuth errors; anything else stays what it is. */
function toOAuthError(error: unknown): unknown {
  const { error: code, description } = error as { error?: unknown; description?: unknown };
  if (typeof code !== 'string' || typeof description !== 'string') return error;
  const status = code === 'temporarily_unavailable' ? 503 : 400;
  return new OAuthError(code, description, { status, cause: error });
}
