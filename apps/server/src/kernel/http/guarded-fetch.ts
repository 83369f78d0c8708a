import { lookup as dnsLookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { BlockList, isIP } from 'node:net';
import { createResolveName, type ResolvedAddress, type ResolveName } from './public-lookup.ts';

/** Why an outgoing request was not made or not answered. `reason` is safe to show to an administrator. */
export class FetchRefused extends Error {
  readonly reason:
    | 'bad_url'
    | 'not_https'
    | 'private_address'
    | 'redirect'
    | 'bad_status'
    | 'too_large'
    | 'timeout'
    | 'unreachable';
  /** What was answered, when it was answered. */
  readonly status: number | undefined;

  constructor(reason: FetchRefused['reason'], message: string, options: { cause?: unknown; status?: number } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'FetchRefused';
    this.reason = reason;
    this.status = options.status;
  }
}

/** What came back: a 2xx or 304 answer, whole. */
export interface FetchedDocument {
  readonly status: number;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** The one client for outgoing requests whose address somebody registered. */
export type GuardedFetch = (
  url: string,
  options?: { method?: 'GET' | 'POST'; headers?: Record<string, string>; body?: string; maxBytes?: number },
) => Promise<FetchedDocument>;

const defaultMaxBytes = 50 * 1024;
const connectTimeoutMs = 2000;
const totalTimeoutMs = 5000;

/**
 * Creates the guarded client: https only, no private, loopback or link-local address (checked after resolution, on the
 * very address connected to), no redirects, 50 KiB, 5 seconds in all. `allowedOrigins` are exact origins that may be
 * private and plain http. TLS is always verified.
 */
export function createGuardedFetch({
  allowedOrigins,
  resolveName = createResolveName(),
}: {
  allowedOrigins: readonly string[];
  resolveName?: ResolveName;
}): GuardedFetch {
  const allowed = new Set(allowedOrigins);
  return (address, options = {}) =>
    new Promise((resolve, reject) => {
      const url = URL.parse(address);
      if (!url || url.username !== '' || url.password !== '') {
        reject(new FetchRefused('bad_url', 'the address is not a URL without user name and password'));
        return;
      }
      const trusted = allowed.has(url.origin);
      if (url.protocol !== 'https:' && !(trusted && url.protocol === 'http:')) {
        reject(new FetchRefused('not_https', `${url.origin} is not https and not in GATEHOUSE_ALLOW_PRIVATE_NETWORKS`));
        return;
      }
      const literal = url.hostname.replace(/^\[(.*)\]$/, '$1');
      if (!trusted && isIP(literal) !== 0 && isPrivateAddress(literal)) {
        reject(privateAddress(url));
        return;
      }
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request = send(url, {
        method: options.method ?? 'GET',
        headers: { accept: 'application/json', 'user-agent': 'gatehouse', ...options.headers },
        agent: false, // a connection of its own: nothing pooled survives a change of the rules
        lookup: trusted ? dnsLookup : guardedLookup(url, resolveName),
        timeout: connectTimeoutMs,
        maxHeaderSize: 8192,
      });
      const deadline = setTimeout(
        () => fail(new FetchRefused('timeout', `${url.origin} did not answer in time`)),
        totalTimeoutMs,
      );
      const fail = (error: FetchRefused) => {
        clearTimeout(deadline);
        request.destroy();
        reject(error);
      };
      request.on('timeout', () => fail(new FetchRefused('timeout', `${url.origin} did not answer in time`)));
      request.on('error', (error) =>
        fail(
          error instanceof FetchRefused
            ? error
            : new FetchRefused('unreachable', `${url.origin} cannot be reached`, { cause: error }),
        ),
      );
      request.on('response', (response) => {
        readAnswer(response, url, options.maxBytes ?? defaultMaxBytes)
          .finally(() => clearTimeout(deadline))
          .then(resolve, fail);
      });
      request.end(options.body);
    });
}

async function readAnswer(response: IncomingMessage, url: URL, maxBytes: number): Promise<FetchedDocument> {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400 && status !== 304) {
    throw new FetchRefused('redirect', `${url.origin} answered with a redirect; register the final address`, {
      status,
    });
  }
  if (status !== 304 && (status < 200 || status > 299)) {
    throw new FetchRefused('bad_status', `${url.origin} answered with status ${status}`, { status });
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > maxBytes)
        throw new FetchRefused('too_large', `${url.origin} answered with more than ${maxBytes} bytes`, { status });
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof FetchRefused) throw error;
    throw new FetchRefused('unreachable', `${url.origin} broke off its answer`, { cause: error });
  }
  return { status, body: new Uint8Array(Buffer.concat(chunks)), headers: response.headers };
}

/** Resolves a name and refuses it when any of its addresses is private: the connection uses the addresses checked here. */
function guardedLookup(url: URL, resolveName: ResolveName): LookupFunction {
  const publicAddresses = async (hostname: string, family: unknown) => {
    const all = await resolveName(hostname);
    if (all.some((one) => isPrivateAddress(one.address))) throw privateAddress(url);
    return family === 4 || family === 6 ? all.filter((one) => one.family === family) : all;
  };
  return (hostname, options, callback) => {
    const answer = async () => {
      let addresses: ResolvedAddress[];
      try {
        addresses = await publicAddresses(hostname, options.family);
      } catch (error) {
        callback(error as NodeJS.ErrnoException, []);
        return;
      }
      const [first] = addresses;
      if (!first) callback(new Error(`${hostname} has no address of this family`), []);
      else if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    };
    void answer();
  };
}

function privateAddress(url: URL): FetchRefused {
  return new FetchRefused(
    'private_address',
    `${url.hostname} is a private address; if that is meant, add ${url.origin} to GATEHOUSE_ALLOW_PRIVATE_NETWORKS`,
  );
}

const privateRanges = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  privateRanges.addSubnet(network, prefix, 'ipv4');
}
// Of IPv6 only global unicast (2000::/3) is public; inside it, what embeds an IPv4 address or is for documents is not.
const publicV6 = new BlockList();
publicV6.addSubnet('2000::', 3, 'ipv6');
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  privateRanges.addSubnet(network, prefix, 'ipv6');
}

/** True for every address that is not on the public Internet (RFC 6890 and its registries). */
export function isPrivateAddress(address: string): boolean {
  if (isIP(address) === 4) return privateRanges.check(address, 'ipv4');
  if (isIP(address) !== 6) return true;
  return !publicV6.check(address, 'ipv6') || privateRanges.check(address, 'ipv6');
}
