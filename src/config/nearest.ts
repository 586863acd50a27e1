/**
 * The candidate that `given` was probably meant to be: the fewest single-letter changes, insertions, deletions and swaps of neighbours,
 * at most a third of its length; undefined when nothing is near. Case does not count, and dashes, dots and underscores are one.
 */
export function nearest(given: string, candidates: readonly string[]): string | undefined {
  if (given.length > 100) return undefined;
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of candidates) {
    const distance = distanceOf(plain(given), plain(name));
    if (distance <= Math.max(1, Math.floor(name.length / 3)) && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '.');
}

/** Optimal string alignment distance, row by row. */
function distanceOf(from: string, to: string): number {
  let before: readonly number[] = [];
  let above: readonly number[] = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const here: number[] = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const ways = [(above[column] ?? 0) + 1, (here[column - 1] ?? 0) + 1, (above[column - 1] ?? 0) + (isSame ? 0 : 1)];
      if (isSwap) ways.push((before[column - 2] ?? 0) + 1);
      here.push(Math.min(...ways));
    }
    before = above;
    above = here;
  }
  return above[to.length] ?? 0;
}
