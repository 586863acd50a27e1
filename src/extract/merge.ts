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
  // Entries by name, so that a thousand different subjects cost a thousand look-ups, not a million.
  const places = new Map<string, number[]>();
  for (const item of items) {
    const same = places.get(item.name) ?? [];
    const place = same.find((index) => sharesDigest(merged[index]?.digest ?? {}, item.digest));
    const entry = place === undefined ? undefined : merged[place];
    if (place !== undefined && entry !== undefined) merged[place] = { name: entry.name, digest: { ...entry.digest, ...item.digest } };
    else same.push(merged.push(item) - 1);
    places.set(item.name, same);
  }
  return merged;
}

function sharesDigest(entry: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  return Object.keys(entry).some((algorithm) => Object.hasOwn(other, algorithm) && other[algorithm] === entry[algorithm]);
}
