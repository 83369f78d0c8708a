import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  decryptCompactJwe,
  generateKeyPair,
  importDecryptionKey,
  importSigningKey,
  type JsonObject,
  signCompactJws,
} from '@gatehouse/crypto';
import { createOauthFixture, type OauthFixture, type TestService } from '../../testing/oauth-fixture.ts';

/** A backend's published keys at a real address, and a foreign identity provider at another. */
export interface SecretsFixture extends OauthFixture {
  /** Where the backend publishes its keys. */
  readonly popUrl: string;
  /** The registered backend. */
  readonly records: TestService;
  /** Requests that the backend's address has seen. */
  popRequests(): number;
  /** Replaces what the address answers. */
  answerPop(body: string, status?: number): void;
  /** Opens a JWE to the backend's key. */
  open(jwe: string): Promise<string>;
  /** The access token of a user of `acme`. */
  signIn(username: string, fields?: object): Promise<string>;
  /** A token-exchange request of a service. */
  exchange(service: TestService, form: Record<string, string>): ReturnType<OauthFixture['post']>;
  /** A foreign identity provider that is trusted as `partner`. */
  readonly partner: { issuer: string; sign(claims: JsonObject, header?: { typ?: string }): Promise<string> };
  closeAddresses(): void;
}

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
export const jwtType = 'urn:ietf:params:oauth:token-type:jwt';
export const userSecretType = 'urn:gatehouse:params:oauth:token-type:user-secret';

/** Starts the node with the addresses allowed, the backend registered, the partner trusted, and alice and bob. */
export async function createSecretsFixture(): Promise<SecretsFixture> {
  const encryption = await generateKeyPair('RSA-OAEP-256');
  const signature = await generateKeyPair('RS256');
  let requests = 0;
  let pop = { status: 200, body: JSON.stringify({ keys: [encryption.publicJwk] }) };
  const popServer = await listen((url) => {
    if (url !== '/pop') return { status: 200, body: JSON.stringify({ keys: [signature.publicJwk] }) };
    requests += 1;
    return pop;
  });
  const origin = `http://127.0.0.1:${(popServer.address() as AddressInfo).port}`;
  const popUrl = `${origin}/pop`;
  const fixture = await createOauthFixture({ settings: { allowPrivateNetworks: [origin] } });
  const records = await fixture.createService('records', {
    audience: 'records',
    grants: ['token_exchange', 'client_credentials'],
    pop_url: popUrl,
  });
  const issuer = 'https://idp.partner.example';
  const trusted = await fixture.app.inject({
    method: 'POST',
    url: '/v1/issuers',
    headers: { authorization: `Bearer ${await fixture.operatorToken()}` },
    payload: { name: 'partner', issuer, jwks_uri: `${origin}/jwks`, algorithms: ['RS256'] },
  });
  if (trusted.statusCode !== 201) throw new Error(trusted.body);
  const users = new Map<string, string>();
  for (const username of ['alice', 'bob']) users.set(username, (await fixture.createUser(username)).password);
  const decryption = importDecryptionKey(encryption.privateJwk);
  const signing = importSigningKey(signature.privateJwk);
  return {
    ...fixture,
    popUrl,
    records,
    popRequests: () => requests,
    answerPop(body, status = 200) {
      pop = { status, body };
    },
    async open(jwe) {
      const { plaintext } = await decryptCompactJwe(jwe, { findKey: () => decryption });
      return new TextDecoder().decode(plaintext);
    },
    async signIn(username, fields = {}) {
      const answer = await fixture.app.inject({
        method: 'POST',
        url: '/v1/sessions',
        payload: { username, password: users.get(username) ?? '', ...fields },
      });
      if (answer.statusCode !== 200) throw new Error(answer.body);
      return answer.json<{ access_token: string }>().access_token;
    },
    exchange: (service, form) =>
      fixture.post(
        '/oauth/token',
        { grant_type: exchangeGrant, subject_token_type: accessTokenType, ...form },
        service,
      ),
    partner: {
      issuer,
      sign: (claims, header = {}) => {
        const now = Math.floor(fixture.clock.now().getTime() / 1000);
        return signCompactJws({
          key: signing,
          payload: { iss: issuer, iat: now, exp: now + 300, ...claims },
          ...header,
        });
      },
    },
    closeAddresses() {
      popServer.closeAllConnections();
      popServer.close();
    },
  };
}

async function listen(answer: (url: string) => { status: number; body: string }): Promise<Server> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
