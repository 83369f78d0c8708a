/**
 * Looks for secret values in anything: text, bytes, files. A value is found in the clear, in base64, base64url and hex,
 * also inside something longer, and also when a page boundary of the database's log cuts it in two.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** A place where a value was seen. */
export interface Sighting {
  readonly what: string;
  readonly form: string;
  readonly where: string;
}

interface Needle {
  readonly what: string;
  readonly form: string;
  readonly bytes: Buffer;
}

/** Shortest piece that is looked for: 10 bytes are not met by chance. */
const minBytes = 10;

/** Values to be looked for. */
export interface CanaryWatch {
  /** Adds a secret value: text, or bytes. Returns it. */
  watch<T extends string | Uint8Array>(what: string, value: T): T;
  /** How many values are looked for. */
  size(): number;
  /** Every kind of value in `haystack`, each once. */
  find(haystack: string | Uint8Array, where: string): Sighting[];
  /** The same for every file below a directory, and how much was looked at. */
  findInFiles(
    directory: string,
    options?: { except?: RegExp },
  ): Promise<{ sightings: Sighting[]; files: number; bytes: number }>;
}

/** Makes an empty watch. */
export function createCanaryWatch(): CanaryWatch {
  const values = new Map<string, { what: string; value: Buffer }>();
  let index: Index | undefined;

  const find = (haystack: string | Uint8Array, where: string): Sighting[] => {
    const bytes = bytesOf(haystack);
    index ??= indexOf([...values.values()].flatMap(needlesOf));
    const seen = new Map<string, Sighting>();
    for (let at = 0; at + minBytes <= bytes.length; at += 1) {
      const start = startAt(bytes, at);
      if (index.starts[start] === 0) continue;
      for (const { what, form, bytes: needle } of index.needles.get(start) ?? []) {
        const end = at + needle.length;
        if (end > bytes.length || bytes.compare(needle, 0, needle.length, at, end) !== 0) continue;
        seen.set(`${what}\0${form}`, { what, form, where });
      }
    }
    return [...seen.values()];
  };

  return {
    watch(what, value) {
      const bytes = bytesOf(value);
      if (bytes.length < minBytes) throw new Error(`${what} is too short to be told from chance`);
      values.set(bytes.toString('hex'), { what, value: bytes });
      index = undefined;
      return value;
    },
    size: () => values.size,
    find,
    async findInFiles(directory, { except } = {}) {
      const sightings: Sighting[] = [];
      let files = 0;
      let total = 0;
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (!entry.isFile() || except?.test(relative(directory, path))) continue;
        const bytes = await readFile(path);
        files += 1;
        total += bytes.length;
        sightings.push(...find(bytes, relative(directory, path)));
      }
      return { sightings, files, bytes: total };
    },
  };
}

interface Index {
  readonly starts: Uint8Array;
  readonly needles: ReadonlyMap<number, Needle[]>;
}

function bytesOf(value: string | Uint8Array): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function needlesOf({ what, value }: { what: string; value: Buffer }): Needle[] {
  const forms: [string, Buffer][] = [
    ['plain', value],
    ['hex', Buffer.from(value.toString('hex'))],
    ['HEX', Buffer.from(value.toString('hex').toUpperCase())],
  ];
  // Where the value begins inside a longer text decides its base64: three alignments. The edges depend on the neighbours.
  for (let shift = 0; shift < 3; shift += 1) {
    const padded = Buffer.concat([Buffer.alloc(shift), value]);
    const whole = Math.floor((padded.length * 8) / 6);
    const core = padded.toString('base64').slice(shift === 0 ? 0 : shift + 1, whole);
    forms.push([`base64 (+${shift})`, Buffer.from(core)]);
    const urlCore = core.replaceAll('+', '-').replaceAll('/', '_');
    if (urlCore !== core) forms.push([`base64url (+${shift})`, Buffer.from(urlCore)]);
  }
  return forms.flatMap(([form, bytes]) => {
    if (bytes.length < 2 * minBytes) return [{ what, form, bytes }];
    const middle = Math.floor(bytes.length / 2);
    return [
      { what, form, bytes: bytes.subarray(0, middle) },
      { what, form: `${form}, second half`, bytes: bytes.subarray(middle) },
    ];
  });
}

function startAt(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
}

/** By the first three bytes: one look-up per position, whatever the number of values. */
function indexOf(all: readonly Needle[]): Index {
  const starts = new Uint8Array(1 << 24);
  const needles = new Map<number, Needle[]>();
  for (const needle of all) {
    if (needle.bytes.length < minBytes) continue;
    const start = startAt(needle.bytes, 0);
    starts[start] = 1;
    needles.set(start, [...(needles.get(start) ?? []), needle]);
  }
  return { starts, needles };
}
