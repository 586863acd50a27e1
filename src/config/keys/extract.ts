import type { Key } from '../key.ts';
import { bool, oneOf, text, words, type ValueType } from '../values.ts';

/** Names with `*` for any text and `?` for one character. */
const globs: ValueType<readonly string[]> = {
  allowed: 'names with commas between them, * for any text and ? for one character; or empty for none',
  parse: words.parse,
};

function ours<T>(type: ValueType<T>, ordinary: string, doc: string) {
  return { type, default: ordinary, doc, from: 'Chainsmith', status: 'used' } as const satisfies Key<T>;
}

export const extractKeys = {
  'extract.native-artifacts': ours(
    bool,
    'false',
    "Take Tekton's native artifacts (TEP-0147, `status.artifacts` and the inputs and outputs of steps) for materials and subjects; Tekton Chains does not",
  ),
  'extract.on-dropped': ours(
    oneOf<'record' | 'fail'>({ now: ['record', 'fail'] }),
    'record',
    'What becomes of a run with a hint that cannot be used: "record" signs it and tells what was not used; "fail" does not sign it',
  ),
  'redact.params': ours(
    globs,
    '',
    'Params whose values are never published: replaced by a marker everywhere in the payload, before anything is signed. A value of fewer than 8 characters is replaced where it stands alone, and not looked for inside other texts',
  ),
  'redact.results': ours(
    globs,
    '',
    'Results whose values are never published, as redact.params. A type hint among them is not used any more',
  ),
  'redact.token-shapes': ours(
    bool,
    'true',
    'Replace what looks like a token, a password in a URL or a private key, wherever it stands in a run',
  ),
  'redact.salt': {
    ...ours(
      text,
      '',
      'Key of the HMAC-SHA256 in a marker; empty: made from the UID of the run, which anyone can read, so that a value of few possibilities can be guessed. Best given as CHAINSMITH_REDACT_SALT',
    ),
    secret: 'all',
  },
} as const satisfies Record<string, Key>;
