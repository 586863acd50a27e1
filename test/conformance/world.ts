import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { Envelope } from '../../src/model/envelope.ts';
import { noEvidence, type Evidence } from '../../src/model/evidence.ts';
import type { Signer } from '../../src/sign/signer.ts';
import { parseTrustedRoot, type TrustedRoot } from '../../src/trust/trusted-root.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { scratch } from '../servers/scratch.ts';
import { startSigstore, type Sigstore } from '../servers/sigstore.ts';
import { startTimestampAuthority, type TimestampAuthority } from '../servers/timestamp-authority.ts';
import { trustedRootOf } from '../servers/trusted-root.ts';
import { bundleTextOf, envelopeOf, evidenceOf, keyless, type Content } from './sign.ts';

/** What a case begins with. */
export interface Recipe {
  readonly content: Content['kind'];
  readonly by: 'key' | 'identity';
  readonly log: 'none' | 1 | 2;
  readonly stamped: boolean;
  /** Default: the file, or the statement about it. */
  readonly bytes?: Uint8Array;
}

/** A bundle as it was made, and what it was made of. */
export interface Specimen {
  readonly text: string;
  readonly envelope: Envelope;
  readonly evidence: Evidence;
}

/** Real servers, two signers, and what everybody is given. */
export interface World extends AsyncDisposable {
  readonly sigstore: Sigstore;
  readonly rekor2: Rekor2;
  /** In no trusted root. */
  readonly stranger: TimestampAuthority;
  readonly dir: string;
  readonly rootJson: string;
  readonly root: TrustedRoot;
  readonly key: { readonly pem: string; readonly privateKey: KeyObject };
  readonly identity: { readonly san: string; readonly issuer: string };
  make(recipe: Recipe): Promise<Specimen>;
}

/** The file that everything is about, and the statement that says so. */
export const artifact = Buffer.from('the file of all cases\n');
const predicateType = 'https://slsa.dev/provenance/v1';

export function statementOf(sha256: string, change: object = {}): Uint8Array {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'a.txt', digest: { sha256 } }],
    predicateType,
    predicate: {},
  };
  return Buffer.from(JSON.stringify({ ...statement, ...change }));
}

export async function startWorld(sha256: string): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('conformance'));
  const sigstore = stack.use(await startSigstore({ rekor: 'v1', fulcio: true, ct: true, tsa: true }));
  const rekor2 = stack.use(await startRekor2());
  const stranger = stack.use(await startTimestampAuthority());
  const rootJson = trustedRootOf({ ...sigstore.material, logs: [...(sigstore.material.logs ?? []), rekor2] });
  const root = parseTrustedRoot(Buffer.from(rootJson), 'the test');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const keyed: Pick<Signer, 'sign'> = {
    sign: async (bytes) =>
      await Promise.resolve({ signature: sign('sha256', bytes, privateKey), publicKey: pem, certificate: '', chain: '' }),
  };
  const { issuer, fulcio, tsa, rekor } = sigstore;
  if (issuer === undefined || fulcio === undefined || tsa === undefined || rekor === undefined) throw new Error('Want all servers');
  const certified = stack.use(await keyless(fulcio.url, issuer.token(), root));
  const life = stack.move();
  return {
    sigstore,
    rekor2,
    stranger,
    dir,
    rootJson,
    root,
    key: { pem, privateKey },
    identity: { san: 'https://kubernetes.io/namespaces/default/serviceaccounts/default', issuer: issuer.url },
    async make({ content, by, log, stamped, bytes }) {
      const payload = bytes ?? (content === 'dsse' ? statementOf(sha256) : artifact);
      const envelope = await envelopeOf({ kind: content, bytes: payload }, by === 'key' ? keyed : certified);
      const logs = { 1: { version: 1, url: rekor.url }, 2: { version: 2, url: rekor2.url }, none: undefined } as const;
      const evidence =
        log === 'none' && !stamped
          ? noEvidence
          : await evidenceOf(envelope, { log: logs[log], timestampUrls: stamped ? [tsa.url] : [] }, root);
      return { text: bundleTextOf(envelope, evidence), envelope, evidence };
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}
