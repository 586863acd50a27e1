import { isScalar, visit, type Document, type Tags } from 'yaml';

/** As `kubectl` reads files: YAML 1.1 (0644 is octal, `on` is true), but dates stay text and there is no base 60. */
export const asKubectl = {
  version: '1.1',
  customTags: (tags: Tags) => tags.filter(isKnownToKubectl),
  uniqueKeys: false,
  stringKeys: true,
  prettyErrors: false,
  logLevel: 'error',
} as const;

function isKnownToKubectl(tag: Tags[number]): boolean {
  if (typeof tag === 'string') return true;
  return !/:(timestamp|binary|omap|pairs|set)$/.test(tag.tag) && tag.format !== 'TIME';
}

/** The parser's own check compares every name with every other, which a large map would make last for hours. */
export function repeatedNamesIn(document: Document.Parsed): readonly { readonly offset: number; readonly message: string }[] {
  const found: { readonly offset: number; readonly message: string }[] = [];
  visit(document, {
    Map(_key, map) {
      const names = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (names.has(name) && name !== '<<') {
          found.push({ offset: key.range?.[0] ?? 0, message: `the key "${name.slice(0, 100)}" stands twice in one map` });
        }
        names.add(name);
      }
    },
  });
  return found;
}
