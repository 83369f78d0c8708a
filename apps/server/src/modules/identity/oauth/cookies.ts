import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Names of the cookies. With https they carry the prefix `__Host-`: the browser then takes them only from this very
 * host, over TLS, for the path `/`. On plain http (loopback only) the prefix is not possible.
 */
export interface CookieRules {
  readonly session: string;
  readonly interaction: string;
  readonly resume: string;
  readonly secure: boolean;
}

/** The cookie names for an issuer. */
export function cookieRules(issuer: string): CookieRules {
  const secure = issuer.startsWith('https:');
  const name = (what: string) => `${secure ? '__Host-' : ''}gatehouse-${what}`;
  return { session: name('session'), interaction: name('interaction'), resume: name('resume'), secure };
}

/*
 * oidc-provider keeps one interaction and one resume cookie and tells sign-ins in several tabs apart by cookie paths,
 * which `__Host-` forbids. So outside, each of these cookies has the beginning of its interaction's id in its name and
 * the path `/`; inside, oidc-provider sees its own name again. The signature covers the inner name and the value.
 */
const idLength = 12;
/** Sign-ins a browser may have open at once; the oldest is given up for a new one. */
const maxOpen = 6;

/**
 * Signs cookies with HMAC-SHA256 (the cookie library's own default is SHA-1). The first key signs, all are accepted.
 * The shape is that of the package `keygrip`, which the cookie library asks for.
 */
export function createCookieSigner(keys: readonly string[]) {
  const macOf = (key: string, data: string) => createHmac('sha256', key).update(data).digest();
  const index = (data: string, signature: string): number => {
    const given = Buffer.from(signature, 'base64url');
    return keys.findIndex((key) => {
      const expected = macOf(key, data);
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
  };
  return {
    sign: (data: string) => macOf(keys[0] ?? '', data).toString('base64url'),
    verify: (data: string, signature: string) => index(data, signature) >= 0,
    index,
  };
}

/** Gives oidc-provider the cookies of the interaction that the request's path names, under the names it knows. */
export function openCookies(request: IncomingMessage, rules: CookieRules): void {
  const header = request.headers.cookie;
  if (header === undefined) return;
  const path = (request.url ?? '').split('?')[0] ?? '';
  const id = interactionIdOf(path);
  const cookies = header.split(/; */).filter((cookie) => perInteraction(nameOf(cookie), rules) === undefined);
  if (id !== undefined) {
    for (const cookie of header.split(/; */)) {
      const outer = perInteraction(nameOf(cookie), rules);
      if (outer?.id === id.slice(0, idLength)) {
        cookies.push(`${outer.name}${outer.signature ? '.sig' : ''}=${cookie.slice(cookie.indexOf('=') + 1)}`);
      }
    }
  }
  // The list of open sign-ins is needed again when a new one is added to the answer.
  openIds.set(request, openInteractions(header, rules));
  request.headers.cookie = cookies.join('; ');
}

const openIds = new WeakMap<IncomingMessage, readonly string[]>();

/** Rewrites the cookies oidc-provider sets, at the moment the answer's head is written. */
export function sealCookies(response: ServerResponse, rules: CookieRules): void {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]) => {
    const set = response.getHeader('set-cookie');
    if (Array.isArray(set)) response.setHeader('set-cookie', rewrite(set, openIds.get(response.req) ?? [], rules));
    return writeHead(...args);
  };
}

function rewrite(cookies: readonly string[], open: readonly string[], rules: CookieRules): string[] {
  const added = new Set<string>();
  const rewritten = cookies.map((cookie) => {
    const [pair = '', ...attributes] = cookie.split(/; */);
    const name = nameOf(pair);
    const signature = name.endsWith('.sig');
    const base = signature ? name.slice(0, -4) : name;
    if (base !== rules.interaction && base !== rules.resume) return cookie;
    const path = attributes.find((attribute) => attribute.toLowerCase().startsWith('path='))?.slice(5) ?? '';
    const id = (interactionIdOf(path) ?? '').slice(0, idLength);
    if (pair.length > name.length + 1) added.add(id);
    const rest = attributes.filter((attribute) => !attribute.toLowerCase().startsWith('path='));
    return [`${outerName(base, id, signature)}${pair.slice(name.length)}`, 'path=/', ...rest].join('; ');
  });
  const givenUp = added.size === 0 ? [] : open.slice(0, Math.max(0, open.length + added.size - maxOpen));
  return [...rewritten, ...givenUp.flatMap((id) => forgetCookies(id, [rules.interaction, rules.resume], rules))];
}

/**
 * Makes a browser forget the cookie of an interaction's pages; the one to resume with is oidc-provider's to end.
 * `uid` comes from the address: one that is none has no cookie, and is not written into a header.
 */
export function forgetInteraction(uid: string, rules: CookieRules): string[] {
  return !/^[A-Za-z0-9_-]{12,}$/.test(uid) ? [] : forgetCookies(uid.slice(0, idLength), [rules.interaction], rules);
}

function forgetCookies(id: string, bases: readonly string[], rules: CookieRules): string[] {
  const end = `; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; samesite=lax; httponly${rules.secure ? '; secure' : ''}`;
  return bases.flatMap((base) => [`${outerName(base, id, false)}=${end}`, `${outerName(base, id, true)}=${end}`]);
}

/** Ids of the interactions whose cookies the browser holds, oldest first (RFC 6265 §5.4). */
function openInteractions(header: string, rules: CookieRules): string[] {
  const ids = new Set<string>();
  for (const cookie of header.split(/; */)) {
    const outer = perInteraction(nameOf(cookie), rules);
    if (outer && outer.name === rules.interaction) ids.add(outer.id);
  }
  return [...ids];
}

function outerName(base: string, id: string, signature: boolean): string {
  return `${base}-${id}${signature ? '.sig' : ''}`;
}

function perInteraction(
  name: string,
  rules: CookieRules,
): { name: string; id: string; signature: boolean } | undefined {
  const signature = name.endsWith('.sig');
  const plain = signature ? name.slice(0, -4) : name;
  for (const base of [rules.interaction, rules.resume]) {
    if (plain.startsWith(`${base}-`)) return { name: base, id: plain.slice(base.length + 1), signature };
  }
  return undefined;
}

function nameOf(cookie: string): string {
  const end = cookie.indexOf('=');
  return end < 0 ? cookie : cookie.slice(0, end);
}

/** `/interaction/{uid}…`, `/authorize/{uid}`, `/device/{uid}`, with or without the mount path. */
function interactionIdOf(path: string): string | undefined {
  return /^(?:\/oauth)?\/(?:interaction|authorize|device)\/([A-Za-z0-9_-]{12,})/.exec(path)?.[1];
}
