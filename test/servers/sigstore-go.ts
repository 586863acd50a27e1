import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { judge, type Signatory } from './cosign.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

export interface BundleCase {
  /** JSON text of the bundle. */
  readonly bundle: string;
  /** PEM of a public key, or an identity. */
  readonly by: string | Signatory;
  /** JSON text. */
  readonly trustedRoot: string;
  /** `sha256:` and 64 hex digits, or the bytes themselves. For a statement it must be one of its subjects. */
  readonly artifact: string | Uint8Array;
}

export interface Judgement {
  readonly ok: boolean;
  readonly stderr: string;
}

/**
 * sigstore-go's client for sigstore-conformance, in an empty home and without a way out. It always wants one time (a Rekor 1 promise
 * or a timestamp), a log entry when the trusted root has logs, and a promise of a certificate log when an identity signed.
 */
export async function verifyBundle({ bundle, by, trustedRoot, artifact }: BundleCase): Promise<Judgement> {
  await using work = await scratch('sigstore-go');
  const write = writerTo(work.dir);
  const who =
    typeof by === 'string'
      ? ['--key', await write('key.pub', by)]
      : ['--certificate-identity', by.identity, '--certificate-oidc-issuer', by.issuer];
  const root = ['--trusted-root', await write('trusted-root.json', trustedRoot)];
  const what = typeof artifact === 'string' ? artifact : await write('artifact', artifact);
  const args = ['verify-bundle', '--bundle', await write('bundle.json', bundle), ...who, ...root, what];
  const { code, stderr } = await judge(await findTool('sigstore-go'), args, { cwd: work.dir });
  return { ok: code === 0, stderr };
}

export interface SigningCase {
  readonly identityToken: string;
  /** JSON texts. */
  readonly signingConfig: string;
  readonly trustedRoot: string;
  readonly artifact: Uint8Array;
}

/** Signs with the same client, by identity; gives the JSON text of the bundle. */
export async function signBundle({ identityToken, signingConfig, trustedRoot, artifact }: SigningCase): Promise<string> {
  await using work = await scratch('sigstore-go');
  const write = writerTo(work.dir);
  const bundle = path.join(work.dir, 'bundle.json');
  const services = ['--signing-config', await write('config.json', signingConfig), '--trusted-root', await write('root.json', trustedRoot)];
  const file = await write('artifact', artifact);
  const args = ['sign-bundle', '--identity-token', identityToken, '--bundle', bundle, ...services, file];
  const { code, stderr } = await judge(await findTool('sigstore-go'), args, { cwd: work.dir });
  if (code !== 0) throw new Error(`Cannot sign with sigstore-go: exit ${code}: ${stderr.trim()}`);
  return await readFile(bundle, 'utf8');
}

function writerTo(dir: string): (name: string, content: string | Uint8Array) => Promise<string> {
  return async (name, content) => {
    const file = path.join(dir, name);
    await writeFile(file, content);
    return file;
  };
}
