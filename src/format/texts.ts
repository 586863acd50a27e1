import { isList, type Json } from '../model/json.ts';

/** The texts of a list as Go decodes it: `null` is an empty text; elements of another type are left out. */
export function textsOf(list: Json | undefined): readonly string[] {
  if (!isList(list)) return [];
  return list.flatMap((text) => (typeof text === 'string' ? [text] : text === null ? [''] : []));
}
