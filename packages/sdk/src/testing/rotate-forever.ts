/** Run by a test in several processes: writes the next revision again and again, and reports each one it wrote. */
import { fileStore } from '../pop/file-store.ts';

const store = fileStore(process.argv[2] ?? '');
for (;;) {
  const revision = ((await store.load())?.revision ?? 0) + 1;
  if (await store.save({ version: 1, revision, updatedAt: '', keys: [] })) process.send?.(revision);
}
