/** A piece of HTML whose variable parts were escaped. Only {@link html} makes one. */
export interface Html {
  readonly html: string;
}

/** What may stand in a template: text is escaped, {@link Html} is taken as it is, `undefined` and `false` are nothing. */
export type HtmlPart = string | number | Html | readonly Html[] | undefined | false;

/** The template tag of every page: escapes whatever is put in, so that a page cannot be made to say something else. */
export function html(strings: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  let text = strings[0] ?? '';
  parts.forEach((part, index) => {
    text += write(part) + (strings[index + 1] ?? '');
  });
  return { html: text };
}

/** Text as it may stand in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.codePointAt(0)};`);
}

function write(part: HtmlPart): string {
  if (part === undefined || part === false) return '';
  if (typeof part === 'string') return escapeHtml(part);
  if (typeof part === 'number') return String(part);
  if ('html' in part) return part.html;
  return part.map((one) => one.html).join('');
}
