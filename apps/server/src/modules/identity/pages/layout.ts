import type { FastifyReply } from 'fastify';
import { type Html, html } from './html.ts';

/** A page: plain HTML that works without JavaScript, by keyboard, at 320 px, in light and dark. */
export interface Page {
  /** Shown in the tab and as the heading. */
  readonly title: string;
  readonly body: Html;
  /** HTTP status; 200 without one. */
  readonly status?: number;
  /** The page tells of a mistake: its name in the tab says so first, which screen readers read out before all else. */
  readonly problem?: boolean;
  /** Paths of scripts below `/assets/`; the page must work without them. */
  readonly scripts?: readonly string[];
  /**
   * Origins, besides our own, to which a form of this page may lead. Browsers apply `form-action` to the redirects
   * after a submit too, so a consent page names the origin of the client's redirect URI here.
   */
  readonly formTargets?: readonly string[];
}

/** Sends a page under the strict policy of {@link contentSecurityPolicy}; never cached. */
export function sendPage(reply: FastifyReply, page: Page): FastifyReply {
  return reply
    .code(page.status ?? 200)
    .header('content-type', 'text/html; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('content-security-policy', contentSecurityPolicy(page.formTargets))
    .send(renderPage(page));
}

/** Nothing inline, nothing from elsewhere, no frames: style and script only as files of this server. */
export function contentSecurityPolicy(formTargets: readonly string[] = []): string {
  const targets = formTargets.map((target) => {
    const url = new URL(target);
    // A custom scheme (a native client, RFC 8252 §7.1) has no origin; its scheme is all that can be named.
    return url.origin === 'null' ? url.protocol : url.origin;
  });
  return [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    `form-action ${["'self'", ...new Set(targets)].join(' ')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
}

/** The whole document. */
export function renderPage(page: Page): string {
  const scripts = (page.scripts ?? []).map((path) => html`<script src="${path}" defer></script>`);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${page.problem === true && 'Error: '}${page.title} · Gatehouse</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/style.css">
${scripts}
</head>
<body>
<header class="brand"><img src="/assets/icon.svg" width="28" height="28" alt="">Gatehouse</header>
<main>
<h1>${page.title}</h1>
${page.body}
</main>
</body>
</html>
`.html;
}

/** Of the message that fields refer to. */
const problemId = 'problem';

/** A message above a form: read out by screen readers as soon as it appears, and again at the fields it is about. */
export function alertBox(text: string): Html {
  return html`<p class="alert" id="${problemId}" role="alert">${text}</p>`;
}

/** A labelled input. `hint` is tied to it for screen readers; so is the message above the form when it is `invalid`. */
export function field(input: {
  name: string;
  label: string;
  type?: 'text' | 'password';
  value?: string;
  autocomplete: string;
  hint?: string;
  autofocus?: boolean;
  invalid?: boolean;
  /** Not for passwords: browsers cut what is pasted without a word, and the cut password would be kept. */
  maxLength?: number;
}): Html {
  const hintId = `${input.name}-hint`;
  const described = [input.invalid === true && problemId, input.hint !== undefined && hintId].filter(Boolean).join(' ');
  return html`<div class="field">
<label for="${input.name}">${input.label}</label>
<input id="${input.name}" name="${input.name}" type="${input.type ?? 'text'}" value="${input.value ?? ''}" autocomplete="${input.autocomplete}"${input.maxLength !== undefined && html` maxlength="${input.maxLength}"`} required autocapitalize="none" spellcheck="false"${input.autofocus === true && html` autofocus`}${input.invalid === true && html` aria-invalid="true"`}${described !== '' && html` aria-describedby="${described}"`}>
${input.hint !== undefined && html`<p class="hint" id="${hintId}">${input.hint}</p>`}
</div>`;
}
