import type { JsonObject } from '@gatehouse/contracts';
import type { Api } from '../api.ts';
import type { Cli } from '../cli.ts';
import { ServerRefusal } from '../errors.ts';
import type { Call } from '../http.ts';
import { text } from '../values.ts';
import { namesOf } from './names.ts';
import type { Target } from './target.ts';

/** The configuration of a namespace as one version has it. */
export interface Present {
  /** 0: there is none yet. */
  readonly version: number;
  /** What its author wrote: what a new version is made from. */
  readonly own: JsonObject;
  /** What instances get, inherited values and resolved references included. */
  readonly effective: JsonObject;
  readonly sources: JsonObject;
  /** The answer as it came. */
  readonly answer: JsonObject;
}

/** A version to be published. */
export interface Publication {
  readonly parentVersion: number;
  readonly configuration: JsonObject;
  /** Message, labels, time: what `publicationOf` made of the options. */
  readonly more: JsonObject;
}

/** The configuration API of one namespace. */
export function createRemote(api: Api, target: Target) {
  const base = `/v1/services/${target.service}/${target.namespace}`;

  const seeHistory = `see: gatehouse config history ${target.args}`;
  const seeNamespaces = `see: gatehouse config namespaces ${target.label.split('/')[0]}; make it with: gatehouse config create ${target.args}`;

  const hintFor = (path: string): string => {
    if (path.startsWith('/proposals/')) return `see: gatehouse config proposals ${target.args} --all`;
    return /^\/\d|^\/rollback/.test(path) ? seeHistory : seeNamespaces;
  };

  const call = async (path: string, request: Call = {}): Promise<JsonObject> => {
    try {
      return await api.call(`${base}${path}`, request);
    } catch (error) {
      if (!(error instanceof ServerRefusal) || error.status !== 404) throw error;
      throw new ServerRefusal(404, error.problem, hintFor(path));
    }
  };

  const latest = async (): Promise<number> => Number((await call('/latest'))['version']);

  const read = async (version: number): Promise<Present> => {
    if (version === 0) return { version: 0, own: {}, effective: {}, sources: {}, answer: { version: 0 } };
    const answer = await call(`/${version}`);
    const effective = (answer['configuration'] ?? {}) as JsonObject;
    const own = (answer['own'] ?? effective) as JsonObject;
    return { version, own, effective, sources: (answer['sources'] ?? {}) as JsonObject, answer };
  };

  return {
    target,
    call,
    latest,
    /** A version, or the newest. */
    read: async (version?: number): Promise<Present> => read(version ?? (await latest())),
    publish: ({ parentVersion, configuration, more }: Publication): Promise<JsonObject> =>
      call('', { method: 'POST', body: { ...more, parent_version: parentVersion, configuration } }),
    /** Every version down to the oldest, at most `limit`, newest first. */
    history: (limit: number): Promise<JsonObject[]> => api.list(`${base}/versions`, { limit }),
    /** Proposals, newest first: those that wait, or all. */
    proposals: async ({ all }: { all: boolean }): Promise<JsonObject[]> => {
      const states = all ? [undefined] : ['open', 'scheduled'];
      return (await Promise.all(states.map((state) => api.list(`${base}/proposals`, { query: { state } })))).flat();
    },
    /** Who made a version: the user name where the caller may see it. */
    authorOf: async ({ answer }: Pick<Present, 'answer'>): Promise<string> =>
      (await namesOf(api, [answer])).get(text(answer, 'created_by')) ?? text(answer, 'created_by'),
    /** The secrets of a version; the server records who asked. */
    reveal: async (version: number, keys: readonly string[] | undefined, reason: string | undefined) =>
      (await call(`/${version}/reveal`, { method: 'POST', body: { keys, reason } }))['values'] as JsonObject,
  };
}

/** What {@link createRemote} gives. */
export type Remote = ReturnType<typeof createRemote>;

/** The remote of a target, in the organization that it names. */
export async function remoteOf(cli: Cli, target: Target): Promise<Remote> {
  return createRemote(await cli.api({ organization: target.organization }), target);
}
