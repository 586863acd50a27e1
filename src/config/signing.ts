import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { providerNames } from './rooms.ts';
import { isBareReference, shown, type Parsed, type ValueType } from './values.ts';

const Text = z.string().min(1).max(2_000);
const SecretName = z.string().regex(/^[a-z0-9.-]{1,63}\/[a-z0-9.-]{1,253}$/, 'want namespace/name');

/** A signer beside `x509` and `kms`. What it does not say is as the keys of its kind have it. */
const Named = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('x509'), directory: Text.optional(), secret: SecretName.optional() }),
  z.strictObject({
    kind: z.literal('kms'),
    kmsref: Text.refine(isBareReference, 'it has a user, a query or a fragment'),
    'key-version': z.int().min(1).optional(),
    namespace: Text.optional(),
    mount: Text.optional(),
  }),
  z.strictObject({
    kind: z.literal('fulcio'),
    'token-file': Text.optional(),
    provider: z.enum(providerNames).optional(),
    audience: Text.optional(),
  }),
]);
export type NamedSigner = z.output<typeof Named>;

/** Names that mean something else already. */
const taken: readonly string[] = ['x509', 'kms', 'none'];
const Name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/, 'a name has letters, digits and dashes, 32 at most')
  .refine((name) => !taken.includes(name), 'this name is taken');
const NamedSigners = z.record(Name, Named);

const Patterns = z.array(Text).min(1).max(1_000);
const Rules = z
  .array(
    z.strictObject({
      namespaces: Patterns,
      pipelines: Patterns.optional(),
      labels: z.record(Text, z.string()).optional(),
      artifacts: z
        .array(z.enum(['taskrun', 'pipelinerun', 'oci']))
        .min(1)
        .optional(),
      signers: z.array(Text).min(1).max(8),
    }),
  )
  .max(1_000);
type Rules = z.output<typeof Rules>;

export const namedSigners: ValueType<ReadonlyMap<string, NamedSigner>> = {
  allowed: 'a YAML map of names to signers (kind x509, kms or fulcio); or empty for none',
  parse(given) {
    const parsed = yamlOf(given, NamedSigners, {});
    return parsed.kind === 'value' ? { kind: 'value', value: new Map(Object.entries(parsed.value)) } : parsed;
  },
};

export const signingRules: ValueType<Readonly<Rules>> = {
  allowed:
    'a YAML list of rules with namespaces and signers, and pipelines, labels, artifacts (taskrun, pipelinerun, oci) to narrow them; or empty for none',
  parse: (given) => yamlOf(given, Rules, []),
};

function yamlOf<T>(given: string, schema: z.ZodType<T>, empty: T): Parsed<T> {
  if (given.trim() === '') return { kind: 'value', value: empty };
  const documents = parseAllDocuments(given, { stringKeys: true, uniqueKeys: true, prettyErrors: false, logLevel: 'error' });
  const [document, more] = documents;
  if (document === undefined || more !== undefined || document.errors.length > 0) {
    return { kind: 'wrong', reason: `it is no YAML: ${shown(document?.errors[0]?.message ?? 'want one document')}` };
  }
  try {
    const parsed = schema.safeParse(document.toJS({ maxAliasCount: 0 }));
    if (parsed.success) return { kind: 'value', value: parsed.data };
    const [issue] = parsed.error.issues;
    return { kind: 'wrong', reason: `${shown(issue?.path.join('.') || 'it')}: ${shown(issue?.message ?? 'malformed')}` };
  } catch {
    return { kind: 'wrong', reason: 'it has aliases, which are not taken here' };
  }
}
