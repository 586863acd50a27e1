import { pino } from 'pino';
import { bundleOf, messageBundleOf } from '../../src/model/bundle.ts';
import { envelopeBytesOf, paeOf, payloadTypes } from '../../src/model/dsse.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import type { Evidence } from '../../src/model/evidence.ts';
import type { Context } from '../../src/observe/context.ts';
import { fulcio } from '../../src/sign/fulcio.ts';
import type { Signer, SignerMeans } from '../../src/sign/signer.ts';
import type { LogKind } from '../../src/tlog/log.ts';
import { logs } from '../../src/tlog/logs.ts';
import { openAuthority } from '../../src/tlog/timestamp.ts';
import type { TrustedRoot } from '../../src/trust/trusted-root.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

/** What is signed: a statement, in an envelope, or a file. */
export interface Content {
  readonly kind: 'dsse' | 'message';
  readonly bytes: Uint8Array;
  readonly payloadType?: string;
}

/** Where it is logged and stamped. */
export interface Services {
  readonly log: { readonly version: 1 | 2; readonly url: string } | undefined;
  readonly timestampUrls: readonly string[];
}

/** Signs with whatever signer, keyless or not. */
export async function envelopeOf(
  { kind, bytes, payloadType = payloadTypes.inToto }: Content,
  signer: Pick<Signer, 'sign'>,
): Promise<Envelope> {
  const signed = await signer.sign(kind === 'dsse' ? paeOf(payloadType, bytes) : bytes, ctx);
  const { signature } = signed;
  return {
    kind: kind === 'dsse' ? 'dsse' : 'raw',
    payloadType,
    payload: bytes,
    body: kind === 'dsse' ? envelopeBytesOf({ payloadType, payload: bytes, signatures: [{ keyid: '', signature }] }) : signature,
    ...signed,
    filing: { run: { kind: 'TaskRun', namespace: 'ci', name: 'build', uid: 'u' }, shortKey: 'x', predicateType: undefined, images: [] },
  };
}

export async function evidenceOf(envelope: Envelope, { log, timestampUrls }: Services, trust: TrustedRoot): Promise<Evidence> {
  const timestamps = await Promise.all(
    timestampUrls.map(async (url) => {
      await using authority = await openAuthority({ url }, trust, ctx);
      return { authority: url, over: 'signature', response: await authority.stamp(envelope.signature, ctx) } as const;
    }),
  );
  if (log === undefined) return { entries: [], timestamps };
  const row: LogKind = logs[`rekor-v${log.version}`];
  await using open = await row.open(row.options.parse({ url: log.url }), trust, ctx);
  return { entries: [await open.append(envelope, ctx)], timestamps };
}

export function bundleTextOf(envelope: Envelope, evidence: Evidence): string {
  const logged = { ...envelope, evidence };
  return envelope.kind === 'dsse' ? bundleOf(logged) : messageBundleOf(logged);
}

/** A signer for whom the token speaks. */
export async function keyless(address: string, token: string, trust: TrustedRoot): Promise<Signer> {
  const options = fulcio.options.parse({ address, provider: 'envvar', ambient: { SIGSTORE_ID_TOKEN: token } });
  const means: SignerMeans = {
    trust: async () => await Promise.resolve(trust),
    secret: async () => await Promise.reject(new Error('no Secret is needed')),
  };
  return await fulcio.open(options, means, ctx);
}
