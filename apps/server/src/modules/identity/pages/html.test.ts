import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html } from './html.ts';
import { contentSecurityPolicy, field, renderPage } from './layout.ts';

test('whatever is put into a page is escaped, in text and in attributes', () => {
  const attack = `"><script>alert('x')</script>&\``;
  const page = renderPage({
    title: attack,
    body: field({ name: 'username', label: attack, value: attack, autocomplete: 'username' }),
  });
  assert.ok(!page.includes('<script>alert'));
  assert.ok(!page.includes(`value="">`));
  assert.equal(
    html`<b>${attack}</b>`.html,
    '<b>&#34;&#62;&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#38;&#96;</b>',
  );
});

test('nothing, text, numbers and lists of pieces can stand in a template', () => {
  assert.equal(html`${undefined}${false}${1}${'a<'}${html`<i>`}${[html`<b>`, html`<u>`]}`.html, '1a&#60;<i><b><u>');
});

test('the policy allows nothing inline and names the targets of a form by origin or scheme', () => {
  const policy = contentSecurityPolicy(['https://app.example/callback?x=1', 'com.example.app:/callback']);
  assert.match(policy, /form-action 'self' https:\/\/app\.example com\.example\.app:;/);
  assert.ok(!policy.includes('unsafe'));
  assert.match(policy, /frame-ancestors 'none'/);
});
