/**
 * Results in the order of the items, at most `limit` under way. All are tried: one failure is thrown as it is, several as one
 * `AggregateError`, after everything has ended.
 */
export async function inOrder<In, Out>(items: readonly In[], limit: number, work: (item: In) => Promise<Out>): Promise<readonly Out[]> {
  const results: PromiseSettledResult<Out>[] = [];
  const entries = items.entries();
  const worker = async (): Promise<void> => {
    // One iterator for all workers: each takes the next item when it is free.
    for (const [index, item] of entries) [results[index]] = await Promise.allSettled([work(item)]);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} of ${items.length} failed`);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
