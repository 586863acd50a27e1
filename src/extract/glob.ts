/** Does the glob (`*` any text, `?` one character) match the whole name? Steps back to the last `*` only: no worse than length by length. */
export function matchesGlob(glob: string, name: string): boolean {
  let [at, inGlob] = [0, 0];
  let [star, mark] = [-1, 0];
  while (at < name.length) {
    if (inGlob < glob.length && glob[inGlob] === '*') {
      [star, mark] = [inGlob, at];
      inGlob += 1;
    } else if (inGlob < glob.length && (glob[inGlob] === '?' || glob[inGlob] === name[at])) {
      at += 1;
      inGlob += 1;
    } else if (star >= 0) {
      mark += 1;
      [at, inGlob] = [mark, star + 1];
    } else {
      return false;
    }
  }
  while (glob[inGlob] === '*') inGlob += 1;
  return inGlob === glob.length;
}
