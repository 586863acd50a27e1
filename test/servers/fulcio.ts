import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { makeCa, makeCertificate, type KeyPair } from './certificates.ts';
import { flags, startServer, type RunningServer } from './process.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

/** Whose tokens Fulcio takes. */
export interface FulcioIssuer {
  /** The `iss` of the tokens; Fulcio reads its discovery document when it starts. */
  readonly url: string;
  /** How the identity is read from a token; default `kubernetes`. */
  readonly type?: 'kubernetes' | 'email' | 'spiffe' | 'uri';
  /** Demanded `aud`; default `sigstore`. */
  readonly audience?: string;
  /** Of the issuer's certificate, for an https url. */
  readonly caPem?: string;
  /** With `spiffe`: the domain of the ids. */
  readonly trustDomain?: string;
  /** With `uri`: scheme and host that a `sub` must have. */
  readonly subjectDomain?: string;
}

export interface FulcioOptions {
  readonly issuer: FulcioIssuer | readonly FulcioIssuer[];
  /** Without one the certificates have no promise of a log. */
  readonly ctLog?: { readonly url: string; readonly publicKeyPem: string };
  /** Signs with a CA below the root, as the public instance does. */
  readonly intermediate?: boolean;
}

export interface Fulcio extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** The issuing CA first, the root last; one and the same without `intermediate`. */
  readonly chainPem: string;
  readonly pid: () => number;
  /** Nobody answers at the url until `start`, which goes on with the same CA and the same url. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly log: () => string;
}

export async function startFulcio(options: FulcioOptions): Promise<Fulcio> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('fulcio'));
  const ca = await makeAuthority(dir, options.intermediate === true);
  const ct = await ctFlags(dir, options.ctLog);
  // Not JSON: Fulcio would take it, but with other names.
  await writeFile(path.join(dir, 'config.yaml'), stringify({ 'oidc-issuers': issuersOf(options) }));
  const launch = async (ports: number | readonly number[]): Promise<RunningServer> => await startCa(dir, ca, ct, ports);
  let server = await launch(3);
  stack.defer(async () => {
    await server[Symbol.asyncDispose]();
  });
  const { ports } = server;
  const life = stack.move();
  return {
    url: `http://127.0.0.1:${ports[0]}`,
    chainPem: await readFile(ca.certFile, 'utf8'),
    pid: () => server.pid,
    log: () => server.log(),
    async stop() {
      await server[Symbol.asyncDispose]();
    },
    async start() {
      server = await launch(ports);
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

async function startCa(
  dir: string,
  ca: KeyPair,
  ct: Readonly<Record<string, string>>,
  ports: number | readonly number[],
): Promise<RunningServer> {
  return await startServer({
    name: 'fulcio',
    file: await findTool('fulcio'),
    ports,
    args: ([http, grpc, metrics]) => [
      'serve',
      ...flags({
        ca: 'fileca',
        'fileca-cert': ca.certFile,
        'fileca-key': ca.keyFile,
        'fileca-key-passwd': '',
        'fileca-watch': 'false',
        'config-path': path.join(dir, 'config.yaml'),
        host: '127.0.0.1',
        port: String(http),
        'grpc-host': '127.0.0.1',
        'grpc-port': String(grpc),
        'metrics-port': String(metrics),
        // An abstract socket: the file of a named one would stay, and be in the way of the next start.
        'legacy-unix-domain-socket': `@chainsmith-fulcio-${http}`,
        ...ct,
      }),
    ],
    readyUrl: ([http]) => `http://127.0.0.1:${http}/healthz`,
    isReady: (status) => status === 200,
    // An issuer that does not answer is waited for.
    readyWithinMs: 30_000,
  });
}

/** A CA as Fulcio wants it; with an intermediate, `certFile` has it and then the root, and `keyFile` is its key. */
async function makeAuthority(dir: string, hasIntermediate: boolean): Promise<KeyPair> {
  const root = await makeCa(dir, 'fulcio-root');
  if (!hasIntermediate) return root;
  const issuing = await makeCertificate(dir, {
    name: 'fulcio-intermediate',
    issuer: root,
    extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign', 'extendedKeyUsage=codeSigning'],
  });
  const certFile = path.join(dir, 'fulcio-chain.pem');
  await writeFile(certFile, (await readFile(issuing.certFile, 'utf8')) + (await readFile(root.certFile, 'utf8')));
  return { certFile, keyFile: issuing.keyFile };
}

async function ctFlags(dir: string, ctLog: FulcioOptions['ctLog']): Promise<Readonly<Record<string, string>>> {
  if (ctLog === undefined) return { 'ct-log-url': '' };
  const file = path.join(dir, 'ct.pub');
  await writeFile(file, ctLog.publicKeyPem);
  return { 'ct-log-url': ctLog.url, 'ct-log-public-key-path': file };
}

function issuersOf({ issuer }: FulcioOptions): Readonly<Record<string, unknown>> {
  const issuers = Array.isArray(issuer) ? (issuer as readonly FulcioIssuer[]) : [issuer as FulcioIssuer];
  return Object.fromEntries(
    issuers.map((one) => [
      one.url,
      {
        'issuer-url': one.url,
        'client-id': one.audience ?? 'sigstore',
        type: one.type ?? 'kubernetes',
        ...(one.caPem !== undefined && { 'ca-cert': one.caPem }),
        ...(one.trustDomain !== undefined && { 'spiffe-trust-domain': one.trustDomain }),
        ...(one.subjectDomain !== undefined && { 'subject-domain': one.subjectDomain }),
      },
    ]),
  );
}
