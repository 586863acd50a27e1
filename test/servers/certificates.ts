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
  const pair = filesOf(dir, name);
  await makeKey(pair.keyFile);
  const request = path.join(dir, `${name}.csr`);
  const extensions = path.join(dir, `${name}.ext`);
  await writeFile(
    extensions,
    'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n',
  );
  await output('openssl', ['req', '-new', '-key', pair.keyFile, '-out', request, '-subj', '/CN=localhost']);
  const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-set_serial', String(Date.now())];
  await output('openssl', ['x509', '-req', '-in', request, ...signer, '-days', '30', '-extfile', extensions, '-out', pair.certFile]);
  return pair;
}

function filesOf(dir: string, name: string): KeyPair {
  return { certFile: path.join(dir, `${name}.crt`), keyFile: path.join(dir, `${name}.key`) };
}

async function makeKey(file: string): Promise<void> {
  await output('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file]);
}
