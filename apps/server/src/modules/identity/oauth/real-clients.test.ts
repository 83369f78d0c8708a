import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { compactDecrypt, createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { createOauthFixture, redirectUri, userPassword } from '../../../testing/oauth-fixture.ts';

/** A port that was free a moment ago: the issuer has to be known before the server listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const port = await freePort();
const issuer = `http://127.0.0.1:${port}`;
const t = await createOauthFixture({ settings: { publicUrl: issuer, port } });
await t.app.listen({ port, host: '127.0.0.1' });
await t.createUser('alice', ['developer']);
const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig', kid: 'signer-1' };
const web = await t.createService('web', {
  grants: ['authorization_code', 'client_credentials'],
  redirect_uris: [redirectUri],
  id_token_signed_response_alg: 'RS256',
});
const signer = await t.createService('signer', {
  grants: ['authorization_code', 'client_credentials'],
  redirect_uris: [redirectUri],
  authentication: 'private_key_jwt',
  jwks: { keys: [jwk] },
});

/** What a person does in a browser, over the network. */
async function signIn(address: URL): Promise<URL> {
  const cookies = new Map<string, string>();
  let request: { url: URL; form?: URLSearchParams } = { url: address };
  for (let hops = 0; hops < 12; hops += 1) {
    const answer = await fetch(request.url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(request.form ? { method: 'POST', body: request.form } : {}),
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const pair = cookie.split(';', 1)[0] ?? '';
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const;
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = answer.headers.get('location');
    if (location !== null) {
      const url = new URL(location, request.url);
      if (url.origin !== issuer) return url;
      request = { url };
      continue;
    }
    const page = await answer.text();
    const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1];
    assert.ok(action, page);
    const form = new URLSearchParams(
      [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(
        (match) => [match[1] ?? '', match[2] ?? ''] as [string, string],
      ),
    );
    if (page.includes('type="password"')) {
      form.set('username', 'alice');
      form.set('password', userPassword);
    } else form.set('decision', 'allow');
    request = { url: new URL(action, request.url), form };
  }
  throw new Error('the sign-in does not end');
}

const insecure = { [oauth.allowInsecureRequests]: true } as const;

for (const [name, service, authentication] of [
  ['client_secret_post', web, client.ClientSecretPost(web.secret)],
  ['client_secret_basic', web, client.ClientSecretBasic(web.secret)],
  ['private_key_jwt', signer, client.PrivateKeyJwt({ key: privateKey, kid: jwk.kid })],
] as const) {
  test(`openid-client with ${name}: discovery, code, refresh, userinfo, introspection, revocation`, async () => {
    const config = await client.discovery(new URL(issuer), service.clientId, undefined, authentication, {
      execute: [client.allowInsecureRequests],
    });
    const verifier = client.randomPKCECodeVerifier();
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const parameters = {
      redirect_uri: redirectUri,
      scope: 'openid profile offline_access',
      prompt: 'consent',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    };
    const address =
      name === 'client_secret_basic'
        ? await client.buildAuthorizationUrlWithPAR(config, parameters)
        : client.buildAuthorizationUrl(config, parameters);
    const callback = await signIn(address);
    const tokens = await client.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    assert.ok(claims);
    assert.equal(claims['preferred_username'], 'alice');
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
    assert.equal(userinfo['org'], 'acme');
    assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, true);
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '');
    assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
    await client.tokenRevocation(config, refreshed.access_token);
    assert.equal((await client.tokenIntrospection(config, refreshed.access_token)).active, false);
    await client.tokenRevocation(config, refreshed.refresh_token ?? '');
    await assert.rejects(client.refreshTokenGrant(config, refreshed.refresh_token ?? ''), { error: 'invalid_grant' });
  });

  test(`openid-client with ${name}: client credentials; the token verifies with jose`, async () => {
    const config = await client.discovery(new URL(issuer), service.clientId, undefined, authentication, {
      execute: [client.allowInsecureRequests],
    });
    const { access_token: token } = await client.clientCredentialsGrant(config);
    const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri ?? ''));
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: issuer,
      typ: 'at+jwt',
      algorithms: ['ES256'],
    });
    assert.equal(payload.sub, service.clientId);
  });
}

test('oauth4webapi: discovery, code with PKCE and DPoP, refresh, userinfo, RFC 9068 validation', async () => {
  const server = await oauth.processDiscoveryResponse(
    new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oidc', ...insecure }),
  );
  const oauth2 = await oauth.processDiscoveryResponse(
    new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...insecure }),
  );
  assert.equal(oauth2.token_endpoint, server.token_endpoint);
  const me: oauth.Client = { client_id: web.clientId, id_token_signed_response_alg: 'RS256' };
  const authentication = oauth.ClientSecretPost(web.secret);
  const dpop = oauth.DPoP(me, await oauth.generateKeyPair('ES256'));
  const verifier = oauth.generateRandomCodeVerifier();
  const address = new URL(server.authorization_endpoint ?? '');
  const state = oauth.generateRandomState();
  for (const [name, value] of Object.entries({
    client_id: web.clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })) {
    address.searchParams.set(name, value);
  }
  const parameters = oauth.validateAuthResponse(server, me, await signIn(address), state);
  const answer = await oauth.authorizationCodeGrantRequest(
    server,
    me,
    authentication,
    parameters,
    redirectUri,
    verifier,
    {
      DPoP: dpop,
      ...insecure,
    },
  );
  const tokens = await oauth.processAuthorizationCodeResponse(server, me, answer, { requireIdToken: true });
  assert.equal(tokens.token_type, 'dpop');
  const { sub } = oauth.getValidatedIdTokenClaims(tokens) ?? { sub: '' };
  const userinfo = await oauth.userInfoRequest(server, me, tokens.access_token, { DPoP: dpop, ...insecure });
  assert.equal((await oauth.processUserInfoResponse(server, me, sub, userinfo)).sub, sub);

  const refreshed = await oauth.processRefreshTokenResponse(
    server,
    me,
    await oauth.refreshTokenGrantRequest(server, me, authentication, tokens.refresh_token ?? '', {
      DPoP: dpop,
      ...insecure,
    }),
  );
  assert.ok(refreshed.refresh_token);

  const machine = await oauth.processClientCredentialsResponse(
    server,
    me,
    await oauth.clientCredentialsGrantRequest(server, me, authentication, {}, insecure),
  );
  const request = new Request(`${issuer}/v1/me`, { headers: { authorization: `Bearer ${machine.access_token}` } });
  const claims = await oauth.validateJwtAccessToken(server, request, issuer, insecure);
  assert.equal(claims.client_id, web.clientId);
});

test('both clients exchange a user’s token, and open what was sealed to the service', async () => {
  const sealing = await generateKeyPair('RSA-OAEP-256', { extractable: true });
  const sealingJwk = { ...(await exportJWK(sealing.publicKey)), use: 'enc', alg: 'RSA-OAEP-256', kid: 'records-1' };
  const records = await t.createService('records', { grants: ['token_exchange'], jwks: { keys: [sealingJwk] } });
  const signedIn = await t.app.inject({
    method: 'POST',
    url: '/v1/sessions',
    payload: { username: 'alice', password: userPassword, audience: ['acme.records'] },
  });
  const exchange = {
    subject_token: signedIn.json<{ access_token: string }>().access_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  };
  const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const open = async (jwe: string) =>
    new TextDecoder().decode((await compactDecrypt(jwe, sealing.privateKey)).plaintext);

  const config = await client.discovery(
    new URL(issuer),
    records.clientId,
    undefined,
    client.ClientSecretBasic(records.secret),
    { execute: [client.allowInsecureRequests] },
  );
  const tokens = await client.genericGrantRequest(config, grantType, exchange);
  assert.equal(tokens.token_type, 'bearer');
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
  const { payload } = await jwtVerify(tokens.access_token, keys, { issuer, audience: 'acme.records', typ: 'at+jwt' });
  const sealed = (payload['secret'] as Record<string, string>)['acme.records'] ?? '';
  const secret = await open(sealed);
  assert.match(secret, /^[A-Za-z0-9_-]{43}$/);

  const server = await oauth.processDiscoveryResponse(
    new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), insecure),
  );
  const me: oauth.Client = { client_id: records.clientId };
  const answer = await oauth.processGenericTokenEndpointResponse(
    server,
    me,
    await oauth.genericTokenEndpointRequest(
      server,
      me,
      oauth.ClientSecretBasic(records.secret),
      grantType,
      { ...exchange, requested_token_type: 'urn:gatehouse:params:oauth:token-type:user-secret' },
      insecure,
    ),
    { recognizedTokenTypes: { n_a: () => {} } },
  );
  assert.equal(await open(answer.access_token), secret);
});
