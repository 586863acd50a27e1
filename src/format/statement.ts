import { asRepository } from '../extract/images.ts';
import { fullName, parseRepository } from '../extract/reference.ts';
import type { Image, Subject } from '../model/artifact.ts';
import { parseSha256 } from '../model/digest.ts';
import type { Drops } from '../extract/drops.ts';
import { canonical } from '../model/json-text.ts';
import type { Payload } from '../model/work.ts';
import type { ProvenanceJson, StatementJson } from './protos/in-toto.ts';
import type { ProvenanceV02Json } from './slsa-v02.ts';

/** An in-toto statement before it is written. */
export interface Statement {
  readonly type: 'https://in-toto.io/Statement/v0.1' | 'https://in-toto.io/Statement/v1';
  readonly subjects: readonly Subject[];
  readonly predicateType: string;
  readonly predicate: ProvenanceJson | ProvenanceV02Json;
}

/**
 * Writes a statement: `_type`, `subject` (absent when there is none), `predicateType`, `predicate`; inside them members sorted,
 * no white space (chains-provenance 9.2 to 9.4).
 */
export function payloadOf(statement: Statement, drops: Drops): Payload {
  const { type, subjects, predicateType, predicate } = statement;
  const whole = { _type: type, subject: subjects, predicateType, predicate } satisfies Required<StatementJson>;
  const members = [
    `"_type":${canonical(whole._type)}`,
    ...(subjects.length === 0 ? [] : [`"subject":[${subjects.map(subjectText).join(',')}]`]),
    `"predicateType":${canonical(whole.predicateType)}`,
    `"predicate":${canonical(whole.predicate)}`,
  ];
  return {
    payloadType: 'application/vnd.in-toto+json',
    predicateType: statement.predicateType,
    bytes: Buffer.from(`{${members.join(',')}}`, 'utf8'),
    subjects: statement.subjects,
    images: imagesAmong(statement.subjects),
    dropped: drops.all,
  };
}

/** The subjects of a statement about one image alone: that image. Of a statement about the run: all of them. */
export function narrowed(subjects: readonly Subject[], image: Image | undefined): readonly Subject[] {
  return image === undefined ? subjects : [{ name: image.repository, digest: { sha256: image.digest } }];
}

function subjectText({ name, digest }: Subject): string {
  const members = [
    ...(name === '' ? [] : [`"name":${canonical(name)}`]),
    ...(Object.keys(digest).length === 0 ? [] : [`"digest":${canonical(digest)}`]),
  ];
  return `{${members.join(',')}}`;
}

const sha256Hex = /^[0-9a-f]{64}$/;

/** Subjects that a registry can hold an attestation for: a repository's name and a sha256 digest. */
function imagesAmong(subjects: readonly Subject[]): readonly Image[] {
  const images = new Map<string, Image>();
  for (const { name, digest } of subjects) {
    const repository = parseRepository(asRepository(name) ?? '');
    const hex = Object.hasOwn(digest, 'sha256') ? digest['sha256'] : undefined;
    if (repository === undefined || hex === undefined || !sha256Hex.test(hex)) continue;
    const image = { repository, digest: parseSha256(hex) };
    images.set(fullName(image), image);
  }
  return [...images.values()];
}
