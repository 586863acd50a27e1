import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { base64Of, bytesOfBase64 } from '../model/base64.ts';
import { publicKeyOf } from '../model/public-key.ts';
import { parseStrictJson } from '../model/strict-json.ts';
import { isLogId, keyDetailsOf, knownKeyDetails, spkiOf } from './log-key.ts';

/** From when until when, both included; no end: still. */
export interface Validity {
  readonly start: Date;
  readonly end: Date | undefined;
}

/** A transparency log, or a certificate transparency log. */
export interface TrustedLog {
  readonly baseUrl: string;
  /** The whole id: 32 bytes (sigstore-wire 5.3, 5.8). */
  readonly logId: Uint8Array;
  readonly publicKey: KeyObject;
  readonly validFor: Validity;
}

/** A certificate authority or timestamp authority. */
export interface TrustedAuthority {
  readonly uri: string;
  /** As the trusted root has them: the root last; of a timestamp authority the leaf may come first. */
  readonly chain: readonly X509Certificate[];
  readonly validFor: Validity;
}

/** What a verifier believes in (sigstore-wire 6.5), parsed: keys and certificates are good ones. */
export interface TrustedRoot {
  readonly logs: readonly TrustedLog[];
  readonly ctLogs: readonly TrustedLog[];
  readonly certificateAuthorities: readonly TrustedAuthority[];
  readonly timestampAuthorities: readonly TrustedAuthority[];
}

export const emptyRoot: TrustedRoot = { logs: [], ctLogs: [], certificateAuthorities: [], timestampAuthorities: [] };

/** Whether `at` lies within; both ends belong to it (sigstore-wire 6.5). */
export function isWithin({ start, end }: Validity, at: Date): boolean {
  return start <= at && (end === undefined || at <= end);
}

/** The public instance's has 10 kB. */
const maxBytes = 1024 * 1024;
const mediaType = 'application/vnd.dev.sigstore.trustedroot+json;version=0.1';

/**
 * Parses `trusted_root.json` as its one accepted media type means it (sigstore-wire 6.5): protobuf JSON in lower camel case, without a
 * member that is unknown, because a misspelt end of a validity would trust for ever. A log whose kind of key is not known is left out, so
 * that what the others say still counts. `where` names the text in errors. Throws `trust.root`.
 */
export function parseTrustedRoot(json: Uint8Array, where: string): TrustedRoot {
  const document = TrustedRootJson.safeParse(jsonOf(json, where));
  if (!document.success) {
    const [issue] = document.error.issues;
    throw wrongRoot(where, `${issue?.path.join('.') || 'the document'}: ${issue?.message ?? 'it is not one'}`);
  }
  const { tlogs, ctlogs, certificateAuthorities, timestampAuthorities } = document.data;
  return {
    logs: each(tlogs, 'tlogs', where, logOf),
    ctLogs: each(ctlogs, 'ctlogs', where, logOf),
    certificateAuthorities: each(certificateAuthorities, 'certificateAuthorities', where, authorityOf),
    timestampAuthorities: each(timestampAuthorities, 'timestampAuthorities', where, authorityOf),
  };
}

/** The same as text: what `cosign --trusted-root` and every other verifier takes. */
export function trustedRootJsonOf(root: TrustedRoot): string {
  const document = {
    mediaType,
    tlogs: root.logs.map(logJsonOf),
    certificateAuthorities: root.certificateAuthorities.map(authorityJsonOf),
    ctlogs: root.ctLogs.map(logJsonOf),
    timestampAuthorities: root.timestampAuthorities.map(authorityJsonOf),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

const Base64 = z.string().transform((text, context) => {
  const bytes = bytesOfBase64(text);
  if (bytes === undefined || bytes.length === 0) context.addIssue('want base64 with padding');
  return bytes ?? new Uint8Array();
});
const Time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/, 'want a time of RFC 3339')
  .transform((text, context) => {
    const time = new Date(text);
    if (Number.isNaN(time.getTime())) context.addIssue('want a time of RFC 3339');
    return time;
  });
const Range = z.strictObject({ start: Time.optional(), end: Time.optional() });
const Url = z
  .string()
  .max(2048)
  .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'want an http or https URL');
const LogJson = z.strictObject({
  baseUrl: Url,
  hashAlgorithm: z.literal('SHA2_256'),
  publicKey: z.strictObject({ rawBytes: Base64, keyDetails: z.string(), validFor: Range.optional() }),
  logId: z.strictObject({ keyId: Base64 }),
  checkpointKeyId: z.strictObject({ keyId: Base64 }).optional(),
  operator: z.string().optional(),
});
const AuthorityJson = z.strictObject({
  subject: z.strictObject({ organization: z.string().optional(), commonName: z.string().optional() }).optional(),
  uri: z.string().max(2048).default(''),
  certChain: z.strictObject({
    certificates: z
      .array(z.strictObject({ rawBytes: Base64 }))
      .min(1)
      .max(10),
  }),
  validFor: Range.optional(),
  operator: z.string().optional(),
});
const TrustedRootJson = z.strictObject({
  mediaType: z.literal(mediaType),
  tlogs: z.array(LogJson).max(256).default([]),
  ctlogs: z.array(LogJson).max(256).default([]),
  certificateAuthorities: z.array(AuthorityJson).max(256).default([]),
  timestampAuthorities: z.array(AuthorityJson).max(256).default([]),
});

function jsonOf(json: Uint8Array, where: string): unknown {
  try {
    return parseStrictJson(json, where, maxBytes);
  } catch (error) {
    throw wrongRoot(where, error instanceof Error ? error.message : 'it is not JSON', error);
  }
}

function each<Row, Part>(rows: readonly Row[], list: string, where: string, partOf: (row: Row) => Part | undefined): readonly Part[] {
  return rows.flatMap((row, index) => {
    try {
      return partOf(row) ?? [];
    } catch (error) {
      throw wrongRoot(where, `${list}.${index}: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  });
}

function logOf({ baseUrl, publicKey, logId }: z.output<typeof LogJson>): TrustedLog | undefined {
  const { rawBytes, keyDetails, validFor } = publicKey;
  if (!knownKeyDetails.includes(keyDetails)) return undefined;
  const key = createPublicKey({ key: Buffer.from(rawBytes), format: 'der', type: 'spki' });
  publicKeyOf(key);
  const isOldName = keyDetails === 'PKIX_RSA_PKCS1V5' && key.asymmetricKeyType === 'rsa';
  if (keyDetailsOf(key) !== keyDetails && !isOldName) throw new Error(`the key is not of the kind "${keyDetails}"`);
  if (validFor?.start === undefined) throw new Error('publicKey.validFor.start is missing');
  if (!isLogId(logId.keyId, key, baseUrl)) throw new Error('logId.keyId is not that of this key and host name');
  return { baseUrl, logId: logId.keyId, publicKey: key, validFor: validityOf(validFor) };
}

function authorityOf({ uri, certChain, validFor }: z.output<typeof AuthorityJson>): TrustedAuthority {
  const chain = certChain.certificates.map(({ rawBytes }) => new X509Certificate(rawBytes));
  return { uri, chain, validFor: validityOf(validFor) };
}

/** An authority without a start is trusted from the beginning of time, as its certificates say. */
function validityOf(range: z.output<typeof Range> | undefined): Validity {
  const { start = new Date(0), end } = range ?? {};
  if (end !== undefined && end < start) throw new Error('validFor ends before it starts');
  return { start, end };
}

function logJsonOf({ baseUrl, logId, publicKey, validFor }: TrustedLog): unknown {
  return {
    baseUrl,
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: base64Of(spkiOf(publicKey)), keyDetails: keyDetailsOf(publicKey) ?? 'PKIX_RSA_PKCS1V5', validFor },
    logId: { keyId: base64Of(logId) },
  };
}

function authorityJsonOf({ uri, chain, validFor }: TrustedAuthority): unknown {
  const name = (type: string) => new RegExp(`^${type}=(.*)$`, 'm').exec(chain.at(-1)?.subject ?? '')?.[1];
  return {
    subject: { organization: name('O'), commonName: name('CN') },
    ...(uri === '' ? {} : { uri }),
    certChain: { certificates: chain.map(({ raw }) => ({ rawBytes: base64Of(raw) })) },
    validFor,
  };
}

function wrongRoot(where: string, reason: string, cause?: unknown): TerminalError {
  return new TerminalError('trust.root', `Cannot read the trusted root in ${where}: ${reason}`, {
    cause,
    fix: `give a trusted_root.json of media type "${mediaType}", as "chainsmith trust export" writes it`,
  });
}
