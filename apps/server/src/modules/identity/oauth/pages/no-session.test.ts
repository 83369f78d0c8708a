import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOauthFixture } from '../../../../testing/oauth-fixture.ts';

const t = await createOauthFixture();

test('a form or an address of the pages without the session it belongs to is refused as a page of ours', async () => {
  const post = (payload: string) =>
    t.app.inject({
      method: 'POST',
      url: '/oauth/device',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload,
    });
  for (const answer of [
    await post('user_code=AAAA-BBBB&xsrf=guessed'),
    await post('user_code=AAAA-BBBB&confirm=yes'),
    await post(''),
    await t.app.inject({ url: '/oauth/device/xxxxxxxxxxxxxxxxxxxxx' }),
  ]) {
    assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${answer.statusCode} ${answer.body}`);
    assert.match(String(answer.headers['content-type']), /text\/html/);
    assert.match(String(answer.headers['content-security-policy']), /frame-ancestors 'none'/);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.equal(answer.headers['cache-control'], 'no-store');
  }
});

test('when the store fails in the middle, the answer keeps its headers and tells nothing', async () => {
  await t.db.pool.query('alter table identity.oauth_artifacts rename to artifacts_away');
  try {
    const answer = await t.app.inject({
      url: '/oauth/device',
      headers: { cookie: 'gatehouse-session=aaaaaaaaaaaaaaaaaaaaa; gatehouse-session.sig=x' },
    });
    assert.equal(answer.statusCode, 500);
    assert.match(String(answer.headers['content-security-policy']), /frame-ancestors 'none'/);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.doesNotMatch(answer.body, /artifacts|relation/);
    const { rows } = await t.db.pool.query('select 1 as alive');
    assert.equal(rows.length, 1);
  } finally {
    await t.db.pool.query('alter table identity.artifacts_away rename to oauth_artifacts');
  }
});
