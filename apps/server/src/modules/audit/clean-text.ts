import type { JsonObject, JsonValue } from '@gatehouse/contracts';

/** Bounds of what one entry keeps. Longer text is cut and ends in `…`: a long name must not stop the recording. */
export const bounds = {
  textLength: 1000,
  idLength: 256,
  keyLength: 100,
  userAgentLength: 200,
  members: 50,
  depth: 4,
  detailsBytes: 8192,
} as const;

/** Control characters, direction overrides and line separators: what forges lines or hides text in a log or terminal. */
// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const unprintable = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** A compact JWS or JWE, which may be somebody's token. */
const joseText = /eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}/g;
/** Names of members that carry a secret, after camelCase was spelled as snake_case. */
const secretName =
  /(^|_)(password|passphrase|secret|credentials?|token|assertion|authorization|cookie|private_key|code_verifier)$/;

/** Text as it is kept: tokens redacted, unprintable characters as `\u000a`, well-formed Unicode, at most `max` long. */
export function cleanText(text: string, max: number = bounds.textLength): string {
  const visible = text
    .slice(0, max * 2)
    .replace(joseText, '[redacted]')
    .replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (visible.length <= max && text.length <= max * 2) return visible.toWellFormed();
  const cut = visible.slice(0, max - 1);
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`.toWellFormed();
}

/** Details as they are kept: every text cleaned, secrets by name redacted, bounded in depth, members and bytes. */
export function cleanDetails(details: JsonObject): JsonObject {
  const clean = cleanObject(details, 1);
  const bytes = Buffer.byteLength(JSON.stringify(clean));
  if (bytes <= bounds.detailsBytes) return clean;
  return { dropped: `The details had ${bytes} bytes; at most ${bounds.detailsBytes} are kept.` };
}

function cleanObject(object: JsonObject, depth: number): JsonObject {
  const members = Object.entries(object)
    .slice(0, bounds.members)
    .filter((member): member is [string, JsonValue] => member[1] !== undefined)
    .map(([name, value]) => [
      cleanText(name, bounds.keyLength),
      isSecret(name, value) ? '[redacted]' : cleanValue(value, depth),
    ]);
  // fromEntries defines own members, so a member called __proto__ stays a member.
  return Object.fromEntries(members) as JsonObject;
}

function cleanValue(value: JsonValue, depth: number): JsonValue {
  if (typeof value === 'string') return cleanText(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean' || value === null) return value;
  if (depth >= bounds.depth) return '[nested too deep]';
  if (Array.isArray(value)) return value.slice(0, bounds.members).map((item: JsonValue) => cleanValue(item, depth + 1));
  return cleanObject(value as JsonObject, depth + 1);
}

function isSecret(name: string, value: JsonValue): boolean {
  if (typeof value === 'boolean' || value === null) return false;
  const snake = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();
  return secretName.test(snake);
}
