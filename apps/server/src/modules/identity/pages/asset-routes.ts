import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from '../../../kernel/index.ts';

const assets = [
  { file: 'style.css', type: 'text/css; charset=utf-8' },
  { file: 'setup.js', type: 'text/javascript; charset=utf-8' },
  { file: 'submit.js', type: 'text/javascript; charset=utf-8' },
  { file: 'icon.svg', type: 'image/svg+xml' },
] as const;

/** `/assets/…`: the style, scripts and mark of the pages. Read once; nothing else of the file system can be reached here. */
export function assetRoutes(app: App): void {
  for (const { file, type } of assets) {
    const content = readFileSync(join(import.meta.dirname, 'assets', file));
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
    app.get(
      `/assets/${file}`,
      {
        config: { auth: { public: 'style, scripts and mark of the pages hold no data' } },
        schema: { hide: true },
      },
      async (request, reply) => {
        reply.header('etag', etag).header('cache-control', 'public, max-age=300').header('content-type', type);
        return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.send(content);
      },
    );
  }
}
