import { html } from '../../pages/html.ts';
import { alertBox, field, type Page } from '../../pages/layout.ts';
import { scopes } from '../scopes.ts';

/** What a page of an interaction needs to know. */
export interface InteractionPage {
  readonly uid: string;
  /** Against forms of other sites: see `form-token.ts`. */
  readonly formToken: string;
  readonly clientName: string;
  readonly clientOrganization: string;
  /** Where the sign-in leads in the end; the policy of the page has to allow it. */
  readonly formTargets: readonly string[];
}

/** The sign-in page: one form, one submit button, nothing that needs a script. */
export function signInPage(page: InteractionPage, options: { problem?: string; status?: number } = {}): Page {
  return {
    title: 'Sign in',
    status: options.status ?? 200,
    formTargets: page.formTargets,
    body: html`<p>to go on to <strong>${page.clientName}</strong> of ${page.clientOrganization}</p>
${options.problem !== undefined && alertBox(options.problem)}
<form method="post" action="/oauth/interaction/${page.uid}/sign-in">
<input type="hidden" name="form_token" value="${page.formToken}">
${field({ name: 'username', label: 'User name', autocomplete: 'username', autofocus: true, maxLength: 128 })}
${field({ name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password', maxLength: 1024 })}
<button type="submit">Sign in</button>
</form>
<p><a href="/oauth/interaction/${page.uid}/cancel">Cancel and go back</a></p>`,
  };
}

/** The consent page: what the application will be able to do, and two buttons of equal reach. */
export function consentPage(
  page: InteractionPage,
  asked: { scope: readonly string[]; audience: string | undefined },
): Page {
  const texts = asked.scope.flatMap((name) => (name in scopes ? [scopes[name as keyof typeof scopes]] : []));
  return {
    title: `Allow ${page.clientName}?`,
    formTargets: page.formTargets,
    body: html`<p>The application <strong>${page.clientName}</strong> of ${page.clientOrganization} wants to:</p>
<ul>
${texts.map((text) => html`<li>${text}</li>`)}
${asked.audience !== undefined && html`<li>Use the service ${asked.audience} for you</li>`}
</ul>
<form method="post" action="/oauth/interaction/${page.uid}/consent">
<input type="hidden" name="form_token" value="${page.formToken}">
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny" class="secondary">Do not allow</button>
</form>`,
  };
}

/** The sign-in is over, was never there, or belongs to another browser. */
export function expiredPage(): Page {
  return {
    title: 'This sign-in has expired',
    status: 400,
    body: html`<p>Go back to the application and start again.</p>`,
  };
}
