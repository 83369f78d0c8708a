/** Longest line passed on, bytes. What is beyond is dropped, and what is left is no entry. */
const maxLineBytes = 1024 * 1024;
const lineFeed = 0x0a;

/**
 * Cuts a stream of bytes into lines at LF. A last line without LF counts; an empty one after the last LF does not.
 * A line that is not UTF-8 comes as U+FFFD alone, which is no entry: it must not pass as the text it resembles.
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(lineFeed); end !== -1; end = bytes.indexOf(lineFeed, start)) {
      yield textOf(bytes.subarray(start, end));
      start = end + 1;
    }
    rest = bytes.subarray(start, start + maxLineBytes);
  }
  if (rest.length > 0) yield textOf(rest);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return '\ufffd';
  }
}
