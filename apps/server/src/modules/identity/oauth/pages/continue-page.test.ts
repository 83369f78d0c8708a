import assert from 'node:assert/strict';
import { test } from 'node:test';
import formPost from 'oidc-provider/lib/response_modes/form_post.js';
import { continuePage } from './continue-page.ts';

/** The page as oidc-provider makes it. */
function theirs(action: string, inputs: Record<string, string>): string {
  const context = { status: 200, type: '', body: '', response: { get: () => '' } };
  formPost(context, action, inputs);
  return context.body;
}

test('a form that sends itself becomes our page: same target, same values, nothing inline, a button', () => {
  const action = 'https://app.acme.example/callback?a=1&b="2"';
  const page = continuePage(theirs(action, { code: 'abc', state: `"><script>alert('x')</script>&amp;` }));
  assert.equal(page?.action, action);
  assert.ok(page.body.includes('action="https://app.acme.example/callback?a=1&#38;b=&#34;2&#34;"'));
  assert.ok(page.body.includes('name="code" value="abc"'));
  const state = '&#34;&#62;&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#38;amp;';
  assert.ok(page.body.includes(`name="state" value="${state}"`), page.body);
  assert.deepEqual(page.body.match(/<script[^>]*>/g), ['<script src="/assets/submit.js" defer>']);
  assert.equal(page.body.match(/<button type="submit">/g)?.length, 1);
  assert.match(page.body, /<html lang="en">/);
});

test('every other page stays as it is', () => {
  assert.equal(continuePage('<!doctype html><form method="post" action="/x"><button>Go</button></form>'), undefined);
  assert.equal(continuePage(''), undefined);
});
