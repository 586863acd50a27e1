import { isList, isObject, parseJson, type Json, type JsonObject } from '../model/json.ts';
import { orderedText, sortedText } from '../model/json-text.ts';
import type { Literals } from './literals.ts';
import { isMarker, markerOf } from './marker.ts';
import { isNamed, isReference, valueMembers, type RedactOptions } from './redact-names.ts';
import { isSecretPair, withoutTokens } from './token-shapes.ts';

/** Deeper than anything that is ever written: the writers refuse 1000 levels, and a value stands at most ten deeper in a run. */
export const maxDepth = 1_100;
const maxPlaces = 100;

/** Members that say what a thing is called or is: who looks for a value there finds it by chance, and replacing it would break what belongs together. */
const structural = new Set(
  'name key namespace uid apiVersion kind generateName type status reason imageID containerID container podName pipelineTaskName runAfter resolver serviceAccountName digest tekton.dev/pipelineTask'.split(
    ' ',
  ),
);
/** Lists of texts, and members, where a short value is the value and no chance. */
const alone = new Set(['value', 'default', 'args', 'command']);
const appliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
const payloadAnnotation = 'chains.tekton.dev/payload-';

/** One walk over the runs of a family. */
export class RedactionPass {
  readonly #options: RedactOptions;
  readonly #literals: Literals;
  readonly #salt: string;
  readonly #path: string[] = [];
  readonly #places = new Set<string>();
  #count = 0;

  constructor(options: RedactOptions, literals: Literals, salt: string) {
    this.#options = options;
    this.#literals = literals;
    this.#salt = salt;
  }

  get count(): number {
    return this.#count;
  }

  get places(): readonly string[] {
    return [...this.#places];
  }

  over(object: JsonObject): JsonObject {
    const before = this.#count;
    const clean = this.#object(object, false, 0);
    return this.#count === before ? object : this.#withoutPayloads(clean);
  }

  /** What Tekton Chains, or we, wrote on the run before holds the same values once more, twice encoded. */
  #withoutPayloads(object: JsonObject): JsonObject {
    const metadata = object['metadata'];
    const annotations = isObject(metadata) ? metadata['annotations'] : undefined;
    if (!isObject(metadata) || !isObject(annotations)) return object;
    const members = Object.entries(annotations).map(([name, text]) => {
      return [name, name.startsWith(payloadAnnotation) && typeof text === 'string' ? markerOf(text, this.#salt) : text] as const;
    });
    return { ...object, metadata: { ...metadata, annotations: Object.fromEntries(members) } };
  }

  #value(value: Json, member: string, isDigest: boolean, depth: number): Json {
    if (typeof value === 'string') return this.#text(value, member, isDigest);
    if (typeof value !== 'object' || value === null || depth > maxDepth) return value;
    if (isList(value)) return this.#list(value, member, isDigest, depth);
    return isObject(value) ? this.#object(value, isDigest, depth) : value;
  }

  #object(value: JsonObject, isDigest: boolean, depth: number): JsonObject {
    let changed: Map<string, Json> | undefined;
    for (const name of Object.keys(value)) {
      const member = value[name];
      if (member === undefined) continue;
      this.#path.push(name);
      const clean = this.#value(member, name, isDigest || name === 'digest', depth + 1);
      this.#path.pop();
      if (clean !== member) (changed ??= new Map()).set(name, clean);
    }
    return changed === undefined ? value : replaced(value, changed);
  }

  #list(list: readonly Json[], member: string, isDigest: boolean, depth: number): readonly Json[] {
    let clean: Json[] | undefined;
    for (const [index, item] of list.entries()) {
      const name = isObject(item) ? (item['name'] ?? item['key']) : undefined;
      this.#path.push(`[${typeof name === 'string' ? name : index}]`);
      const isSecret = isNamed(item, member, this.#options) || (this.#options.tokenShapes && isPair(item));
      const hidden = isSecret ? this.#named(item) : item;
      const done = this.#value(hidden, member, isDigest, depth + 1);
      this.#path.pop();
      if (done !== item) (clean ??= [...list])[index] = done;
    }
    return clean ?? list;
  }

  #named(item: JsonObject): JsonObject {
    const changed = new Map<string, Json>();
    for (const member of valueMembers) {
      const value = Object.hasOwn(item, member) ? item[member] : undefined;
      if (value === undefined) continue;
      this.#path.push(member);
      changed.set(member, this.#hidden(value));
      this.#path.pop();
    }
    return replaced(item, changed);
  }

  /** The value with its type, so that what reads it still can; one that the value union makes a text of becomes one marker. */
  #hidden(value: Json): Json {
    const one = (item: Json | undefined): Json => this.#hidden(item ?? null);
    if (value === null || value === '' || (typeof value === 'string' && isReference(value))) return value;
    if (isList(value) && value.every(isText)) return value.map(one);
    if (isObject(value) && Object.values(value).every(isText)) {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, one(item)]));
    }
    return this.#mark(typeof value === 'string' ? value : sortedText(value));
  }

  #text(text: string, member: string, isDigest: boolean): string {
    if (isMarker(text)) return text;
    if (member === appliedAnnotation || (member === 'message' && text.startsWith('[{'))) return this.#nested(text, member);
    let clean = text;
    if (!isDigest && !structural.has(member) && this.#literals.size > 0) {
      const mark = (value: string) => this.#mark(value);
      clean = alone.has(member) && this.#literals.isShort(text) ? mark(text) : this.#literals.replaced(text, mark);
    }
    return this.#options.tokenShapes ? withoutTokens(clean, (secret) => this.#mark(secret)) : clean;
  }

  /** JSON inside a text: the object as it was applied, or what a step reported. What is no JSON is a text like any other. */
  #nested(text: string, member: string): string {
    let parsed: Json;
    try {
      parsed = parseJson(text);
    } catch {
      return this.#text(text, '', false);
    }
    const clean = this.#value(parsed, member === 'message' ? 'results' : member, false, 0);
    return clean === parsed ? text : orderedText(clean);
  }

  #mark(value: string): string {
    this.#count += 1;
    if (this.#places.size < maxPlaces) this.#places.add(this.#path.join('.').replaceAll('.[', '[').slice(0, 300));
    return markerOf(value, this.#salt);
  }
}

/** An environment variable, param or result that its name makes a secret. */
function isPair(item: Json): item is JsonObject {
  if (!isObject(item)) return false;
  const { name, value } = item;
  return typeof name === 'string' && typeof value === 'string' && isSecretPair(name, value);
}

function isText(value: Json | undefined): boolean {
  return typeof value === 'string' || value === null;
}

/** `Object.fromEntries` defines members, so a member called `__proto__` stays one. */
function replaced(value: JsonObject, changed: ReadonlyMap<string, Json>): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, changed.get(name) ?? member]));
}
