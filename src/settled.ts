/** All results in order, or one `AggregateError` with every failure and those from before, after all have ended. */
export async function settled<In, Out>(
  items: readonly In[],
  work: (item: In) => Promise<Out>,
  before: readonly unknown[] = [],
): Promise<readonly Out[]> {
  const results = await Promise.allSettled(items.map(work));
  const failures = results.flatMap((result): readonly unknown[] => (result.status === 'rejected' ? [result.reason] : []));
  const errors = [...before, ...failures].flatMap(partsOf);
  if (errors.length > 0) throw new AggregateError(errors);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

function partsOf(error: unknown): readonly unknown[] {
  return error instanceof AggregateError ? error.errors : [error];
}
