import { Resolver } from 'node:dns/promises';

/** An address that a name stands for. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Finds the addresses of a name; rejects when it has none. */
export type ResolveName = (name: string) => Promise<ResolvedAddress[]>;

const loopback: readonly ResolvedAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Resolves names that somebody registered, by DNS alone. `dns.lookup` would hold one of the four threads of libuv for as
 * long as a hostile name server keeps it waiting, and the same four check passwords and sign tokens: a handful of such
 * names would stop a node. Names of /etc/hosts are for those origins that the operator allows.
 */
export function createResolveName(resolver: Pick<Resolver, 'resolve4' | 'resolve6'> = defaultResolver()): ResolveName {
  return async (name) => {
    // RFC 6761 §6.3: never asked of a name server.
    if (/(^|\.)localhost\.?$/i.test(name)) return [...loopback];
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found: ResolvedAddress[] = [
      ...(v4.status === 'fulfilled' ? v4.value.map((address) => ({ address, family: 4 as const })) : []),
      ...(v6.status === 'fulfilled' ? v6.value.map((address) => ({ address, family: 6 as const })) : []),
    ];
    if (found.length === 0) throw v4.status === 'rejected' ? v4.reason : new Error(`${name} has no address`);
    return found;
  };
}

function defaultResolver(): Resolver {
  return new Resolver({ timeout: 1000, tries: 2 });
}
