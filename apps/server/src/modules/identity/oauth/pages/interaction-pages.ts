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

/**
 * The sign-in page: one form, one submit button, nothing that needs a script. After a refusal the user name stays in
 * its field and the password is typed again; whether the name exists makes no difference to the page.
 */
export function signInPage(
  page: InteractionPage,
  refusal?: { problem: string; status: number; username: string },
): Page {
  const refused = refusal !== undefined;
  const username = refusal?.username ?? '';
  return {
    title: 'Sign in',
    status: refusal?.status ?? 200,
    problem: refused,
    formTargets: page.formTargets,
    body: html`<p class="lead">to continue to <strong>${page.clientName}</strong> of <strong>${page.clientOrganization}</strong></p>
${refused && alertBox(refusal.problem)}
<form method="post" action="/oauth/interaction/${page.uid}/sign-in">
<input type="hidden" name="form_token" value="${page.formToken}">
${field({
  name: 'username',
  label: 'User name',
  value: username,
  autocomplete: 'username',
  autofocus: username === '',
  invalid: refused,
  maxLength: maxUsernameLength,
})}
${field({
  name: 'password',
  label: 'Password',
  type: 'password',
  autocomplete: 'current-password',
  autofocus: username !== '',
  invalid: refused,
})}
<button type="submit">Sign in</button>
</form>
<p class="way-out"><a href="/oauth/interaction/${page.uid}/cancel">Cancel and go back</a></p>`,
  };
}

/** Longest user name the sign-in page takes and shows again. */
export const maxUsernameLength = 128;

/** The consent page: who asks, for whose account, what it will be able to do; two buttons of equal reach. */
export function consentPage(
  page: InteractionPage,
  asked: { scope: readonly string[]; audience: string | undefined; username: string | undefined },
): Page {
  const texts = asked.scope.flatMap((name) => (name in scopes ? [scopes[name as keyof typeof scopes]] : []));
  return {
    title: `Allow ${page.clientName}?`,
    formTargets: page.formTargets,
    body: html`<p class="lead"><strong>${page.clientName}</strong> of <strong>${page.clientOrganization}</strong> asks for access to ${
      asked.username === undefined ? 'your account' : html`your account <strong>${asked.username}</strong>`
    }. It will be able to:</p>
<ul class="rights" role="list">
${texts.map((text) => html`<li>${text}</li>`)}
${asked.audience !== undefined && html`<li>Use the service ${asked.audience} for you</li>`}
</ul>
${page.formTargets.map((target) => html`<p class="note">Either way you go back to ${placeOf(target)}.</p>`)}
<form method="post" action="/oauth/interaction/${page.uid}/consent">
<input type="hidden" name="form_token" value="${page.formToken}">
<div class="choices">
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny" class="secondary">Do not allow</button>
</div>
</form>`,
  };
}

/** A registered redirect URI as a person can judge it: the host; for a custom scheme, which has none, the scheme. */
function placeOf(redirectUri: string): string {
  const { host, protocol } = new URL(redirectUri);
  return host === '' ? `the application behind ${protocol}` : host;
}

/** The sign-in is over, was never there, or belongs to another browser. */
export function expiredPage(): Page {
  return {
    title: 'This sign-in is over',
    status: 400,
    problem: true,
    body: html`<p>It is finished, has expired, or was begun in another browser.</p>
<p>Go back to the application and start again from there.</p>`,
  };
}
