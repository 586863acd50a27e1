import { TerminalError } from '../errors.ts';
import type { Subject } from '../model/artifact.ts';
import { isObject, type Json, type JsonObject } from '../model/json.ts';
import { parseStrictJson } from '../model/strict-json.ts';

/** What a signed payload says, as far as a verifier needs it. */
export interface Claim {
  /** undefined for simple signing. */
  readonly predicateType: string | undefined;
  readonly subjects: readonly Subject[];
  /** undefined for simple signing, and for a statement without one. */
  readonly predicate: JsonObject | undefined;
}

const statementTypes: readonly unknown[] = ['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1'];
const statementMembers: readonly string[] = ['_type', 'subject', 'predicateType', 'predicate'];
/** What sigstore-go reads (sigstore-wire 1.4). */
const maxSubjects = 1024;
const maxDigests = 32;
/** Whole bytes; Go's decoder takes both cases. */
const isHex = /^(?:[0-9A-Fa-f]{2})*$/;
/** in-toto attestation, ResourceDescriptor. */
const resourceMembers: readonly string[] = ['name', 'uri', 'digest', 'content', 'downloadLocation', 'mediaType', 'annotations'];

/**
 * Reads an in-toto statement as strictly as the strictest verifier (sigstore-wire 1.4): unknown members outside the predicate, members
 * given twice and digests that are no texts are refused. A statement may lack subjects; it then speaks about no image.
 * Throws `verify.statement` and the `json.*` codes.
 */
export function statementOf(payload: Uint8Array, maxBytes: number): Claim {
  const statement = onlyMembers(parseStrictJson(payload, 'the statement', maxBytes), 'the statement', statementMembers);
  const { _type: type, subject = [], predicateType, predicate } = statement;
  if (!statementTypes.includes(type)) throw malformed('_type must be that of an in-toto statement 1 or 0.1');
  if (typeof predicateType !== 'string' || predicateType === '') throw malformed('predicateType must be a text');
  if (predicate !== undefined && !isObject(predicate)) throw malformed('predicate must be an object');
  if (!Array.isArray(subject)) throw malformed('subject must be a list');
  if (subject.length > maxSubjects) throw malformed(`it has ${subject.length} subjects, more than ${maxSubjects}`);
  return { predicateType, predicate, subjects: subject.map((entry: Json, index) => subjectOf(entry, `subject[${index}]`)) };
}

/** Reads a simple signing payload (sigstore-wire 3.3): its subject is the one image. Throws `verify.statement` and the `json.*` codes. */
export function simpleSigningOf(payload: Uint8Array, maxBytes: number): Claim {
  const { critical } = onlyMembers(parseStrictJson(payload, 'the payload', maxBytes), 'the payload', ['critical', 'optional']);
  const { identity, image, type } = onlyMembers(critical, 'critical', ['identity', 'image', 'type']);
  if (type !== 'cosign container image signature') throw malformed('critical.type must be "cosign container image signature"');
  const { 'docker-reference': name } = onlyMembers(identity, 'critical.identity', ['docker-reference']);
  const { 'docker-manifest-digest': digest } = onlyMembers(image, 'critical.image', ['docker-manifest-digest']);
  const sha256 = typeof digest === 'string' ? /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1] : undefined;
  if (sha256 === undefined) throw malformed('critical.image.docker-manifest-digest must be a SHA-256 digest');
  if (typeof name !== 'string') throw malformed('critical.identity.docker-reference must be a text');
  return { predicateType: undefined, predicate: undefined, subjects: [{ name, digest: { sha256 } }] };
}

function subjectOf(value: Json, where: string): Subject {
  const { name = '', digest = {} } = onlyMembers(value, where, resourceMembers);
  if (typeof name !== 'string') throw malformed(`${where}.name must be a text`);
  if (!isObject(digest)) throw malformed(`${where}.digest must be an object`);
  const digests = Object.entries(digest);
  if (digests.length > maxDigests) throw malformed(`${where}.digest has ${digests.length} members, more than ${maxDigests}`);
  const entries = digests.map(([algorithm, hex]): [string, string] => {
    if (typeof hex !== 'string') throw malformed(`${where}.digest must hold texts only`);
    if (!isHex.test(hex)) throw malformed(`${where}.digest must hold hex digits only`);
    return [algorithm, hex];
  });
  return { name, digest: Object.fromEntries(entries) };
}

function onlyMembers(value: Json | undefined, where: string, known: readonly string[]): Readonly<Record<string, Json | undefined>> {
  if (!isObject(value)) throw malformed(`${where} must be an object`);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) throw malformed(`${where} has the unknown member "${unknown.slice(0, 100)}"`);
  return { ...value };
}

function malformed(reason: string): TerminalError {
  return new TerminalError('verify.statement', `Cannot read what was signed: ${reason}`);
}
