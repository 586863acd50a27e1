import { TerminalError } from '../errors.ts';
import { parseKeyRing, type RingKey } from '../model/key-ring.ts';
import { readCertificates, type Certificates } from './certificates.ts';
import { keyFormOf, readCosignKey, readPlainKey, type KeyForm, type KeyText, type SigningKey } from './key-file.ts';
import type { KeyParts, Part, PartName } from './key-place.ts';

/** Everything that a signer with a key at hand works with. */
export interface KeyMaterial {
  /** The name under which the key was found. */
  readonly name: PartName;
  readonly form: KeyForm;
  readonly key: SigningKey;
  readonly certificates: Certificates | undefined;
  /** Keys that signed before this one, and this one if it is in the ring. */
  readonly ring: readonly RingKey[];
}

/** One way in which a key may lie there. `form` is what its name promises; undefined when any will do. */
interface Layout {
  readonly key: PartName;
  readonly form: KeyForm | undefined;
  readonly password: PartName | undefined;
  readonly certificates: readonly PartName[];
  /** The certificate must be there. */
  readonly isCertified?: boolean;
}

const besides = ['cert.pem', 'chain.pem'] as const;
/**
 * In the order of Tekton Chains (chains-controller 3.1), then the Secrets of type `kubernetes.io/tls`, whose `tls.crt` has the intermediates,
 * too. The first one that is there counts, and is never passed over for being bad.
 */
const layouts: readonly Layout[] = [
  { key: 'x509.pem', form: 'plain', password: undefined, certificates: besides },
  { key: 'cosign.key', form: 'cosign', password: 'cosign.password', certificates: besides },
  { key: 'tls.key', form: 'plain', password: undefined, certificates: ['tls.crt'], isCertified: true },
  { key: 'key', form: undefined, password: 'password', certificates: besides },
];

/**
 * The key of a place, opened, its certificates checked; undefined when there is no key. Throws `sign.key-unreadable`, `sign.key-format`,
 * `sign.key-type`, `sign.password`, `key.ring`, and what `readCertificates` throws, none with a piece of a key or password.
 */
export async function materialOf(parts: KeyParts, now: number): Promise<KeyMaterial | undefined> {
  for (const layout of layouts) {
    const file = parts.part(layout.key);
    if (file === undefined) continue;
    const password = layout.password && parts.part(layout.password);
    const { form, key } = await openKey(file, layout.form, password);
    const ring = parts.part('keys.json');
    return {
      name: layout.key,
      form,
      key,
      certificates: certificatesOf(layout, file, parts, key, now),
      ring: ring === undefined ? [] : parseKeyRing(ring.bytes, ring.file),
    };
  }
  return undefined;
}

function certificatesOf(layout: Layout, file: Part, parts: KeyParts, key: SigningKey, now: number): Certificates | undefined {
  const [first, ...more] = layout.certificates.map((name) => parts.part(name));
  if (first !== undefined) return readCertificates([first, ...more.filter((part) => part !== undefined)], key.publicKey, now);
  const [chain] = more;
  if (chain === undefined && layout.isCertified !== true) return undefined;
  throw new TerminalError('sign.no-certificate', `Cannot use "${chain?.file ?? file.file}": the certificate of the key is not beside it`, {
    fix: `put it into ${layout.certificates[0] ?? 'cert.pem'} there`,
  });
}

interface OpenKey {
  readonly form: KeyForm;
  readonly key: SigningKey;
}

async function openKey({ file, bytes }: Part, want: KeyForm | undefined, password: Part | undefined): Promise<OpenKey> {
  const text: KeyText = { file, text: bytes.toString('latin1') };
  const form = keyFormOf(text);
  if (want !== undefined && form !== want) throw misnamed(file, form);
  if (form === 'plain') return { form, key: readPlainKey(text) };
  if (password === undefined) {
    throw new TerminalError('sign.password', `Cannot decrypt "${file}": there is no password for it`, {
      fix: 'put the password into cosign.password beside it (an empty file for an empty password)',
    });
  }
  return { form, key: await readCosignKey(text, password.bytes) };
}

function misnamed(file: string, form: KeyForm): TerminalError {
  const [is, fix] =
    form === 'cosign'
      ? ['an encrypted cosign key', 'name it cosign.key and put its password into cosign.password']
      : ['an unencrypted key', `name it x509.pem, or encrypt it with "cosign import-key-pair --key ${file}"`];
  return new TerminalError('sign.key-format', `Cannot use "${file}": its PEM block holds ${is}, which this name does not promise`, { fix });
}
