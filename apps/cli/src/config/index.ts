/** What the commands `gatehouse config …` share. They load it when they run: schemas and YAML double the start. */

export { formatOfFile, typescriptName, typescriptType } from '@gatehouse/configuration/formats';
export { readAssignments } from './assignments.ts';
export { applyChange, changeBetween, conflictOf, diff } from './change.ts';
export { editConfiguration } from './edit.ts';
export { exportText, withRevealed } from './export.ts';
export { proposalLines, publishProposal } from './proposals.ts';
export { assertPublish, conflictError, publicationOf, publishChange, sayPublished } from './publish.ts';
export { parse, readConfigurationFile, readText } from './read-file.ts';
export { createRemote, type Present, type Remote, remoteOf } from './remote.ts';
export { keepSecrets, withSecrets } from './secrecy.ts';
export { type SettingsOptions, settingsOf } from './settings.ts';
export { type Target, targetOf } from './target.ts';
export { changeCount, changeLines, maskedChange, valueText } from './value-text.ts';
