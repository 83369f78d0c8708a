/** Rules: what the files and the command of a target are, given the values of its namespaces. Nothing is written here. */
import { formatConfiguration } from '@gatehouse/configuration/formats';
import type { JsonObject } from '@gatehouse/contracts';
import type { Target, TargetFile } from './agent-file.ts';
import type { RenderedFile } from './rendered-file.ts';
import { TemplateError, type TemplateValues } from './template.ts';

/** Why a target cannot be rendered. It never holds a value. */
export class RenderError extends Error {
  override readonly name = 'RenderError';
}

/** A target as it is to be. */
export interface RenderedTarget {
  readonly files: readonly RenderedFile[];
  /** For its command, over the agent's own. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Renders a target; throws {@link RenderError}. */
export function renderTarget(
  target: Target,
  valuesOf: (namespace: string) => Readonly<Record<string, unknown>>,
): RenderedTarget {
  const values: TemplateValues = { namespaces: target.namespaces.map((name) => ({ name, values: valuesOf(name) })) };
  const files = target.files.map((file) => renderFile(target, file, values));
  const environment: Record<string, string> = {};
  for (const [name, template] of target.command?.environment ?? []) {
    environment[name] = explained(`target ${target.name}, environment ${name}`, () => template.render(values));
    if (environment[name].includes('\0')) {
      throw new RenderError(`target ${target.name}, environment ${name}: has the character U+0000`);
    }
  }
  return { files, environment };
}

function renderFile(target: Target, file: TargetFile, values: TemplateValues): RenderedFile {
  const { path, mode, owner, group, source } = file;
  if ('template' in source) {
    return { path, mode, owner, group, content: explained(source.name, () => source.template.render(values)) };
  }
  const merged = Object.assign({}, ...values.namespaces.map((namespace) => namespace.values)) as JsonObject;
  const { text, hidden } = formatConfiguration(source.format, merged);
  if (hidden.length > 0) {
    throw new RenderError(
      `target ${target.name}, ${path}: ${hidden.slice(0, 5).join(', ')} cannot be written as ${source.format}; rename it, or choose json or yaml`,
    );
  }
  return { path, mode, owner, group, content: text };
}

function explained(what: string, render: () => string): string {
  try {
    return render();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new RenderError(`${what}, ${error.message}`);
  }
}
