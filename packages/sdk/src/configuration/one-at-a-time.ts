/** Runs pieces of work one after the other, in the order they came; one that fails does not hinder the next. */
export function createOneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const started = last.then(work, work);
    last = started.catch(() => undefined);
    return started;
  };
}
