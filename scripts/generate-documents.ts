/** Writes what the code knows better: `docs/openapi.json`, `docs/guides/errors.md`, the events in `docs/guides/webhooks.md`. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventDescription, errorTable, eventTable } from '@gatehouse/contracts';
import { createTestApp } from '../apps/server/src/testing/test-app.ts';

const docs = join(import.meta.dirname, '../docs');

const node = await createTestApp({ start: false });
try {
  await writeFile(join(docs, 'openapi.json'), `${JSON.stringify(node.app.swagger(), null, 2)}\n`);
} finally {
  await node.close();
}

const rows = Object.entries(errorTable)
  .toSorted(([a], [b]) => a.localeCompare(b))
  .map(([code, { status, title }]) => `| \`${code}\` | ${status} | ${title} |`);
await writeFile(
  join(docs, 'guides/errors.md'),
  `# Errors

Generated from \`packages/contracts/src/errors.ts\` by \`npm run generate\`; do not edit.

Every JSON route answers errors as problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with
\`code\`, \`title\`, \`status\`, mostly \`detail\`, and \`request_id\` (also in the header \`x-request-id\`, and in the audit
entry of what the request did). Codes are stable. \`errors\` lists the fields that are wrong: \`field\`, \`rule\`, \`fix\`.
OAuth endpoints answer as their RFCs say (\`error\`, \`error_description\`).

| Code | Status | Meaning |
| --- | --- | --- |
${rows.join('\n')}
`,
);

const events = Object.entries<EventDescription>(eventTable).map(
  ([name, { title, data }]) => `| \`${name}\` | ${title} | ${data.map((field) => `\`${field}\``).join(', ')} |`,
);
const webhooksGuide = join(docs, 'guides/webhooks.md');
const guide = await readFile(webhooksGuide, 'utf8');
const start = guide.indexOf('\n', guide.indexOf('<!-- events:')) + 1;
await writeFile(
  webhooksGuide,
  `${guide.slice(0, start)}| Event | When | \`data\` |\n| --- | --- | --- |\n${events.join('\n')}\n${guide.slice(guide.indexOf('<!-- end of events -->'))}`,
);
