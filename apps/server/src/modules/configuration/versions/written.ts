import { ConfigurationError, parseWritten, type WrittenConfiguration } from '@gatehouse/configuration';
import type { JsonObject } from '@gatehouse/contracts';
import { AppError, invalidField } from '../../../kernel/index.ts';

/** Reads a configuration as it was written; 400 with every problem by its path. */
export function readWritten(configuration: JsonObject): WrittenConfiguration {
  try {
    return parseWritten(configuration);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const [first] = error.problems;
    throw new AppError('configuration.invalid', {
      detail: first ? `${first.field} ${first.rule}` : 'The configuration is not valid.',
      errors: error.problems,
    });
  }
}

/** The version that the writer has seen: the member of the body, or an entity tag (RFC 9110 §13.1.1). */
export function parentVersionOf(member: number | undefined, ifMatch: string | undefined): number {
  const tagged = ifMatch === undefined ? undefined : /^"(0|[1-9][0-9]{0,8})"$/.exec(ifMatch)?.[1];
  if (ifMatch !== undefined && tagged === undefined) {
    throw invalidField('If-Match', 'is not the ETag of a version', 'use the form "41"');
  }
  if (member !== undefined && tagged !== undefined && member !== Number(tagged)) {
    throw invalidField('parent_version', 'differs from If-Match', 'send one of the two');
  }
  const parent = member ?? (tagged === undefined ? undefined : Number(tagged));
  if (parent === undefined) {
    throw invalidField('parent_version', 'is missing', 'name the version you started from, 0 for the first');
  }
  return parent;
}

/** 409 for who has not seen the newest version. */
export function versionConflict(parentVersion: number, latestVersion: number): AppError {
  return new AppError('configuration.version_conflict', {
    detail: `You started from version ${parentVersion}; version ${latestVersion} is the newest. Read it, and publish on top of it.`,
    extensions: { parent_version: parentVersion, latest_version: latestVersion },
  });
}
