import type { KoaContextWithOIDC } from 'oidc-provider';
import { type Html, html } from '../../pages/html.ts';
import { alertBox, field, renderPage } from '../../pages/layout.ts';

/** The pages that oidc-provider renders inside its own routes. */
export interface ProviderPages {
  renderError: (ctx: KoaContextWithOIDC, out: { error: string }, error: Error) => Promise<void>;
  logout: (ctx: KoaContextWithOIDC, form: string) => Promise<void>;
  loggedOut: (ctx: KoaContextWithOIDC) => Promise<void>;
  userCodeInput: (ctx: KoaContextWithOIDC, form: string, out?: unknown, error?: unknown) => Promise<void>;
  userCodeConfirm: (
    ctx: KoaContextWithOIDC,
    form: string,
    client: { clientName?: string | undefined; clientId: string },
    deviceInfo: unknown,
    userCode: string,
  ) => Promise<void>;
  deviceSuccess: (ctx: KoaContextWithOIDC) => Promise<void>;
}

/** The forms of oidc-provider carry its token against forgery; we take the token and write the form ourselves. */
function tokenOf(form: string): string {
  return /name="xsrf" value="([0-9a-zA-Z_-]+)"/.exec(form)?.[1] ?? '';
}

/** The application that a page of sign-out is about, when the request has named it and it is registered. */
function nameOf(ctx: KoaContextWithOIDC): string | undefined {
  return ctx.oidc.client?.clientName ?? ctx.oidc.client?.clientId;
}

/** Pages in the style of the house; none of them shows anything that came with the request, except a checked user code. */
export function createProviderPages(): ProviderPages {
  const show = (ctx: KoaContextWithOIDC, title: string, body: Html, problem = false) => {
    ctx.type = 'html';
    ctx.body = renderPage({ title, body, problem });
  };
  return {
    async renderError(ctx, out) {
      // Reflects nothing: neither parameters nor oidc-provider's description, which may quote them.
      const text = errorTexts[out.error] ?? 'The application sent a request that cannot be answered.';
      show(
        ctx,
        'This did not work',
        html`${alertBox(text)}
<p>Go back to the application and start again. If it happens again, tell its administrator.</p>`,
        true,
      );
    },
    async logout(ctx, form) {
      // Without `logout`, oidc-provider ends what the asking application had and nothing else: the second button.
      const asking = nameOf(ctx);
      show(
        ctx,
        'Sign out?',
        html`<p class="lead">${asking !== undefined && html`<strong>${asking}</strong> asks to sign you out. `}You can sign out of all applications in this browser${
          asking === undefined ? '. To stay signed in, close this page.' : ', or of this one alone.'
        }</p>
<form method="post" action="/oauth/logout/confirm">
<input type="hidden" name="xsrf" value="${tokenOf(form)}">
<div class="choices">
<button type="submit" name="logout" value="yes">${asking === undefined ? 'Sign out' : 'Sign out of all'}</button>
${asking !== undefined && html`<button type="submit" class="secondary">Only this one</button>`}
</div>
</form>`,
      );
    },
    async loggedOut(ctx) {
      const left = nameOf(ctx);
      show(
        ctx,
        'You are signed out',
        left === undefined
          ? html`<p class="lead">You can close this page.</p>`
          : html`<p class="lead">Only of <strong>${left}</strong>: other applications in this browser go on. You can close this page.</p>`,
      );
    },
    async userCodeInput(ctx, form, _out, error) {
      if ((error as Error | undefined)?.name === 'AbortedError') {
        show(ctx, 'Nothing was connected', html`<p class="lead">The device was refused. You can close this page.</p>`);
        return;
      }
      show(
        ctx,
        'Connect a device',
        html`${error !== undefined && alertBox('That code is not valid any more, or was typed differently. Try again.')}
<form method="post" action="/oauth/device">
<input type="hidden" name="xsrf" value="${tokenOf(form)}">
${field({
  name: 'user_code',
  label: 'Code shown on the device',
  autocomplete: 'one-time-code',
  hint: 'Eight letters, in two groups.',
  autofocus: true,
  invalid: error !== undefined,
  maxLength: 32,
})}
<button type="submit">Continue</button>
</form>`,
        error !== undefined,
      );
    },
    async userCodeConfirm(ctx, form, client, _deviceInfo, userCode) {
      show(
        ctx,
        'Is this your device?',
        html`<p class="lead">It asks to sign you in to <strong>${client.clientName ?? client.clientId}</strong> and must show this code:</p>
<p class="user-code"><code>${userCode}</code></p>
<p class="note">If you did not start this, cancel: somebody may be trying to get into your account.</p>
<form method="post" action="/oauth/device">
<input type="hidden" name="xsrf" value="${tokenOf(form)}">
<input type="hidden" name="user_code" value="${userCode}">
<input type="hidden" name="confirm" value="yes">
<div class="choices">
<button type="submit">Continue</button>
<button type="submit" class="secondary" name="abort" value="yes">Cancel</button>
</div>
</form>`,
      );
    },
    async deviceSuccess(ctx) {
      show(ctx, 'The device is connected', html`<p class="lead">You can close this page and go on at the device.</p>`);
    },
  };
}

const errorTexts: Readonly<Record<string, string>> = {
  invalid_client: 'The application is not known here.',
  invalid_redirect_uri: 'The application wants an answer at an address that is not registered for it.',
  access_denied: 'The sign-in was cancelled or refused.',
  invalid_request: 'The application sent a request that is not valid.',
  invalid_request_uri: 'The request of the application has expired or was used before.',
  server_error: 'Something went wrong on our side.',
  temporarily_unavailable: 'The service is busy at the moment.',
};
