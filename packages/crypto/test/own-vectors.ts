/** Shapes of `vectors/gatehouse/*.json`, shared by the generator and the tests. */
import { createHash } from 'node:crypto';

/** A sealed value, what it must open to, or that it must not. */
export interface SealingVector {
  readonly id: string;
  readonly comment: string;
  readonly result: 'opens' | 'refused';
  readonly key: string;
  readonly place: {
    readonly organization: string;
    readonly schema: string;
    readonly table: string;
    readonly rowId: string;
    readonly owner: string;
  };
  readonly sealed: string;
  /** Of those that open. */
  readonly keyId?: string;
  readonly nonce?: string;
  readonly plaintext?: string;
}

/** One change to a message. */
export type Edit =
  | { readonly op: 'flip'; readonly offset: number }
  | { readonly op: 'truncate'; readonly bytes: number }
  | { readonly op: 'append'; readonly bytes: number }
  | { readonly op: 'swap'; readonly chunks: readonly [number, number] }
  | { readonly op: 'repeat'; readonly chunk: number }
  | { readonly op: 'drop'; readonly chunk: number };

/** A user-data message: how it is made, what is done to it, and whether the reader below opens it. */
export interface UserDataVector {
  readonly id: string;
  readonly comment: string;
  readonly result: 'opens' | 'refused';
  readonly secret: string;
  readonly salt: string;
  readonly context: { readonly user: string; readonly purpose: string; readonly organization?: string };
  readonly plaintext: { readonly bytes: string } | { readonly pattern: number };
  /** The message as written, before edits; long ones by their hash. */
  readonly message: { readonly bytes: string } | { readonly length: number; readonly sha256: string };
  readonly edits?: readonly Edit[];
  /** Who reads, where that differs from who wrote. */
  readonly reader?: { readonly secret?: string; readonly context?: UserDataVector['context'] };
}

const headerBytes = 68;
const chunkBytes = 65_552;

/** Bytes of a plaintext as the vectors write it. */
export function plaintextOf(plaintext: UserDataVector['plaintext']): Uint8Array {
  if ('bytes' in plaintext) return Buffer.from(plaintext.bytes, 'base64url');
  return Uint8Array.from({ length: plaintext.pattern }, (_, i) => i % 251);
}

/** SHA-256 in base64url. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

/** Applies the edits of a vector. */
export function edited(message: Uint8Array, edits: readonly Edit[] = []): Uint8Array {
  return edits.reduce(applyEdit, Uint8Array.from(message));
}

function applyEdit(message: Uint8Array, edit: Edit): Uint8Array {
  if (edit.op === 'truncate') return message.slice(0, message.length - edit.bytes);
  if (edit.op === 'append') return Buffer.concat([message, new Uint8Array(edit.bytes)]);
  if (edit.op === 'flip') {
    const changed = Uint8Array.from(message);
    const index = edit.offset < 0 ? changed.length + edit.offset : edit.offset;
    changed[index] = (changed[index] ?? 0) ^ 1;
    return changed;
  }
  const chunks: Uint8Array[] = [];
  for (let start = headerBytes; start < message.length; start += chunkBytes) {
    chunks.push(message.slice(start, start + chunkBytes));
  }
  const at = (index: number) => chunks[index] ?? new Uint8Array();
  if (edit.op === 'swap') {
    const [a, b] = edit.chunks;
    [chunks[a], chunks[b]] = [at(b), at(a)];
  } else if (edit.op === 'repeat') chunks.splice(edit.chunk, 0, at(edit.chunk));
  else chunks.splice(edit.chunk, 1);
  return Buffer.concat([message.slice(0, headerBytes), ...chunks]);
}
