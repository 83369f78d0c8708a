import { constants } from 'node:os';

/** What is passed on to a program: all that somebody sends on purpose and that can be caught. */
const passedSignals = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGTERM',
  'SIGCONT',
  'SIGTSTP',
  'SIGWINCH',
] as const satisfies readonly NodeJS.Signals[];

/** Of these a terminal tells every process in the foreground itself: passed on, they would come twice. */
const fromTheTerminal: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH']);
/** Left to their default in the foreground, so that Ctrl-Z and `fg` work on both. */
const jobControl: ReadonlySet<NodeJS.Signals> = new Set(['SIGTSTP', 'SIGCONT']);

/** The signal of a name with or without SIG; undefined when there is none that can be caught or has a use. */
export function parseSignal(name: string): NodeJS.Signals | undefined {
  const full = `SIG${name.toUpperCase().replace(/^SIG/, '')}`;
  return Object.hasOwn(constants.signals, full) && full !== 'SIGSTOP' ? (full as NodeJS.Signals) : undefined;
}

/** Hands over every signal that we get; returns how to stop that. */
export function catchSignals({
  foreground,
  onSignal,
}: {
  foreground: boolean;
  /** `direct`: the program has got it too. */
  onSignal: (signal: NodeJS.Signals, direct: boolean) => void;
}): () => void {
  const caught = passedSignals
    .filter((signal) => !(foreground && jobControl.has(signal)))
    .map((signal) => {
      const listener = () => onSignal(signal, foreground && fromTheTerminal.has(signal));
      process.on(signal, listener);
      return [signal, listener] as const;
    });
  return () => {
    for (const [signal, listener] of caught) process.removeListener(signal, listener);
  };
}
