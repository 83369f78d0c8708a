import { writeSync } from 'node:fs';
import { oneLine } from '../values.ts';

/** What the agent says of itself. */
export interface Say {
  /** Something to notice. */
  warning(text: string): void;
  /** What is going on; silent unless asked for. */
  info(text: string): void;
}

/**
 * Lines on stderr. Written directly: the streams of Node would make a pipe non-blocking, and that holds for the program
 * too, which shares it.
 */
export function createSay({ verbose }: { verbose: boolean }): Say {
  const write = (text: string) => {
    try {
      writeSync(2, `gatehouse: ${oneLine(text)}\n`);
    } catch {
      // Nobody reads stderr any more, or it is full: the program matters more than what we say about it.
    }
  };
  return { warning: write, info: (text) => verbose && write(text) };
}
