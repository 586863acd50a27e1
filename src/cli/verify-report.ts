import type { Subject } from '../model/artifact.ts';
import type { Stored } from '../model/receipt.ts';
import type { Verdict, Verified } from '../verify/verdict.ts';
import { plain, styleOf, type Io, type Style } from './io.ts';
import type { KeyFile } from './verify-files.ts';
import type { Asked } from './verify-lookup.ts';

/** One thing that was found, and what the verifier says of it. */
export interface Finding {
  readonly kind: Stored['kind'];
  readonly address: string;
  readonly verdict: Verdict;
}

export interface Report {
  /** As it was asked for. */
  readonly reference: string | undefined;
  readonly image: Asked | undefined;
  /** `file` is undefined when only a digest was given. */
  readonly blob: { readonly file: string | undefined; readonly sha256: string } | undefined;
  /** The type that was demanded. */
  readonly predicateType: string | undefined;
  readonly keys: readonly KeyFile[];
  readonly findings: readonly Finding[];
}

const names = { dsse: 'attestation', raw: 'signature', bundle: 'bundle' } as const satisfies Record<Finding['kind'], string>;
/** A person reads that many; `--json` has all. */
const maxSubjectsShown = 10;

/** A finding that answers the question: verified, and of the type that was demanded, if any was. */
export function isProof({ verdict }: Finding, predicateType: string | undefined): boolean {
  return verdict.kind === 'verified' && (predicateType === undefined || verdict.predicateType === predicateType);
}

/** Prints what was found on stdout: one JSON object, or text for a person. */
export function reportOf(report: Report, isJson: boolean, io: Io): void {
  const text = isJson ? `${JSON.stringify(jsonOf(report))}\n` : textOf(report, styleOf(io.stdout, io));
  io.stdout.write(text);
}

/** `verified` is the answer; `findings` has everything that was found with its verdict, in the order in which it is stored. Times are ISO 8601. */
function jsonOf({ reference, image, blob, predicateType, findings }: Report): object {
  return {
    verified: findings.some((finding) => isProof(finding, predicateType)),
    reference,
    repository: image?.repository,
    digest: image && `sha256:${image.digest}`,
    blob: blob && { ...blob, sha256: `sha256:${blob.sha256}` },
    type: predicateType,
    findings: findings.map(({ kind, address, verdict }) => {
      const { kind: outcome, ...rest } = verdict;
      return { kind: names[kind], address, outcome, ...rest };
    }),
  };
}

function textOf(report: Report, style: Style): string {
  const { image, blob, findings, predicateType, keys } = report;
  const lines: string[] = [];
  if (image) lines.push(`image        ${image.repository === undefined ? '' : `${plain(image.repository)}@`}sha256:${image.digest}`, '');
  if (blob) lines.push(`blob         ${blob.file === undefined ? '' : `${plain(blob.file)} `}sha256:${blob.sha256}`, '');
  for (const finding of findings) lines.push(...findingLines(finding, keys, style), '');
  lines.push(conclusionOf(findings, predicateType, style));
  return `${lines.join('\n')}\n`;
}

function findingLines({ kind, address, verdict }: Finding, keys: readonly KeyFile[], style: Style): readonly string[] {
  const title = style('bold', `${names[kind].padEnd(12)} ${plain(address)}`);
  const checked = `  checked    ${verdict.checks.join(', ') || 'nothing'}`;
  if (verdict.kind === 'refused') {
    return [title, `  ${style('red', 'refused')}    check "${verdict.check}": ${plain(verdict.reason)}`, checked];
  }
  const type = verdict.predicateType === undefined ? [] : [`  type       ${plain(verdict.predicateType)}`];
  const outcome = `  ${style('green', 'verified')}   ${signatoryOf(verdict, keys)}`;
  return [title, outcome, ...type, ...subjectLines(verdict.subjects), ...evidenceLines(verdict, style), checked];
}

function signatoryOf({ key, identity }: Verified, keys: readonly KeyFile[]): string {
  if (identity) return `as ${plain(identity.san)}, whom ${plain(identity.issuer)} vouches for`;
  const file = keys.find((candidate) => candidate.key.fingerprint === key)?.file;
  return `with the key ${key}${file === undefined ? '' : ` (${plain(file)})`}`;
}

/** Who else vouches for it. That nobody was asked is said, too: silence would look like an answer. */
function evidenceLines({ checks, entries, times, notes }: Verified, style: Style): readonly string[] {
  const isLogged = checks.includes('log');
  return [
    ...entries.map(({ log, index }) => `  log        entry ${index} of ${plain(log)}`),
    ...(isLogged ? [] : ['  log        not asked']),
    ...times.map(({ time, from }) => `  time       ${time.toISOString()}, by ${plain(from)}`),
    ...notes.map((note) => `  ${style('yellow', 'note')}       ${plain(note)}`),
  ];
}

function subjectLines(subjects: readonly Subject[]): readonly string[] {
  const shown = subjects.slice(0, maxSubjectsShown).map(({ name, digest }) => {
    const digests = Object.entries(digest).map(([algorithm, hex]) => `${algorithm}:${hex}`);
    return `  subject    ${plain(`${name}@${digests.join(',')}`)}`;
  });
  const more = subjects.length - shown.length;
  return more > 0 ? [...shown, `  subject    and ${more} more`] : shown;
}

function conclusionOf(findings: readonly Finding[], predicateType: string | undefined, style: Style): string {
  const verified = findings.filter((finding) => isProof(finding, undefined));
  const counted = `${verified.length} of ${findings.length} verified`;
  if (findings.some((finding) => isProof(finding, predicateType))) return style('green', counted);
  if (findings.length === 0) return style('red', 'not verified: there is no attestation and no signature');
  if (verified.length === 0) return style('red', `not verified: ${counted}`);
  const types = new Set(verified.map(({ verdict }) => (verdict.kind === 'verified' && verdict.predicateType) || 'an image signature'));
  return style('red', `not verified: ${counted}, none of type ${plain(predicateType ?? '')}; found: ${[...types].map(plain).join(', ')}`);
}
