import { html } from '../../pages/html.ts';
import { renderPage } from '../../pages/layout.ts';

/** A page that only passes something on, by a form that sends itself: the answer by form_post, the link of a device. */
export interface ContinuePage {
  readonly body: string;
  /** Where its form leads. */
  readonly action: string;
}

/**
 * Our page in place of the one that oidc-provider makes for this: in the language and style of the rest, and with no
 * inline script. Undefined when `body` is another page.
 */
export function continuePage(body: string): ContinuePage | undefined {
  const [, action, content] = /<form method="post" action="([^"]*)">(.*?)<noscript>/s.exec(body) ?? [];
  if (action === undefined || content === undefined) return undefined;
  const inputs = [...content.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"\/>/g)];
  return {
    action: unescape(action),
    body: renderPage({
      title: 'One moment',
      scripts: ['/assets/submit.js'],
      body: html`<p class="lead">If the page does not go on by itself, press the button.</p>
<form method="post" action="${unescape(action)}">
${inputs.map(([, name = '', value = '']) => html`<input type="hidden" name="${name}" value="${unescape(value)}">`)}
<button type="submit">Continue</button>
</form>`,
    }),
  };
}

/** Takes back oidc-provider's escaping; our template escapes again. */
function unescape(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity] ?? entity);
}

const entities: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};
