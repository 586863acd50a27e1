/** A material or subject in the making. `name` is a subject's name or a material's uri. */
export interface Item {
  readonly name: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** Only what makes an item, of whatever knows more about it. */
export function itemOf({ name, digest }: Item): Item {
  return { name, digest };
}

/**
 * List merge (chains-provenance 3.11): an item joins the first entry with its name and an equal digest under some algorithm,
 * otherwise it is appended. Only algorithms that both have are compared, and maps are copied, never shared.
 */
export function mergeItems(items: Iterable<Item>): readonly Item[] {
  const merged: Item[] = [];
  // Entries by name and digest, so that a hundred thousand subjects cost as many look-ups, even when all have one name.
  const places = new Map<string, number[]>();
  const note = ({ name, digest }: Item, place: number): void => {
    for (const key of keysOf(name, digest)) {
      const known = places.get(key);
      if (known === undefined) places.set(key, [place]);
      else if (!known.includes(place)) known.push(place);
    }
  };
  for (const item of items) {
    const candidates = keysOf(item.name, item.digest).flatMap((key) => places.get(key) ?? []);
    const place = candidates.filter((index) => sharesDigest(merged[index]?.digest ?? {}, item.digest)).sort((a, b) => a - b)[0];
    const entry = place === undefined ? undefined : merged[place];
    if (place === undefined || entry === undefined) {
      note(item, merged.push(item) - 1);
      continue;
    }
    // What an entry had under an algorithm may be overwritten here: then its old place is stale, and the look at its digest says so.
    merged[place] = { name: entry.name, digest: { ...entry.digest, ...item.digest } };
    note(item, place);
  }
  return merged;
}

function keysOf(name: string, digest: Item['digest']): readonly string[] {
  return Object.entries(digest).map(([algorithm, hex]) => `${name}\n${algorithm}\n${hex}`);
}

function sharesDigest(entry: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  return Object.keys(entry).some((algorithm) => Object.hasOwn(other, algorithm) && other[algorithm] === entry[algorithm]);
}
