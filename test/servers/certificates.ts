import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { output } from './command.ts';

export interface KeyPair {
  /** PEM files: the certificate, and its PKCS#8 P-256 key without a passphrase. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** A self-signed P-256 CA, `<name>.crt` and `<name>.key` in `dir`, good for 30 days. */
export async function makeCa(dir: string, name: string): Promise<KeyPair> {
  const pair = filesOf(dir, name);
  await makeKey(pair.keyFile);
  const extensions = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature'];
  await output('openssl', [
    'req',
    '-x509',
    '-new',
    '-key',
    pair.keyFile,
    '-out',
    pair.certFile,
    '-days',
    '30',
    '-subj',
    `/CN=${name}`,
    ...extensions,
  ]);
  return pair;
}

/** A server certificate of the CA for loopback: `localhost`, 127.0.0.1 and ::1. */
export async function makeServerCertificate(dir: string, name: string, ca: KeyPair): Promise<KeyPair> {
  const extensions = [
    'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1',
    'extendedKeyUsage=serverAuth',
    'basicConstraints=critical,CA:FALSE',
  ];
  return await makeCertificate(dir, { name, issuer: ca, extensions });
}

/** What a CA certifies with `makeCertificate`: extensions as openssl.cnf has them. */
export interface CertificateSpec {
  readonly name: string;
  readonly issuer: KeyPair;
  readonly extensions: readonly string[];
}

/** A P-256 certificate of the CA, `<name>.crt` and `<name>.key` in `dir`, good for 29 days. */
export async function makeCertificate(dir: string, spec: CertificateSpec): Promise<KeyPair> {
  const pair = filesOf(dir, spec.name);
  await makeKey(pair.keyFile);
  const request = path.join(dir, `${spec.name}.csr`);
  const extensions = path.join(dir, `${spec.name}.ext`);
  await writeFile(extensions, spec.extensions.map((line) => `${line}\n`).join(''));
  await output('openssl', ['req', '-new', '-key', pair.keyFile, '-out', request, '-subj', `/O=chainsmith test/CN=${spec.name}`]);
  const signer = [
    '-CA',
    spec.issuer.certFile,
    '-CAkey',
    spec.issuer.keyFile,
    '-set_serial',
    String(BigInt(Date.now()) * 1000n + BigInt(randomInt(1000))),
  ];
  await output('openssl', ['x509', '-req', '-in', request, ...signer, '-days', '29', '-extfile', extensions, '-out', pair.certFile]);
  return pair;
}

function filesOf(dir: string, name: string): KeyPair {
  return { certFile: path.join(dir, `${name}.crt`), keyFile: path.join(dir, `${name}.key`) };
}

async function makeKey(file: string): Promise<void> {
  await output('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file]);
}
