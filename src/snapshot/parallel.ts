// Work on many pieces with a bound on how many are under way: threads stay busy, memory does not grow.

/** Results in the order of the items. At most `limit` are worked on or wait to be taken. */
export async function* inOrder<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const under: Promise<R>[] = [];
  try {
    for await (const item of items) {
      under.push(work(item));
      if (under.length >= limit) yield await (under.shift() as Promise<R>);
    }
    while (under.length > 0) yield await (under.shift() as Promise<R>);
  } finally {
    // Nobody is left to hear of the others.
    for (const promise of under) promise.catch(() => {});
  }
}

/**
 * Rejects with the first error, once everything that had begun is over. `work` is told which of the `limit` places it has:
 * nothing else has that place at the same time.
 */
export async function forEach<T>(
  items: readonly T[],
  limit: number,
  work: (item: T, place: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed: { readonly error: unknown } | undefined;
  const worker = async (place: number): Promise<void> => {
    while (next < items.length && failed === undefined) {
      try {
        await work(items[next++] as T, place);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, (_, place) => worker(place)));
  if (failed !== undefined) throw failed.error;
}
