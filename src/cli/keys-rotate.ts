import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TerminalError } from '../errors.ts';
import { keyRingJsonOf, rotatedRing, type Rotation } from '../model/key-ring.ts';
import { publicKeyOf } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import { generateSigningKey, keyTypeOf, writeCosignKey, writePlainKey, type KeyType } from '../sign/key-file.ts';
import { materialOf, type KeyMaterial } from '../sign/key-material.ts';
import { filePlace, memberNames, type KeyParts, type PartName } from '../sign/key-place.ts';
import { lockFolder, replaceFile } from './keys-files.ts';
import { openKeySecret, replaceKeySecret, type SecretName } from './key-secret.ts';
import type { OpenKube } from './keys-world.ts';

/** What a rotation needs to know, wherever the key lies. */
export interface Change {
  /** undefined: as the old one. */
  readonly type: KeyType | undefined;
  /** How long signatures of the old key still count. */
  readonly overlapMs: number;
  /** The configured name of the signer. */
  readonly signer: string;
  /** Asked when there is no cosign.password. */
  readonly password: () => Promise<Buffer>;
}

/** What was done, for people. */
export interface Rotated {
  /** Fingerprints. */
  readonly from: string;
  readonly to: string;
  /** Until when signatures of the old key count. */
  readonly until: Date;
  /** Names of what was written. */
  readonly written: readonly string[];
}

/**
 * Puts a new key into a folder and the old one into its ring, `keys.json`. The key takes effect by one rename; before it the ring has both
 * keys, after it the end of the old one, so whoever reads at any moment, or after a crash, knows the key that he meets.
 */
export async function rotateFolder(folder: string, change: Change, ctx: Context): Promise<Rotated> {
  await demandPlain(folder);
  await using _lock = await lockFolder(folder);
  const files = new Map(memberNames.map((name) => [name, join(folder, name)] as const));
  const next = await nextOf(await filePlace(files).read(ctx), `"${folder}"`, change);
  const put = async (name: string, bytes: Uint8Array, mode: number): Promise<void> => {
    await replaceFile(join(folder, name), bytes, mode);
  };
  await put('keys.json', next.ringBefore, 0o644);
  await put(next.name, next.key, 0o600);
  if (next.name === 'cosign.key') await put('cosign.pub', next.publicKey, 0o644);
  await put('keys.json', next.ringAfter, 0o644);
  return rotatedOf(next);
}

/** The same in a Secret, by one write that is bound to what was read. Throws `cli.secret-immutable`, and what the client throws. */
export async function rotateSecret(
  secret: SecretName & { readonly isForced: boolean },
  change: Change,
  openKube: OpenKube,
  ctx: Context,
): Promise<Rotated> {
  await using kube = await openKube(ctx);
  const there = await openKeySecret(kube, secret, ctx);
  const next = await nextOf(there.parts, `the Secret "${secret.namespace}/${secret.name}"`, change);
  const data = { [next.name]: next.key, 'keys.json': next.ringAfter, ...(next.name === 'cosign.key' && { 'cosign.pub': next.publicKey }) };
  await replaceKeySecret(kube, { ...secret, there, data }, ctx);
  return rotatedOf(next);
}

interface Next {
  /** The name under which the old key lies, and the new one comes. */
  readonly name: PartName;
  readonly key: Buffer;
  readonly publicKey: Buffer;
  readonly ringBefore: Buffer;
  readonly ringAfter: Buffer;
  readonly from: string;
  readonly to: string;
  readonly until: Date;
}

async function nextOf(parts: KeyParts, where: string, change: Change): Promise<Next> {
  const password = await passwordIn(parts, change);
  const given = password && { file: 'password', bytes: password };
  const old = await materialOf({ ...parts, part: (name) => (name === 'cosign.password' ? given : parts.part(name)) }, Date.now());
  if (old === undefined) {
    throw new TerminalError('sign.no-key', `Cannot find a signing key in ${where}: looked for x509.pem and cosign.key`, {
      fix: 'make one with "chainsmith keys generate"',
    });
  }
  demandWithoutCertificate(old, where);
  const privateKey = await generateSigningKey(change.type ?? keyTypeOf(old.key));
  const publicKey = publicKeyOf(privateKey);
  const at = new Date();
  const rotation: Rotation = { from: old.key.publicKey.pem, to: publicKey.pem, signer: change.signer, at, overlapMs: change.overlapMs };
  return {
    name: old.name,
    key: Buffer.from(password === undefined ? writePlainKey(privateKey) : await writeCosignKey(privateKey, password)),
    publicKey: Buffer.from(publicKey.pem),
    ringBefore: Buffer.from(keyRingJsonOf(rotatedRing(old.ring, { ...rotation, overlapMs: undefined }))),
    ringAfter: Buffer.from(keyRingJsonOf(rotatedRing(old.ring, rotation))),
    from: old.key.publicKey.fingerprint,
    to: publicKey.fingerprint,
    until: new Date(at.getTime() + change.overlapMs),
  };
}

/** Of a cosign key: the new one is encrypted with the same, so that key and password never change apart. */
async function passwordIn(parts: KeyParts, change: Change): Promise<Buffer | undefined> {
  if (parts.part('x509.pem') !== undefined || parts.part('cosign.key') === undefined) return undefined;
  return parts.part('cosign.password')?.bytes ?? (await change.password());
}

function demandWithoutCertificate({ certificates, name }: KeyMaterial, where: string): void {
  if (certificates === undefined && name !== 'tls.key') return;
  throw new TerminalError(
    'cli.certificate',
    `Cannot rotate the key in ${where}: it has a certificate, and a new key needs one of its own`,
    {
      fix: 'have one issued for a new key, and put both there in one step: the signer takes them up by itself',
    },
  );
}

/** The kubelet would undo what is written into a volume of its own, if it could be written at all. */
async function demandPlain(folder: string): Promise<void> {
  const data = await readlink(join(folder, '..data')).catch(() => undefined);
  if (data === undefined) return;
  throw new TerminalError('cli.mounted', `Cannot rotate the key in "${folder}": it is a mounted Secret`, {
    fix: 'rotate the Secret itself with "chainsmith keys rotate --k8s namespace/secret"',
  });
}

function rotatedOf({ name, from, to, until }: Next): Rotated {
  return { from, to, until, written: name === 'cosign.key' ? [name, 'cosign.pub', 'keys.json'] : [name, 'keys.json'] };
}
