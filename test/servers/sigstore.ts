import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startCtLog, type CtLog } from './ct-log.ts';
import { startFulcio, type Fulcio } from './fulcio.ts';
import { startOidcIssuer, type OidcIssuer } from './oidc-issuer.ts';
import { startRekor1, type Rekor1 } from './rekor1.ts';
import { startRekor2, type Rekor2, type Rekor2Options } from './rekor2.ts';
import { scratch } from './scratch.ts';
import { startTimestampAuthority, type TimestampAuthority } from './timestamp-authority.ts';
import { signingConfigOf, trustedRootOf, type TrustMaterial } from './trusted-root.ts';

export interface SigstoreOptions {
  readonly rekor: 'none' | 'v1' | 'v2';
  /** A CA, and an issuer whose tokens it takes. */
  readonly fulcio?: boolean;
  /** Whether the CA asks a certificate log; nothing without `fulcio`. */
  readonly ct?: boolean;
  readonly tsa?: boolean;
  readonly rekor2?: Rekor2Options;
}

/** A Sigstore instance of its own, and what its users are given. */
export interface Sigstore extends AsyncDisposable {
  readonly rekor: Rekor1 | Rekor2 | undefined;
  readonly fulcio: Fulcio | undefined;
  readonly issuer: OidcIssuer | undefined;
  readonly ctLog: CtLog | undefined;
  readonly tsa: TimestampAuthority | undefined;
  /** What `trustedRootJson` was made of, for one with more or less in it (`trustedRootOf`). */
  readonly material: TrustMaterial;
  readonly trustedRootJson: string;
  readonly trustedRootFile: string;
  readonly signingConfigJson: string;
  readonly signingConfigFile: string;
}

export async function startSigstore(options: SigstoreOptions): Promise<Sigstore> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('sigstore'));
  const rekor = stack.use(await startRekor(options));
  const tsa = options.tsa === true ? stack.use(await startTimestampAuthority()) : undefined;
  const issuer = options.fulcio === true ? stack.use(await startOidcIssuer()) : undefined;
  const ctLog = issuer && options.ct === true ? stack.use(await startCtLog()) : undefined;
  const fulcio = issuer && stack.use(await startFulcio({ issuer, ...(ctLog && { ctLog }) }));
  const material: TrustMaterial = {
    logs: rekor ? [rekor] : [],
    ctLogs: ctLog ? [ctLog] : [],
    certificateAuthorities: fulcio ? [fulcio] : [],
    timestampAuthorities: tsa ? [tsa] : [],
  };
  const trustedRootJson = trustedRootOf(material);
  const signingConfigJson = signingConfigOf({
    ...(rekor && { rekor }),
    ...(fulcio && { fulcioUrl: fulcio.url }),
    ...(issuer && { oidcUrl: issuer.url }),
    ...(tsa && { timestampUrls: [tsa.url] }),
  });
  const trustedRootFile = path.join(dir, 'trusted-root.json');
  const signingConfigFile = path.join(dir, 'signing-config.json');
  await writeFile(trustedRootFile, trustedRootJson);
  await writeFile(signingConfigFile, signingConfigJson);
  const life = stack.move();
  return {
    rekor,
    fulcio,
    issuer,
    ctLog,
    tsa,
    material,
    trustedRootJson,
    trustedRootFile,
    signingConfigJson,
    signingConfigFile,
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

async function startRekor({ rekor, rekor2 }: SigstoreOptions): Promise<Rekor1 | Rekor2 | undefined> {
  if (rekor === 'none') return undefined;
  return rekor === 'v1' ? await startRekor1() : await startRekor2(rekor2);
}
