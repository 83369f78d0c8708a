import {
  AppError,
  type Clock,
  invalidField,
  isUniqueViolation,
  type Origin,
  type Random,
  type Reader,
  type Tx,
} from '../../../kernel/index.ts';
import type { Audit } from '../../audit/index.ts';
import { issuerAlgorithms, type TrustedIssuer } from './issuer.ts';
import { deleteIssuer, findIssuer, findIssuerByName, insertIssuer, listIssuers, updateIssuer } from './issuer-store.ts';

/** What an administrator says of a trusted issuer. */
export interface IssuerInput {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly algorithms: readonly string[];
  readonly audiences?: readonly string[] | undefined;
}

interface IssuerDeps {
  clock: Clock;
  random: Random;
  audit: Pick<Audit, 'append'>;
  publicUrl: string;
  allowPrivateNetworks: readonly string[];
}

/** Trusted issuers: who may vouch for a subject. They reach beyond organizations, so only operators change them. */
export function createIssuers({ clock, random, audit, publicUrl, allowPrivateNetworks }: IssuerDeps) {
  const assertInput = (input: IssuerInput) => {
    if (input.issuer === publicUrl) {
      throw invalidField('issuer', 'is Gatehouse itself', 'leave it out: its own tokens are always accepted');
    }
    const url = URL.parse(input.jwksUri);
    const isPlain = url?.protocol === 'http:' && allowPrivateNetworks.includes(url.origin);
    if (!url || (url.protocol !== 'https:' && !isPlain) || url.username !== '' || url.hash !== '') {
      throw invalidField(
        'jwks_uri',
        'is not an https address',
        'use https, or name its exact origin in GATEHOUSE_ALLOW_PRIVATE_NETWORKS',
      );
    }
    const unknown = input.algorithms.find((one) => !(issuerAlgorithms as readonly string[]).includes(one));
    if (unknown !== undefined || input.algorithms.length === 0) {
      throw invalidField('algorithms', 'names no algorithm we accept', `use some of ${issuerAlgorithms.join(', ')}`);
    }
  };

  return {
    find: findIssuer,
    findByName: findIssuerByName,
    list: (tx: Reader) => listIssuers(tx),

    /** Trusts a new issuer. */
    async createIssuer(tx: Tx, name: string, input: IssuerInput, origin: Origin): Promise<TrustedIssuer> {
      assertInput(input);
      const issuer: TrustedIssuer = {
        id: random.id('iss'),
        name,
        issuer: input.issuer,
        jwksUri: input.jwksUri,
        algorithms: input.algorithms,
        audiences: input.audiences ?? [],
        createdAt: clock.now(),
        createdBy: origin.actor.id,
      };
      await insertIssuer(tx, issuer).catch(refuseTaken);
      await audit.append(tx, {
        action: 'issuer.created',
        organization: 'gatehouse',
        origin,
        target: { type: 'issuer', id: name },
        details: { issuer: issuer.issuer, jwks_uri: issuer.jwksUri, algorithms: [...issuer.algorithms] },
      });
      return issuer;
    },

    /** Changes a trusted issuer; secrets stay bound to the `iss` they were made for. */
    async changeIssuer(tx: Tx, name: string, input: IssuerInput, origin: Origin): Promise<TrustedIssuer> {
      assertInput(input);
      const before = await getIssuerByName(tx, name);
      const issuer = { ...before, ...input, audiences: input.audiences ?? [] };
      await updateIssuer(tx, issuer).catch(refuseTaken);
      await audit.append(tx, {
        action: 'issuer.updated',
        organization: 'gatehouse',
        origin,
        target: { type: 'issuer', id: name },
        details: { issuer: issuer.issuer, jwks_uri: issuer.jwksUri, algorithms: [...issuer.algorithms] },
      });
      return issuer;
    },

    /** Trusts an issuer no longer; its subjects' secrets stay sealed and come back if it is trusted again. */
    async removeIssuer(tx: Tx, name: string, origin: Origin): Promise<void> {
      const issuer = await getIssuerByName(tx, name);
      await deleteIssuer(tx, issuer.id);
      await audit.append(tx, {
        action: 'issuer.deleted',
        organization: 'gatehouse',
        origin,
        target: { type: 'issuer', id: name },
        details: { issuer: issuer.issuer },
      });
    },
  };
}

/** What {@link createIssuers} gives. */
export type Issuers = ReturnType<typeof createIssuers>;

async function getIssuerByName(tx: Reader, name: string): Promise<TrustedIssuer> {
  const issuer = await findIssuerByName(tx, name);
  if (!issuer) throw new AppError('kernel.not_found', { detail: `There is no trusted issuer ${name}.` });
  return issuer;
}

function refuseTaken(error: unknown): never {
  if (isUniqueViolation(error)) {
    throw new AppError('secrets.issuer_exists', { detail: 'A trusted issuer has this name or this issuer already.' });
  }
  throw error;
}
