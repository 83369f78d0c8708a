/**
 * The stored form of a service's keys: JSON, or, with a store key, `gatehouse-pop-1.` and the base64url of the sealed
 * JSON (AES-256-GCM). A sealed document is bound to the name of its store, so one service's row copied over another's
 * does not open.
 */

import { randomBytes } from 'node:crypto';
import { openBytes, sealBytes } from '@gatehouse/crypto';
import { GatehouseError } from '../errors.ts';
import type { PopDocument } from './pop-key.ts';

const prefix = 'gatehouse-pop-1.';

/** Reads and writes documents. */
export interface DocumentCodec {
  encode(document: PopDocument): string;
  decode(text: string): PopDocument;
}

/** Makes the codec. `storeKey` is 32 bytes, or their base64 / base64url; without it the document is plain JSON. */
export function createDocumentCodec(options: { storeKey?: Uint8Array | string; name: string }): DocumentCodec {
  const key = options.storeKey === undefined ? undefined : storeKeyBytes(options.storeKey);
  const place = Buffer.from(`gatehouse pop ${options.name}`, 'utf8');
  return {
    encode(document) {
      const text = JSON.stringify(document);
      if (key === undefined) return text;
      const sealed = sealBytes(key, Buffer.from(text, 'utf8'), place, randomBytes);
      return `${prefix}${Buffer.from(sealed).toString('base64url')}`;
    },
    decode(text) {
      if (!text.startsWith(prefix)) {
        if (key !== undefined) throw unreadable('its keys are stored plain although a storeKey is given');
        return parseDocument(text);
      }
      if (key === undefined) throw unreadable('its keys are sealed and no storeKey is given');
      let plaintext: Uint8Array;
      try {
        plaintext = openBytes(key, Buffer.from(text.slice(prefix.length), 'base64url'), place);
      } catch (cause) {
        throw unreadable('it does not open with this storeKey', cause);
      }
      return parseDocument(Buffer.from(plaintext).toString('utf8'));
    },
  };
}

function storeKeyBytes(storeKey: Uint8Array | string): Uint8Array {
  const bytes = typeof storeKey === 'string' ? Buffer.from(storeKey, 'base64') : storeKey;
  if (bytes.byteLength !== 32) {
    throw new GatehouseError(
      'configuration_invalid',
      'storeKey must be 32 bytes (base64). Make one with: openssl rand -base64 32',
    );
  }
  return bytes;
}

function parseDocument(text: string): PopDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unreadable('it is not JSON');
  }
  const document = value as Partial<PopDocument> | null;
  if (document?.version !== 1 || !Number.isInteger(document.revision) || !Array.isArray(document.keys)) {
    throw unreadable('it is not a key document of version 1');
  }
  return document as PopDocument;
}

// A store that cannot be read is never replaced by a fresh one: that would lose the keys for good.
function unreadable(why: string, cause?: unknown): GatehouseError {
  const message = `The store of the service's keys cannot be used: ${why}.`;
  return new GatehouseError('pop_store_unavailable', message, cause === undefined ? {} : { cause });
}
