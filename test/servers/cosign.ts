import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run, type CommandOptions, type Outcome } from './command.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

/** Additions to the judges' environment, and where they run. */
export type JudgeOptions = Pick<CommandOptions, 'cwd' | 'timeoutMs'> & { readonly env?: Readonly<Record<string, string>> };

/** Who must have signed: the subject alternative name of the certificate, and the issuer of the token behind it. */
export interface Signatory {
  readonly identity: string;
  readonly issuer: string;
}

/**
 * The stock cosign, 2 or 3, in an empty home. Any call to the outside meets a proxy that refuses, so a command that
 * succeeds is proven to need nothing but what it was given. `COSIGN_PASSWORD` is `pw`.
 */
export async function cosign(version: 2 | 3, args: readonly string[], options: JudgeOptions = {}): Promise<Outcome> {
  return await judge(await findTool(version === 2 ? 'cosign2' : 'cosign3'), args, {
    ...options,
    env: { COSIGN_PASSWORD: 'pw', ...options.env },
  });
}

/** As `cosign`, for any program that could reach outside. */
export async function judge(file: string, args: readonly string[], options: JudgeOptions): Promise<Outcome> {
  await using home = await scratch('home');
  // Port 1 (tcpmux) is closed everywhere; Go never uses a proxy for loopback.
  const closed = 'http://127.0.0.1:1';
  const env = { PATH: process.env['PATH'], HOME: home.dir, HTTPS_PROXY: closed, HTTP_PROXY: closed, ...options.env };
  return await run(file, args, { ...options, env });
}

/** Writes a trusted root without any authority, which is what makes cosign verify with a key offline, and gives its path. */
export async function emptyTrustedRoot(dir: string): Promise<string> {
  const file = path.join(dir, 'empty-trusted-root.json');
  await writeFile(file, '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}');
  return file;
}

/** What a verifier is given of a Sigstore instance. */
export interface Verification {
  readonly trustedRootFile: string;
  readonly rekor: { readonly version: 1 | 2 } | undefined;
  readonly tsa: unknown;
  readonly ctLog: unknown;
}

/** Flags of `verify` and `verify-attestation` for a signature by a key (a PEM file) or an identity, made through these services. */
export function verifyFlags(version: 2 | 3, sigstore: Verification, by: { readonly keyFile: string } | Signatory): readonly string[] {
  const { trustedRootFile, rekor, tsa, ctLog } = sigstore;
  const isKey = 'keyFile' in by;
  const who = isKey ? ['--key', by.keyFile] : ['--certificate-identity', by.identity, '--certificate-oidc-issuer', by.issuer];
  // cosign 3 takes a timestamp without being told, where there is an entry, too.
  const isStamped = tsa !== undefined && (rekor === undefined || (version === 2 && rekor.version === 2));
  return [
    ...who,
    '--trusted-root',
    trustedRootFile,
    ...(rekor === undefined ? ['--insecure-ignore-tlog'] : []),
    ...(isStamped ? ['--use-signed-timestamps'] : []),
    ...(!isKey && ctLog === undefined ? ['--insecure-ignore-sct'] : []),
  ];
}

/** Flags of cosign 3's `sign` and `attest` for all services of an instance, and of cosign 2's for those of a Rekor 1 one. */
export function signFlags(version: 2 | 3, sigstore: Verification & { readonly signingConfigFile: string }): readonly string[] {
  const services = ['-y', '--signing-config', sigstore.signingConfigFile, '--trusted-root', sigstore.trustedRootFile];
  return version === 3 ? services : [...services, '--new-bundle-format'];
}
