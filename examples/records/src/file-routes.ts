/**
 * Files of the calling user: stored encrypted under that user's secret, opened with it, invisible to everybody else.
 */

import { Readable } from 'node:stream';
import {
  decryptForUser,
  decryptStreamForUser,
  encryptForUser,
  encryptStreamForUser,
  type SecretClient,
  type UserDataContext,
} from '@gatehouse/sdk';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { FileCatalogue, StoredFile } from './file-catalogue.ts';
import { Problem } from './problem.ts';

interface FileRoutesDeps {
  files: FileCatalogue;
  secrets: Pick<SecretClient, 'secretFor'>;
  maxFileBytes: number;
  maxFilesPerUser: number;
}

/** Registers the routes. The application has verified the token of every request that arrives here. */
export function fileRoutes({ files, secrets, maxFileBytes, maxFilesPerUser }: FileRoutesDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    // Plain uploads are not read into memory: the route encrypts them as they arrive.
    app.addContentTypeParser(
      'application/octet-stream',
      async (_request: FastifyRequest, payload: Readable) => payload,
    );

    app.post('/files', async (request, reply) => {
      const { owner, token } = callerOf(request);
      const name = fileNameOf(request.headers['file-name']);
      if (Number(request.headers['content-length'] ?? 0) > maxFileBytes && request.sealed === null) throw tooLarge();
      if (files.count(owner) >= maxFilesPerUser) {
        throw new Problem(409, 'too_many_files', `A user may keep at most ${maxFilesPerUser} files.`);
      }
      const secret = await secrets.secretFor(token);
      const id = files.newId();
      const content = counted(contentOf(request.body), maxFileBytes);
      await files.write(id, encryptStreamForUser(secret, content.parts, fileContext(owner, id)));
      const nameSealed = await encryptForUser(secret, name, nameContext(owner, id));
      const file = { id, owner, nameSealed, sizeBytes: content.bytes(), createdAt: new Date().toISOString() };
      try {
        files.insert(file);
      } catch (error) {
        await files.discard(id);
        throw error;
      }
      return reply.code(201).header('location', `/files/${id}`).send(described(file, name));
    });

    app.get('/files', async (request) => {
      const { owner, token } = callerOf(request);
      const stored = files.list(owner);
      if (stored.length === 0) return { items: [] };
      const secret = await secrets.secretFor(token);
      const items = await Promise.all(stored.map(async (file) => described(file, await openName(secret, file))));
      return { items };
    });

    app.get<{ Params: { id: string } }>('/files/:id', async (request, reply) => {
      const { owner, token } = callerOf(request);
      const file = files.find(request.params.id, owner) ?? notFound();
      const secret = await secrets.secretFor(token);
      const name = await openName(secret, file);
      const parts = decryptStreamForUser(secret, files.read(file.id), fileContext(owner, file.id));
      // The first part decides between an answer and an error. A later failure cuts the connection short of
      // Content-Length, so that no client takes half a file for a whole one.
      const first = await parts.next();
      return reply
        .headers({
          'content-type': 'application/octet-stream',
          'content-length': file.sizeBytes,
          'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name)}`,
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
        })
        .send(Readable.from(startingWith(first, parts)));
    });

    app.delete<{ Params: { id: string } }>('/files/:id', async (request, reply) => {
      const { owner } = callerOf(request);
      if (!(await files.remove(request.params.id, owner))) notFound();
      return reply.code(204).send();
    });
  };

  function tooLarge(): Problem {
    return new Problem(413, 'file_too_large', `A file may have at most ${maxFileBytes} bytes.`);
  }

  /** Counts what passes and stops at the bound. */
  function counted(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, maxBytes: number) {
    let bytes = 0;
    async function* parts() {
      for await (const part of source) {
        bytes += part.byteLength;
        if (bytes > maxBytes) throw tooLarge();
        yield part;
      }
    }
    return { parts: parts(), bytes: () => bytes };
  }
}

function callerOf(request: FastifyRequest): { owner: string; token: string } {
  const { accessToken } = request;
  const token = request.headers.authorization?.split(' ').at(-1);
  if (accessToken === null || token === undefined)
    throw new Problem(401, 'token_missing', 'An access token is needed.');
  return { owner: accessToken.subject, token };
}

function contentOf(body: unknown): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  // Not destroyed when a bound stops the reading: the socket must live to carry the answer.
  if (body instanceof Readable) return body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  if (body instanceof Uint8Array) return [body];
  throw new Problem(
    415,
    'wrong_content_type',
    'Send the file as application/octet-stream, or sealed as application/jose.',
  );
}

/** Header values are Latin-1, so the name comes percent-encoded (encodeURIComponent). */
function fileNameOf(header: string | string[] | undefined): string {
  try {
    const name = decodeURIComponent(String(header ?? ''));
    // A name is shown to people and offered to file systems: no path, no control characters.
    if (name !== '' && name.length <= 255 && !/[/\\\p{Cc}]/u.test(name)) return name;
  } catch {
    // Not percent-encoded UTF-8: refused below.
  }
  throw new Problem(
    400,
    'wrong_file_name',
    'The header File-Name is needed: 1 to 255 characters, percent-encoded, without slashes and control characters.',
  );
}

// The id is part of both contexts: a file or a name copied to another row does not open there.
function fileContext(user: string, id: string): UserDataContext {
  return { user, purpose: `records/file/${id}` };
}

function nameContext(user: string, id: string): UserDataContext {
  return { user, purpose: `records/name/${id}` };
}

async function openName(secret: string, file: StoredFile): Promise<string> {
  const bytes = await decryptForUser(secret, file.nameSealed, nameContext(file.owner, file.id));
  return Buffer.from(bytes).toString('utf8');
}

function described(file: StoredFile, name: string) {
  return { id: file.id, name, size_bytes: file.sizeBytes, created_at: file.createdAt };
}

function notFound(): never {
  throw new Problem(404, 'not_found', 'There is no such file.');
}

async function* startingWith(first: IteratorResult<Uint8Array, void>, rest: AsyncIterable<Uint8Array>) {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}
