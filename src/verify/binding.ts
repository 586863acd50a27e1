import { createHash } from 'node:crypto';
import { at } from '../model/json.ts';
import type { SignedContent } from '../trust/entry.ts';
import type { Blob, Policy } from './policy.ts';
import type { Digests } from './prehashed.ts';
import type { Claim } from './statement.ts';
import { demand, refused, shown, type Check } from './verdict.ts';

/** The part of a policy that says what must be spoken about. */
type Bound = Pick<Policy, 'image' | 'predicateType' | 'runUid'> & { readonly blob?: Blob | undefined };

/** What was signed is what was asked for: until here the bytes are somebody's word, about whatever it may be. */
export function bind(claim: Claim, policy: Bound, check: Check): void {
  const { image, blob, predicateType, runUid } = policy;
  if (image) {
    check('image', () =>
      demand(
        claim.subjects.some(({ digest }) => Object.hasOwn(digest, 'sha256') && digest['sha256'] === image.digest),
        `none of its ${claim.subjects.length} subjects is the image sha256:${image.digest}`,
      ),
    );
  }
  if (blob) {
    check('blob', () =>
      demand(
        claim.subjects.some(({ digest }) => isOf(digest, blob)),
        `none of its ${claim.subjects.length} subjects is the file sha256:${blob.sha256}`,
      ),
    );
  }
  if (predicateType !== undefined) {
    check('predicate-type', () =>
      demand(
        claim.predicateType === predicateType,
        `the predicate type is "${shown(claim.predicateType ?? 'none')}", want "${predicateType}"`,
      ),
    );
  }
  if (runUid !== undefined && claim.predicateType === 'https://slsa.dev/provenance/v1') {
    const invocation = at(claim.predicate, 'runDetails', 'metadata', 'invocationId');
    check('run', () => demand((invocation ?? '') === runUid, `the statement is not about the run with the UID "${runUid}"`));
  }
}

const algorithms = ['sha256', 'sha384', 'sha512'] as const;

/** Each digest that a subject has and that is known must be the file's: with one right and one wrong it is not known which file is meant. */
function isOf(digest: Readonly<Record<string, string>>, blob: Digests): boolean {
  const known = algorithms.filter((algorithm) => Object.hasOwn(digest, algorithm) && blob[algorithm] !== undefined);
  return known.length > 0 && known.every((algorithm) => digest[algorithm] === blob[algorithm]);
}

/** A signature of a message is of this very file: by the digest that a bundle says, or by the bytes that were stored beside it. */
export function demandFile(content: SignedContent, blob: Blob | undefined): void {
  if (content.kind !== 'message') return;
  const { payload, digest } = content;
  if (blob === undefined) throw refused('it signs a file and says nothing of it: it can be verified only together with that file');
  if (blob.bytes !== undefined) demand(sha256(blob.bytes) === blob.sha256, 'the bytes of the file are not those of its digest');
  if (payload !== undefined) demand(sha256(payload) === blob.sha256, `it is not over the file sha256:${blob.sha256}`);
  if (digest === undefined) return;
  const want = blob[digest.algorithm];
  if (want === undefined) throw refused(`it gives a digest by ${digest.algorithm}, which was not made of the file`);
  demand(
    Buffer.from(digest.value).toString('hex') === want,
    `the digest that it gives is not that of the file ${digest.algorithm}:${want}`,
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
