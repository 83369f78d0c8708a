/** Error codes of RFC 6749 §5.2 and RFC 8693 §2.2.2 that an exchange can end with. */
export type ExchangeErrorCode =
  | 'invalid_request'
  | 'invalid_grant'
  | 'invalid_target'
  | 'invalid_scope'
  | 'temporarily_unavailable';

/** An exchange that is refused. The description is for the client's developer: it says what to change and nothing secret. */
export class ExchangeRefused extends Error {
  readonly error: ExchangeErrorCode;
  readonly description: string;

  constructor(error: ExchangeErrorCode, description: string, cause?: unknown) {
    super(description, cause === undefined ? {} : { cause });
    this.name = 'ExchangeRefused';
    this.error = error;
    this.description = description;
  }
}
