import { X509Certificate, createHash, generateKeyPairSync, sign } from 'node:crypto';
import { base64Of } from '../../src/model/base64.ts';
import { paeOf } from '../../src/model/dsse.ts';
import { addPaperLog, authorityJson, bodies, briefStamp, claimOf, genTimeOf, paperEntry, stampOf, type Fleeting } from './forge.ts';
import { entryOf, envelopeIn, messageIn, only, proofOf, stampsIn, there, type BundleJson, type RootJson } from './shapes.ts';
import { artifact, statementOf, type Recipe, type Specimen, type World } from './world.ts';

/** What a case may use to change its specimen. */
export interface Tools {
  readonly world: World;
  readonly specimen: Specimen;
  readonly fleeting: Fleeting;
  /** Another specimen of the same recipe, about something else. */
  other(change?: Partial<Recipe>): Promise<BundleJson>;
  readonly sha256: string;
}

/** One of sigstore-conformance's classes; a name that ends in `_fail` must be refused (sigstore-wire 8.2). */
export interface Case {
  readonly name: string;
  readonly of: Recipe;
  /** Changes bundle and root in place, or gives the text of another bundle. */
  readonly change?: (bundle: BundleJson, root: RootJson, tools: Tools) => void | string | Promise<void | string>;
  /** Whoever is asked for; default: who signed. */
  readonly by?: 'key' | 'identity' | 'other-key';
  /** Default: the file that it is about. */
  readonly artifact?: Uint8Array;
  /** The check that refuses it; for those that are refused for the right reason only. */
  readonly check?: string;
}

const v1 = { content: 'message', by: 'identity', log: 1, stamped: false } as const;
const v1Dsse = { ...v1, content: 'dsse' } as const;
const v2 = { content: 'message', by: 'identity', log: 2, stamped: true } as const;
const v2Dsse = { ...v2, content: 'dsse' } as const;
const managed = { content: 'message', by: 'key', log: 1, stamped: false } as const;

export const accepted: readonly Case[] = [
  { name: 'happy-path', of: v1 },
  { name: 'happy-path-v0.1', of: v1, change: (bundle) => asOld(bundle, '0.1') },
  { name: 'happy-path-v0.2', of: v1, change: (bundle) => asOld(bundle, '0.2') },
  { name: 'happy-path-v0.3', of: v1, change: (bundle) => void (bundle.mediaType = 'application/vnd.dev.sigstore.bundle+json;version=0.3') },
  {
    name: 'happy-path-v0.3-new-mediaType',
    of: v1,
    change: (bundle) => void (bundle.mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json'),
  },
  { name: 'happy-path-intoto-in-dsse-v3', of: v1Dsse },
  { name: 'intoto-with-custom-trust-root', of: v1Dsse, change: (bundle, root, tools) => onPaper(bundle, root, tools, 'inToto2') },
  { name: 'managed-key-happy-path', of: managed },
  { name: 'managed-key-and-trusted-root', of: { ...managed, content: 'dsse' } },
  { name: 'rekor2-happy-path', of: v2 },
  { name: 'rekor2-dsse-happy-path', of: v2Dsse },
  {
    name: 'rekor2-checkpoint-cosigned',
    of: v2,
    change: (bundle) => void (proofOf(bundle).checkpoint.envelope += witness('witness.example')),
  },
  {
    name: 'rekor2-checkpoint-multiple-cosigs',
    of: v2,
    change: (bundle) => void (proofOf(bundle).checkpoint.envelope += witness('one.example') + witness('two.example')),
  },
  {
    name: 'rekor2-checkpoint-origin-not-first',
    of: v2,
    change: (bundle) => editNote(bundle, (text, lines) => `${text}\n${witness('w.example')}${lines}`),
  },
  {
    name: 'rekor2-checkpoint-two-sigs-from-origin',
    of: v2,
    change: (bundle) => void (proofOf(bundle).checkpoint.envelope += witness('localhost')),
  },
  {
    name: 'rekor2-checkpoint-two-sigs-cosigned',
    of: v2,
    change: (bundle) => void (proofOf(bundle).checkpoint.envelope += witness('localhost') + witness('w.example')),
  },
  { name: 'rekor2-timestamp-with-embedded-cert', of: v2 },
  {
    name: 'rekor2-timestamp-with-expired-cert-chain',
    of: v2,
    async change(bundle, root, { world }) {
      const { stamp, chainPem } = await briefStamp(world.dir, signatureIn(bundle), 'before');
      root.timestampAuthorities = [authorityJson('https://brief.example', chainPem)];
      restamp(bundle, stamp);
    },
  },
  {
    name: 'rekor2-timestamp-without-embedded-cert',
    of: v2,
    change: async (bundle, _, { world }) => restamp(bundle, await stampOf(there(world.sigstore.tsa).url, signatureIn(bundle), false)),
  },
  {
    name: 'trust-root-tlog-validity-end-inclusive',
    of: v1,
    change(bundle, root) {
      const end = new Date(Number(entryOf(bundle).integratedTime) * 1000).toISOString();
      for (const { publicKey } of root.tlogs) publicKey.validFor = { start: '2024-01-01T00:00:00Z', end };
    },
  },
  {
    name: 'trust-root-tsa-validity-end-inclusive',
    of: v2,
    change: (bundle, root) =>
      void (only(root.timestampAuthorities).validFor.end = genTimeOf(only(stampsIn(bundle)).signedTimestamp).toISOString()),
  },
];

export const refused: readonly Case[] = [
  {
    name: 'bundle-empty-certificate-chain_fail',
    of: v1,
    check: 'bundle',
    change(bundle) {
      asOld(bundle, '0.1');
      bundle.verificationMaterial.x509CertificateChain = { certificates: [] };
    },
  },
  {
    name: 'bundle-from-wrong-instance_fail',
    of: v1,
    check: 'log',
    change(_, root) {
      root.tlogs = [];
      addPaperLog(1, root);
      root.certificateAuthorities = [];
      root.ctlogs = [];
    },
  },
  { name: 'bundle-invalid-base64-signature_fail', of: v1, check: 'bundle', change: (bundle) => void (messageIn(bundle).signature += '!') },
  { name: 'bundle-malformed-json_fail', of: v1, check: 'bundle', change: (bundle) => JSON.stringify(bundle).slice(0, -1) },
  { name: 'bundle-negative-log-index_fail', of: v1, check: 'bundle', change: (bundle) => void (entryOf(bundle).logIndex = '-1') },
  {
    name: 'bundle-unknown-version_fail',
    of: v1,
    check: 'bundle',
    change: (bundle) => void (bundle.mediaType = 'application/vnd.dev.sigstore.bundle+json;version=99.9'),
  },
  {
    name: 'bundle-with-root-cert_fail',
    of: v1,
    check: 'bundle',
    change(bundle, root) {
      asOld(bundle, '0.2');
      there(bundle.verificationMaterial.x509CertificateChain).certificates.push({
        ...there(only(root.certificateAuthorities).certChain.certificates.at(-1)),
      });
    },
  },
  {
    name: 'checkpoint-bad-keyhint_fail',
    of: v1,
    check: 'log',
    change: (bundle) =>
      editNote(
        bundle,
        (text, lines) =>
          `${text}\n${lines.replace(/ (.)([^ ]*)\n$/, (_, first: string, rest: string) => ` ${first === 'A' ? 'B' : 'A'}${rest}\n`)}`,
      ),
  },
  {
    name: 'checkpoint-wrong-roothash_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) => void (proofOf(bundle).checkpoint = proofOf(await other()).checkpoint),
  },
  {
    name: 'cve-2022-36056-swapped-tlog-entry_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) =>
      void (bundle.verificationMaterial.tlogEntries = (await other()).verificationMaterial.tlogEntries ?? []),
  },
  {
    name: 'dsse-invalid-sig_fail',
    of: v1Dsse,
    check: 'signature',
    change: (bundle) => void (only(envelopeIn(bundle).signatures).sig = strange(paeIn(bundle))),
  },
  {
    name: 'dsse-mismatch-envelope_fail',
    of: v1Dsse,
    check: 'log',
    change: async (bundle, _, { other }) => void (bundle.dsseEnvelope = envelopeIn(await other({ bytes: about('more') }))),
  },
  {
    name: 'dsse-mismatch-sig_fail',
    of: v1Dsse,
    check: 'log',
    change: async (bundle, _, { other }) => void (bundle.dsseEnvelope = envelopeIn(await other())),
  },
  { name: 'dsse-statement-missing-type_fail', of: { ...v1Dsse, bytes: about('type', { _type: undefined }) }, check: 'statement' },
  {
    name: 'dsse-statement-unknown-type_fail',
    of: { ...v1Dsse, bytes: about('type', { _type: 'https://in-toto.io/Statement/v99' }) },
    check: 'statement',
  },
  {
    name: 'inclusion-proof-corrupted-hash_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) => {
      // A tree of one has no hashes.
      await other();
      Object.assign(bundle, await other());
      flip(proofOf(bundle).hashes, 0);
    },
  },
  {
    name: 'incorrect-public-key_fail',
    of: managed,
    check: 'log',
    change: (bundle) =>
      editBody(bundle, (body) =>
        body.replace(/"publicKey":\{"content":"[^"]*"/, `"publicKey":{"content":"${Buffer.from(strangePem).toString('base64')}"`),
      ),
  },
  {
    name: 'integrated-time-in-future_fail',
    of: v1,
    check: 'log',
    change: (bundle) => void (entryOf(bundle).integratedTime = String(Number(entryOf(bundle).integratedTime) + 1_000_000)),
  },
  {
    name: 'intoto-expired-certificate_fail',
    of: v1Dsse,
    check: 'chain',
    change: (_, root) => void (only(root.certificateAuthorities).validFor = { start: '2020-01-01T00:00:00Z', end: '2021-01-01T00:00:00Z' }),
  },
  {
    name: 'intoto-log-entry-mismatch_fail',
    of: v1Dsse,
    check: 'log',
    change: async (bundle, _, { other }) =>
      void (bundle.verificationMaterial.tlogEntries = [entryOf(await other({ bytes: about('more') }))]),
  },
  {
    name: 'intoto-missing-inclusion-proof_fail',
    of: v1Dsse,
    check: 'bundle',
    change: (bundle) => void delete entryOf(bundle).inclusionProof,
  },
  {
    name: 'intoto-set-outside-signing-cert-validity_fail',
    of: v1Dsse,
    check: 'chain',
    change: (bundle, root, tools) => onPaper(bundle, root, tools, 'dsse', new Date('2026-01-05T00:00:00Z')),
  },
  {
    name: 'intoto-tsa-timestamp-outside-cert-validity_fail',
    of: { ...v1Dsse, stamped: true },
    check: 'chain',
    change: async (bundle, root, tools) => await asFleeting(bundle, root, tools, 1),
  },
  {
    name: 'invalid-checkpoint-signature_fail',
    of: v1,
    check: 'log',
    change: (bundle) =>
      editNote(
        bundle,
        (text, lines) =>
          `${text}\n${lines.replace(/(.)(.{6}\n)$/, (_, last: string, rest: string) => `${last === 'A' ? 'B' : 'A'}${rest}`)}`,
      ),
  },
  {
    name: 'invalid-ct-key_fail',
    of: v1,
    check: 'sct',
    change: (_, root) => void (root.ctlogs = addedLog(root)),
  },
  {
    name: 'invalid-inclusion-proof_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) => {
      await other();
      entryOf(bundle).inclusionProof = there(entryOf(await other()).inclusionProof);
    },
  },
  { name: 'managed-key-no-key_fail', of: managed, by: 'identity', check: 'certificate' },
  { name: 'managed-key-and-client-identity_fail', of: { ...managed, content: 'dsse' }, by: 'identity', check: 'certificate' },
  { name: 'managed-key-wrong-key_fail', of: managed, by: 'other-key', check: 'signature' },
  {
    name: 'message-digest-mismatch_fail',
    of: v1,
    check: 'blob',
    change: (bundle) => void (messageIn(bundle).messageDigest.digest = createHash('sha256').update('x').digest('base64')),
  },
  {
    name: 'rekor2-checkpoint-missing-log-signature_fail',
    of: v2,
    check: 'log',
    change: (bundle) => editNote(bundle, (text) => `${text}\n${witness('w.example')}`),
  },
  {
    name: 'rekor2-checkpoint-missing-origin_fail',
    of: v2,
    check: 'log',
    change: (bundle) => editNote(bundle, (text, lines) => `${text.replace(/^.*\n/, '')}\n${lines}`),
  },
  {
    name: 'rekor2-checkpoint-missing-root-hash_fail',
    of: v2,
    check: 'log',
    change: (bundle) => editNote(bundle, (text, lines) => `${text.split('\n').slice(0, 2).join('\n')}\n\n${lines}`),
  },
  {
    name: 'rekor2-checkpoint-missing-size_fail',
    of: v2,
    check: 'log',
    change: (bundle) => editNote(bundle, (text, lines) => `${text.split('\n').toSpliced(1, 1).join('\n')}\n${lines}`),
  },
  {
    name: 'rekor2-checkpoint-no-matching-signature_fail',
    of: v2,
    check: 'log',
    change: (bundle) => editNote(bundle, (text, lines) => `${text}\n${lines.replace('localhost', 'other.example')}`),
  },
  {
    name: 'rekor2-dsse-invalid-sig_fail',
    of: v2Dsse,
    check: 'signature',
    change: (bundle) => void (only(envelopeIn(bundle).signatures).sig = strange(paeIn(bundle))),
  },
  {
    name: 'rekor2-dsse-mismatch-envelope_fail',
    of: v2Dsse,
    check: 'log',
    change: async (bundle, _, { other }) => void (bundle.dsseEnvelope = envelopeIn(await other({ bytes: about('more') }))),
  },
  {
    name: 'rekor2-dsse-mismatch-sig_fail',
    of: v2Dsse,
    check: 'log',
    change: async (bundle, _, { other }) => void (bundle.dsseEnvelope = envelopeIn(await other())),
  },
  {
    name: 'rekor2-multiple-timestamps-one-outside-cert-validity_fail',
    of: v2Dsse,
    check: 'chain',
    change: async (bundle, root, tools) => await asFleeting(bundle, root, tools, 2),
  },
  { name: 'rekor2-no-inclusion-proof_fail', of: v2, check: 'bundle', change: (bundle) => void delete entryOf(bundle).inclusionProof },
  {
    name: 'rekor2-no-timestamp_fail',
    of: v2,
    check: 'trusted-time',
    change: (bundle) => void delete bundle.verificationMaterial.timestampVerificationData,
  },
  {
    name: 'rekor2-timestamp-outside-trust-root-tsa-validity_fail',
    of: v2,
    check: 'trusted-time',
    change: (_, root) => void (only(root.timestampAuthorities).validFor = { start: '2020-01-01T00:00:00Z', end: '2021-01-01T00:00:00Z' }),
  },
  {
    name: 'rekor2-timestamp-outside-tsa-cert-validity_fail',
    of: v2,
    check: 'timestamp',
    async change(bundle, root, { world }) {
      const { stamp, chainPem } = await briefStamp(world.dir, signatureIn(bundle), 'after');
      root.timestampAuthorities = [authorityJson('https://brief.example', chainPem)];
      restamp(bundle, stamp);
    },
  },
  {
    name: 'rekor2-timestamp-payload-mismatch_fail',
    of: v2,
    check: 'timestamp',
    change: async (bundle, _, { other }) =>
      void (bundle.verificationMaterial.timestampVerificationData = there((await other()).verificationMaterial.timestampVerificationData)),
  },
  {
    name: 'rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail',
    of: v2,
    check: 'trusted-time',
    change: async (bundle, _, { world }) => restamp(bundle, await stampOf(world.stranger.url, signatureIn(bundle), true)),
  },
  {
    name: 'rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail',
    of: v2,
    check: 'trusted-time',
    change: async (bundle, _, { world }) => restamp(bundle, await stampOf(world.stranger.url, signatureIn(bundle), false)),
  },
  {
    name: 'rekor2-timestamp-with-incorrect-time_fail',
    of: v2Dsse,
    check: 'chain',
    change: async (bundle, root, tools) => await asFleeting(bundle, root, tools, 2),
  },
  {
    name: 'rekor2-timestamp-wrong-tsa-validity-borrow_fail',
    of: v2,
    check: 'trusted-time',
    change(_, root, { world }) {
      only(root.timestampAuthorities).validFor = { start: '2020-01-01T00:00:00Z', end: '2021-01-01T00:00:00Z' };
      root.timestampAuthorities.push(authorityJson('https://other.example', world.stranger.chainPem));
    },
  },
  {
    name: 'set-invalid-signature_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) => void (entryOf(bundle).inclusionPromise = there(entryOf(await other()).inclusionPromise)),
  },
  {
    name: 'signature-mismatch_fail',
    of: v1,
    check: 'signature',
    change: (bundle) => void (messageIn(bundle).signature = strange(artifact)),
  },
  { name: 'trust-root-tlog-missing-validity-start_fail', of: v1, change: (_, root) => void (only(root.tlogs).publicKey.validFor = {}) },
  {
    name: 'wrong-hashedrekord-artifact_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) =>
      void (bundle.verificationMaterial.tlogEntries = [entryOf(await other({ bytes: Buffer.from('another file') }))]),
  },
  {
    name: 'wrong-hashedrekord-cert-and-sig_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) => void (bundle.verificationMaterial.tlogEntries = [entryOf(await other({ by: 'key' }))]),
  },
  {
    name: 'wrong-hashedrekord-entry_fail',
    of: v1,
    check: 'log',
    change: async (bundle, _, { other }) =>
      void (bundle.verificationMaterial.tlogEntries = [entryOf(await other({ by: 'key', bytes: Buffer.from('another file') }))]),
  },
  { name: 'wrong-material_fail', of: v1, check: 'blob', artifact: Buffer.from('another file') },
];

const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const strangePem = stranger.publicKey.export({ type: 'spki', format: 'pem' }).toString();

function strange(bytes: Uint8Array): string {
  return sign('sha256', bytes, stranger.privateKey).toString('base64');
}

function paeIn(bundle: BundleJson): Uint8Array {
  const { payload, payloadType } = envelopeIn(bundle);
  return paeOf(payloadType, Buffer.from(payload, 'base64'));
}

/** A statement about the file, which says something else, too. */
function about(name: string, change: object = {}): Uint8Array {
  return statementOf(createHash('sha256').update(artifact).digest('hex'), { predicate: { name }, ...change });
}

/** Versions before 0.3 have the certificate in a chain. */
function asOld(bundle: BundleJson, version: '0.1' | '0.2'): void {
  bundle.mediaType = `application/vnd.dev.sigstore.bundle+json;version=${version}`;
  bundle.verificationMaterial.x509CertificateChain = { certificates: [there(bundle.verificationMaterial.certificate)] };
  delete bundle.verificationMaterial.certificate;
}

/** A line of somebody else: an Ed25519 key that nobody asked for. */
function witness(name: string): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  return `\u2014 ${name} ${Buffer.concat([Buffer.from('wxyz'), sign(null, Buffer.from(name), privateKey)]).toString('base64')}\n`;
}

/** The text of a checkpoint with its last newline, and the signature lines. */
function editNote(bundle: BundleJson, edit: (text: string, lines: string) => string): void {
  const proof = proofOf(bundle);
  const [text = '', lines = ''] = proof.checkpoint.envelope.split('\n\n');
  proof.checkpoint.envelope = edit(`${text}\n`, lines);
}

function editBody(bundle: BundleJson, edit: (body: string) => string): void {
  const entry = entryOf(bundle);
  const body = Buffer.from(entry.canonicalizedBody, 'base64').toString();
  const edited = edit(body);
  if (edited === body) throw new Error('The body has nothing to edit');
  entry.canonicalizedBody = Buffer.from(edited).toString('base64');
}

function flip(list: string[], at: number): void {
  const bytes = Buffer.from(there(list[at]), 'base64');
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  list[at] = bytes.toString('base64');
}

function signatureIn(bundle: BundleJson): Uint8Array {
  return Buffer.from(bundle.messageSignature?.signature ?? only(envelopeIn(bundle).signatures).sig, 'base64');
}

function restamp(bundle: BundleJson, signedTimestamp: string): void {
  bundle.verificationMaterial.timestampVerificationData = { rfc3161Timestamps: [{ signedTimestamp }] };
}

function addedLog(root: RootJson): RootJson['tlogs'] {
  const other: RootJson = { ...root, tlogs: [] };
  addPaperLog(1, other);
  return other.tlogs;
}

/** The same signature, in a log on paper instead. */
function onPaper(bundle: BundleJson, root: RootJson, { specimen }: Tools, kind: 'dsse' | 'inToto2', time = new Date()): void {
  const { envelope } = specimen;
  const leaf = new X509Certificate(envelope.certificate);
  const content = { kind: 'dsse', payloadType: envelope.payloadType, payload: envelope.payload, body: undefined } as const;
  const claim = { ...claimOf({ leaf } as Fleeting, '', Buffer.alloc(0), envelope.signature), content };
  bundle.verificationMaterial.tlogEntries = [paperEntry(addPaperLog(1, root), bodies[kind](claim, leaf.toString()), time)];
}

/** Signed with a certificate that was good for one second, logged in that second by a log on paper, and stamped later. */
async function asFleeting(bundle: BundleJson, root: RootJson, { fleeting, world }: Tools, version: 1 | 2): Promise<void> {
  const { payload, payloadType, signatures } = envelopeIn(bundle);
  const bytes = Buffer.from(payload, 'base64');
  const signature = fleeting.sign(payloadType, bytes);
  only(signatures).sig = base64Of(signature);
  bundle.verificationMaterial.certificate = { rawBytes: base64Of(fleeting.leaf.raw) };
  const claim = claimOf(fleeting, payloadType, bytes, signature);
  const body = version === 1 ? bodies.dsse(claim, fleeting.leaf.toString()) : bodies.hashedRekord2(claim);
  bundle.verificationMaterial.tlogEntries = [paperEntry(addPaperLog(version, root), body, fleeting.at)];
  root.certificateAuthorities.push(authorityJson('https://fleeting.example', fleeting.caPem));
  restamp(bundle, await stampOf(there(world.sigstore.tsa).url, signature, true));
}
