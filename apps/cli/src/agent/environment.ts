/** Rules: which environment a program gets. */

/** A configuration: the part of the SDK's value model that this needs to know. */
export type Values = Readonly<Record<string, unknown>>;

/** A name that every shell and language takes as that of an environment variable (POSIX 8.1). */
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Longest `NAME=value` that Linux starts a program with, bytes without the final zero (MAX_ARG_STRLEN, execve(2)). */
const maxVariableBytes = 131_071;
/** Our own variables that a program may see; all others that begin with GATEHOUSE_ may be or lead to secrets. */
const passedOn = new Set(['GATEHOUSE_URL']);

/** The environment that we were started with, without what is meant for us alone. */
export function ownEnvironment(own: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(own).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && (!entry[0].startsWith('GATEHOUSE_') || passedOn.has(entry[0])),
    ),
  );
}

/** What cannot be a variable, a sentence each; values are not repeated. Empty when all can. */
export function environmentProblems(values: Values): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const name = printable(key);
    if (!variableName.test(key)) {
      return [`"${name}" cannot be an environment variable: use letters, digits and _, not beginning with a digit`];
    }
    if (key === 'GATEHOUSE_RUN_ID') return [`"${name}" is the variable by which the agent knows its own processes`];
    const text = variableText(value);
    if (text.includes('\0')) return [`the value of "${name}" has the character U+0000, which no variable can hold`];
    const bytes = Buffer.byteLength(key) + 1 + Buffer.byteLength(text);
    if (bytes > maxVariableBytes) {
      return [`"${name}" is ${bytes} bytes; a variable has at most ${maxVariableBytes}: render it into a file`];
    }
    return [];
  });
}

/** `own`, and over it each configuration in turn: of a key in several the last one counts. */
export function environmentOf(
  own: Readonly<Record<string, string>>,
  configurations: readonly Values[],
): Record<string, string> {
  const environment: Record<string, string> = { ...own };
  for (const values of configurations) {
    for (const [key, value] of Object.entries(values)) environment[key] = variableText(value);
  }
  return environment;
}

/** True when a program would not notice the difference. */
export function sameEnvironment(
  left: Readonly<Record<string, string>>,
  right: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}

/** Strings as they are, everything else as JSON. */
function variableText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function printable(name: string): string {
  // oxlint-disable-next-line no-control-regex -- removing them is the point
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?').slice(0, 80);
}
