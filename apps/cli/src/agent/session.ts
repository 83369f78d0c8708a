/** An agent at work: enrolled, following its namespaces, telling the server how it goes. */
import {
  createAgentIdentity,
  createFollower,
  createRolloutClient,
  type FollowerOptions,
  type GatehouseError,
  isGatehouseError,
  type NamespaceStatus,
} from '@gatehouse/sdk';
import { CliError } from '../errors.ts';
import type { AgentOptions } from './agent-options.ts';
import { pause } from './health.ts';
import { createReports, type Reports } from './reports.ts';
import type { Say } from './say.ts';

/** How long the end waits for reports that are under way, milliseconds. */
const lastReportMs = 1500;

/** See {@link openSession}. */
export interface Session {
  /** Every namespace has a version that is in use. Rejects with a {@link CliError} when that will not come. */
  readonly ready: Promise<void>;
  /** Stops following; what is in use stays, and is still reported about. */
  stopFollowing(): Promise<void>;
  close(): Promise<void>;
}

/** Enrols if need be, then hands over versions to `apply`. Rejects with a {@link CliError}. */
export async function openSession({
  options,
  namespaces,
  apply,
  useReports,
  reporting,
  say,
  signal,
}: {
  options: AgentOptions;
  namespaces: readonly string[];
  apply: FollowerOptions['apply'];
  useReports: (reports: Reports) => void;
  /** Whether this instance shows up in the list of instances and asks for slots. */
  reporting: boolean;
  say: Say;
  /** Ends waiting for the enrolment. */
  signal: AbortSignal;
}): Promise<Session> {
  const startedMs = performance.now();
  const identity = await createAgentIdentity({
    url: options.url,
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    service: options.service,
    stateDir: options.stateDir,
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(await options.tokens()),
    enrolSeconds: options.startTimeoutMs / 1000,
    ...(options.rotateKeysAfterSeconds === undefined ? {} : { rotateKeysAfterSeconds: options.rotateKeysAfterSeconds }),
    signal,
  }).catch((error: unknown) => {
    throw agentError(error, options);
  });
  let isAway = false;
  const reports = createReports(
    (namespace) => createRolloutClient({ identity, namespace }),
    () => isAway,
  );

  if (reporting) useReports(reports);

  const unusable = Promise.withResolvers<never>();
  unusable.promise.catch(() => undefined);
  const onStatus = createStatusListener({
    say,
    reports: reporting ? reports : undefined,
    onUnusableCopy: (problem, error) =>
      unusable.reject(
        new CliError('cli.copy_refused', `${problem} And ${lowerFirst(error.message)}`, {
          fix: `start it when the server can be reached: it then gets a fresh copy. Should the copy be right, somebody changed ${options.stateDir}: enrol this instance anew`,
        }),
      ),
  });
  const follower = createFollower({
    identity,
    namespaces,
    apply,
    onStatus: (status) => {
      // The end of following says nothing about the server.
      if (status.state !== 'ended') isAway = status.state === 'away';
      onStatus(status);
    },
  });
  void follower.ended.then(
    (error) => error && say.warning(`${error.message} What runs goes on, and gets no new configuration.`),
    () => undefined,
  );

  const late = new AbortController();
  const tooLate = async (): Promise<void> => {
    const leftMs = options.startTimeoutMs - (performance.now() - startedMs);
    if (!(await pause(Math.max(0, leftMs), late.signal))) return;
    const missing = namespaces.map((name) => follower.status(name)).find(({ version }) => version === undefined);
    if (!missing) return;
    throw missing.error
      ? agentError(missing.error, options)
      : new CliError('cli.unreachable', `There is no configuration yet after ${options.startTimeoutMs / 1000} s.`, {
          fix: 'look at the state of the namespaces on the server, or give it longer by --start-timeout',
        });
  };
  const ready = Promise.race([follower.ready, unusable.promise, tooLate().then(() => follower.ready)])
    .catch((error: unknown) => {
      throw agentError(error, options);
    })
    .finally(() => late.abort());
  ready.catch(() => undefined);

  return {
    ready,
    stopFollowing: () => follower.close(),
    async close() {
      await follower.close();
      await reports.close(lastReportMs);
    },
  };
}

/** Says what changed, once; tells the server of versions that the SDK refused before anybody saw them. */
function createStatusListener({
  say,
  reports,
  onUnusableCopy,
}: {
  say: Say;
  reports: Reports | undefined;
  onUnusableCopy: (problem: string, error: GatehouseError) => void;
}): (status: NamespaceStatus) => void {
  const said = new Map<string, string>();
  const unsaid = new Map<string, NodeJS.Timeout>();
  /** True when it is new. */
  const isNew = (about: string, text: string) => {
    if (said.get(about) === text) return false;
    said.set(about, text);
    return true;
  };
  return ({ namespace, state, version, source, rejected, error, copyProblem }) => {
    if (copyProblem !== undefined && isNew(`${namespace} copy`, copyProblem)) say.warning(copyProblem);
    if (copyProblem !== undefined && state === 'away' && version === undefined && error)
      onUnusableCopy(copyProblem, error);
    const refusal = rejected && `${rejected.version ?? ''} ${rejected.reason}`;
    if (rejected && refusal !== undefined && isNew(`${namespace} rejected`, refusal)) {
      if (rejected.version !== undefined)
        void reports?.report(namespace, rejected.version, 'rejected', rejected.reason);
      if (version !== undefined)
        say.warning(`${rejected.reason.replace(/\.$/, '')}; ${namespace} ${version} stays in use`);
    }
    if (state === 'away' && error) {
      const goesOn =
        version === undefined
          ? ''
          : source === 'copy'
            ? ` Started from the local copy of ${namespace} ${version}.`
            : ` Going on with ${namespace} ${version}.`;
      if (!isNew(`${namespace} away`, `${state}${goesOn}`)) return;
      clearTimeout(unsaid.get(namespace));
      if (goesOn !== '') say.warning(`${error.message}${goesOn}`);
      // The local copy is looked at next, and says it all.
      else unsaid.set(namespace, setTimeout(() => say.warning(`${error.message} Trying again.`), 1000).unref());
    } else if (state !== 'ended' && isNew(`${namespace} away`, '') && version !== undefined) {
      say.info(`the server answers again; ${namespace} is at ${version}`);
    }
  };
}

/** What the SDK says, with an exit code and what to do. */
export function agentError(
  error: unknown,
  { url, service, stateDir }: Pick<AgentOptions, 'url' | 'service' | 'stateDir'>,
): unknown {
  if (!isGatehouseError(error)) return error;
  if (error.cause instanceof CliError) return error.cause;
  const invite = `get a token by: gatehouse agents invite --service ${service}; and give it by --enrolment-token-file or GATEHOUSE_ENROLMENT_TOKEN`;
  switch (error.code) {
    case 'server_unavailable':
    case 'keys_unavailable':
      return new CliError('cli.unreachable', error.message, {
        fix: `check the server ${url} and the network`,
        cause: error,
      });
    case 'agent_not_enrolled':
    case 'agent_refused':
      return new CliError('cli.agent_refused', error.message, { fix: invite, cause: error });
    case 'agent_revoked':
      return new CliError('cli.agent_refused', error.message, {
        fix: `empty ${stateDir}, then ${invite}`,
        cause: error,
      });
    case 'agent_state_invalid':
      return new CliError('cli.file', error.message, {
        fix: 'each instance has a state folder of its own: --state-dir',
        cause: error,
      });
    case 'configuration_invalid':
      return new CliError('cli.usage', error.message, { cause: error });
    default:
      return new CliError('cli.configuration_refused', error.message, { cause: error });
  }
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
