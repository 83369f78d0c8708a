/** Reading `agent.yaml`: shape, rules between members, templates, accounts. Every fault is named, with its line. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import {
  checkShape,
  DeclarationError,
  type DeclarationFault,
  maxDeclarationBytes,
  parseYaml,
} from '@gatehouse/declaration';
import { CliError } from '../errors.ts';
import { accountNumber } from './accounts.ts';
import { type AgentFile, agentFileSchema, type FileEntry, type TargetEntry } from './agent-file-schema.ts';
import { parseDuration } from './durations.ts';
import { defaultHealth, type HealthOptions } from './health.ts';
import { type Probe, parseProbe } from './probes.ts';
import { parseTemplate, type Template, TemplateError } from './template.ts';

/** Largest template, bytes. */
const maxTemplateBytes = 1024 * 1024;

/** What the agent works with, paths made absolute (they are relative to the file). */
export interface AgentConfiguration {
  readonly url: string | undefined;
  readonly issuer: string | undefined;
  readonly service: string;
  readonly name: string | undefined;
  readonly stateDir: string | undefined;
  readonly enrolmentTokenFile: string | undefined;
  readonly serviceTokenFile: string | undefined;
  readonly rotateKeysAfterSeconds: number | undefined;
  readonly namespaces: readonly string[];
  readonly targets: readonly Target[];
}

/** Something that is kept up to date. */
export interface Target {
  readonly name: string;
  readonly namespaces: readonly string[];
  readonly files: readonly TargetFile[];
  readonly command: TargetCommand | undefined;
  readonly health: HealthOptions | undefined;
  readonly splayMs: number;
  readonly quiescence: { readonly waitMs: number; readonly atMostMs: number };
}

/** A file of a target. */
export interface TargetFile {
  readonly path: string;
  readonly source:
    | { readonly template: Template; readonly name: string }
    | { readonly format: NonNullable<FileEntry['format']> };
  readonly mode: number;
  readonly owner: number | undefined;
  readonly group: number | undefined;
}

/** What is run when a file of a target has changed. */
export interface TargetCommand {
  readonly argv: readonly string[];
  readonly timeoutMs: number;
  readonly environment: ReadonlyMap<string, Template>;
}

/** Reads the file; throws a {@link CliError} that lists every fault. */
export async function readAgentFile(path: string): Promise<AgentConfiguration> {
  const file = basename(path);
  const folder = dirname(resolve(path));
  try {
    const parsed = parseYaml(await readText(path, maxDeclarationBytes), file);
    const faults: DeclarationFault[] = [];
    const report: Report = (at, rule, fix) => {
      const line = parsed.lineOf(at);
      faults.push({
        field: at.join('.'),
        rule,
        ...(fix === undefined ? {} : { fix }),
        ...(line === undefined ? {} : { line }),
      });
    };
    for (const fault of checkShape(agentFileSchema, parsed.value)) report(fault.path, fault.rule, fault.fix);
    if (faults.length > 0) throw new DeclarationError(file, faults);
    const configuration = await resolveAgentFile(parsed.value as AgentFile, folder, report);
    if (faults.length > 0) throw new DeclarationError(file, faults);
    return configuration;
  } catch (error) {
    if (!(error instanceof DeclarationError)) throw error;
    const errors = error.faults.map((fault) => ({ ...fault }));
    throw new CliError('cli.agent_configuration', error.message, { problem: { errors } });
  }
}

type Report = (path: readonly (string | number)[], rule: string, fix?: string) => void;

async function resolveAgentFile(agent: AgentFile, folder: string, report: Report): Promise<AgentConfiguration> {
  if (agent.enrolment_token_file !== undefined && agent.service_token_file !== undefined) {
    report(['service_token_file'], 'is given beside enrolment_token_file', 'keep one of the two');
  }
  if (Object.keys(agent.targets).length === 0) report(['targets'], 'is empty', 'add a target with files or a command');
  const inFolder = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path));
  const targets: Target[] = [];
  const paths = new Map<string, string>();
  for (const [name, entry] of Object.entries(agent.targets)) {
    targets.push(await resolveTarget(name, entry, agent, folder, report));
    for (const [index, { path }] of (entry.files ?? []).entries()) {
      const absolute = resolve(folder, path);
      const other = paths.get(absolute);
      if (other !== undefined)
        report(['targets', name, 'files', index, 'path'], `is written by ${other} too`, 'write each file once');
      paths.set(absolute, name);
    }
  }
  return {
    url: agent.url,
    issuer: agent.issuer,
    service: agent.service,
    name: agent.name,
    stateDir: inFolder(agent.state_dir),
    enrolmentTokenFile: inFolder(agent.enrolment_token_file),
    serviceTokenFile: inFolder(agent.service_token_file),
    rotateKeysAfterSeconds:
      agent.rotate_keys_after === undefined
        ? undefined
        : milliseconds(agent.rotate_keys_after, 0, ['rotate_keys_after'], report) / 1000,
    namespaces: agent.namespaces,
    targets,
  };
}

async function resolveTarget(
  name: string,
  entry: TargetEntry,
  agent: AgentFile,
  folder: string,
  report: Report,
): Promise<Target> {
  const at = ['targets', name];
  const namespaces = entry.namespaces ?? agent.namespaces;
  for (const namespace of entry.namespaces ?? []) {
    if (!agent.namespaces.includes(namespace)) {
      report(
        [...at, 'namespaces'],
        `names ${namespace}, which the agent does not follow`,
        'add it to namespaces at the top',
      );
    }
  }
  if (!entry.files && !entry.command) report(at, 'has neither files nor a command', 'add one of them');
  const files: TargetFile[] = [];
  for (const [index, file] of (entry.files ?? []).entries()) {
    const resolved = await resolveFile(file, folder, [...at, 'files', index], report);
    if (resolved) files.push(resolved);
  }
  const { wait = '0', at_most: atMost } = entry.quiescence ?? {};
  const waitMs = milliseconds(wait, 0, [...at, 'quiescence', 'wait'], report);
  const atMostMs = milliseconds(atMost, waitMs * 4, [...at, 'quiescence', 'at_most'], report);
  if (atMostMs < waitMs) report([...at, 'quiescence', 'at_most'], 'is shorter than wait', 'make it longer');
  return {
    name,
    namespaces: agent.namespaces.filter((namespace) => namespaces.includes(namespace)),
    files,
    command: entry.command && resolveCommand(entry.command, [...at, 'command'], report),
    health: entry.health && resolveHealth(entry.health, [...at, 'health'], report),
    splayMs: milliseconds(entry.splay, 0, [...at, 'splay'], report),
    quiescence: { waitMs, atMostMs },
  };
}

async function resolveFile(
  file: FileEntry,
  folder: string,
  at: readonly (string | number)[],
  report: Report,
): Promise<TargetFile | undefined> {
  if ((file.template === undefined) === (file.format === undefined)) {
    report(at, 'needs either template or format', 'template: a file of ours; format: env, json, yaml or properties');
    return undefined;
  }
  if (!isAbsolute(file.path)) report([...at, 'path'], 'is not absolute', 'begin it with /');
  const mode = Number.parseInt(file.mode ?? '600', 8);
  if ((mode & 0o002) !== 0) report([...at, 'mode'], 'lets everybody write the file', 'such as 0640');
  const numbers: Partial<Record<'owner' | 'group', number>> = {};
  for (const kind of ['owner', 'group'] as const) {
    const named = file[kind];
    const number = named === undefined ? undefined : await accountNumber(kind, named);
    if (number !== undefined) numbers[kind] = number;
    else if (named !== undefined) {
      report(
        [...at, kind],
        `is no ${kind === 'owner' ? 'user' : 'group'} of this machine`,
        'make it, or give its number',
      );
    }
  }
  const common = { path: resolve(file.path), mode, owner: numbers.owner, group: numbers.group };
  if (file.format !== undefined) return { ...common, source: { format: file.format } };
  const name = file.template ?? '';
  try {
    return {
      ...common,
      source: { name, template: parseTemplate(await readText(resolve(folder, name), maxTemplateBytes)) },
    };
  } catch (error) {
    if (error instanceof TemplateError) report([...at, 'template'], `${name}, ${error.message}`);
    else if (error instanceof DeclarationError) report([...at, 'template'], error.message);
    else throw error;
    return undefined;
  }
}

function resolveCommand(
  command: NonNullable<TargetEntry['command']>,
  at: readonly (string | number)[],
  report: Report,
): TargetCommand {
  const environment = new Map<string, Template>();
  for (const [name, source] of Object.entries(command.environment ?? {})) {
    try {
      environment.set(name, parseTemplate(source));
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      report([...at, 'environment', name], error.message);
    }
  }
  return {
    argv: command.run,
    timeoutMs: milliseconds(command.timeout, 30_000, [...at, 'timeout'], report),
    environment,
  };
}

function resolveHealth(
  health: NonNullable<TargetEntry['health']>,
  at: readonly (string | number)[],
  report: Report,
): HealthOptions | undefined {
  const { http, tcp, command } = health;
  if ([http, tcp, command].filter((one) => one !== undefined).length !== 1) {
    report(at, 'needs exactly one of http, tcp and command');
    return undefined;
  }
  let probe: Probe = { kind: 'command', argv: command ?? [] };
  try {
    if (http !== undefined) probe = parseProbe(http);
    if (tcp !== undefined) probe = parseProbe(`tcp:${tcp}`);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    report([...at, http === undefined ? 'tcp' : 'http'], error.message, error.fix);
  }
  return {
    probe,
    settleMs: defaultHealth.settleMs,
    intervalMs: milliseconds(health.interval, defaultHealth.intervalMs, [...at, 'interval'], report),
    timeoutMs: milliseconds(health.timeout, defaultHealth.timeoutMs, [...at, 'timeout'], report),
    startPeriodMs: milliseconds(health.start_period, defaultHealth.startPeriodMs, [...at, 'start_period'], report),
    retries: health.retries ?? defaultHealth.retries,
  };
}

function milliseconds(
  text: string | undefined,
  absent: number,
  at: readonly (string | number)[],
  report: Report,
): number {
  if (text === undefined) return absent;
  const parsed = parseDuration(text);
  if (parsed === undefined) report(at, 'is longer than 366 days', 'choose a shorter time');
  return parsed ?? absent;
}

async function readText(path: string, maxBytes: number): Promise<string> {
  const refuse = (rule: string, fix: string) => new DeclarationError(path, [{ field: '', rule, fix }]);
  try {
    const { size, mode } = await stat(path);
    if ((mode & 0o002) !== 0) {
      throw refuse('may be written by everybody, and says what is run here', `run: chmod o-w ${path}`);
    }
    if (size > maxBytes) throw refuse(`is larger than ${maxBytes / 1024} KiB`, 'split it');
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof DeclarationError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(
      code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`,
      'check the path and its permissions',
    );
  }
}
