import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeCa, makeCertificate } from './certificates.ts';
import { startServer, type RunningServer } from './process.ts';
import { scratch } from './scratch.ts';
import { findTool } from './tools.ts';

/** An RFC 3161 authority; several can run at once. */
export interface TimestampAuthority extends AsyncDisposable {
  /** Of requests: `http://127.0.0.1:PORT/api/v1/timestamp`. */
  readonly url: string;
  /** The authority's certificate, then its root. */
  readonly chainPem: string;
  readonly chainFile: string;
  readonly pid: () => number;
  /** Nobody answers at the url until `start`, which goes on with the same key and the same url. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly log: () => string;
}

export async function startTimestampAuthority(): Promise<TimestampAuthority> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('timestamps'));
  const root = await makeCa(dir, 'timestamp-root');
  const leaf = await makeCertificate(dir, {
    name: 'timestamp-authority',
    issuer: root,
    extensions: ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=critical,timeStamping', 'basicConstraints=critical,CA:FALSE'],
  });
  const chainPem = (await readFile(leaf.certFile, 'utf8')) + (await readFile(root.certFile, 'utf8'));
  const chainFile = path.join(dir, 'chain.pem');
  await writeFile(chainFile, chainPem);
  const launch = async (ports: number | readonly number[]): Promise<RunningServer> =>
    await startServer({
      name: 'timestamp-authority',
      file: await findTool('timestamp-authority'),
      ports,
      args: ([port]) => [
        '127.0.0.1',
        String(port),
        'timestamp-signer=file',
        `file-signer-key-path=${leaf.keyFile}`,
        `certificate-chain-path=${chainFile}`,
      ],
      readyUrl: ([port]) => `http://127.0.0.1:${port}/ping`,
      isReady: (status) => status === 200,
    });
  let server = await launch(1);
  stack.defer(async () => {
    await server[Symbol.asyncDispose]();
  });
  const { ports } = server;
  const life = stack.move();
  return {
    url: `http://127.0.0.1:${ports[0]}/api/v1/timestamp`,
    chainPem,
    chainFile,
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
