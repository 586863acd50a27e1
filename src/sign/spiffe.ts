import net from 'node:net';
import { TerminalError, TransientError } from '../errors.ts';
import { within, type Context } from '../observe/context.ts';
import { optionalPackage } from './optional-package.ts';

export interface SpiffeOptions {
  /** The agent's socket as SPIFFE writes it: `unix:///run/spire/agent.sock`, or `tcp://127.0.0.1:8081`; a plain absolute path will do. */
  readonly address: string;
  /** Who the token is for. */
  readonly audience: string;
}

/** An agent that has not answered by then will not: Tekton Chains waits for ever here. */
const deadlineMs = 10_000;

/**
 * A fresh JWT-SVID of the default identity of this workload, from the SPIFFE Workload API. Agents keep them and renew them in time, so
 * asking is cheap, and nothing is kept here. Throws `sign.spiffe-address` (terminal), `sign.spiffe-refused`, `sign.spiffe-unreachable` and
 * `sign.spiffe-protocol` (transient: identities are registered, and agents started, while we wait).
 */
export async function fetchJwtSvid(options: SpiffeOptions, ctx: Context): Promise<string> {
  const target = targetOf(options.address);
  return await within(deadlineMs, ctx, async (limited) => {
    const { Code, ConnectError, createClient } = await optionalPackage(
      '@connectrpc/connect',
      purpose,
      async () => await import('@connectrpc/connect'),
    );
    const { createGrpcTransport, Http2SessionManager } = await optionalPackage(
      '@connectrpc/connect-node',
      purpose,
      async () => await import('@connectrpc/connect-node'),
    );
    const { SpiffeWorkloadApi } = await import('./spiffe/workload.ts');
    // The authority is a formality of HTTP/2: the connection goes to the socket.
    const session = new Http2SessionManager('http://localhost', {}, { createConnection: () => net.connect(target) });
    const transport = createGrpcTransport({ baseUrl: 'http://localhost', sessionManager: session, readMaxBytes: maxAnswerBytes });
    try {
      const client = createClient(SpiffeWorkloadApi, transport);
      // Without this header an agent refuses: it keeps a browser or a fetch that was tricked from getting tokens (Workload API 3).
      const headers = { 'workload.spiffe.io': 'true' };
      const { svids } = await client.fetchJWTSVID({ audience: [options.audience] }, { headers, signal: limited.signal });
      return tokenOf(svids[0]?.svid, options);
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!(error instanceof ConnectError)) throw error;
      // What an agent says may quote what it was sent or holds: only its code is passed on.
      throw failure(Code[error.code], refusals.includes(error.code), options);
    } finally {
      session.abort();
    }
  });
}

const purpose = 'ask a SPIFFE agent';
/** A token has some 1 KB. */
const maxAnswerBytes = 1024 * 1024;
/** gRPC's InvalidArgument, PermissionDenied and Unauthenticated: the agent is there, and knows no identity of ours. */
const refusals: readonly number[] = [3, 7, 16];

/** What `net.connect` wants. Throws `sign.spiffe-address`. */
function targetOf(address: string): net.NetConnectOpts {
  if (address.startsWith('/')) return { path: address };
  if (URL.canParse(address)) {
    const { protocol, hostname, port, pathname, username, search } = new URL(address);
    const isPlain = username === '' && search === '';
    if (protocol === 'unix:' && hostname === '' && pathname.startsWith('/') && isPlain) return { path: decodeURIComponent(pathname) };
    // go-spiffe demands an IP address here, too: a name could lead anywhere.
    if (protocol === 'tcp:' && net.isIP(hostname) !== 0 && port !== '' && isPlain) return { host: hostname, port: Number(port) };
  }
  throw new TerminalError('sign.spiffe-address', `Cannot ask the SPIFFE agent: "${address}" is no address of a Workload API`, {
    fix: 'give it as unix:///run/spire/agent.sock or tcp://127.0.0.1:8081',
  });
}

function tokenOf(svid: string | undefined, options: SpiffeOptions): string {
  if (svid !== undefined && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(svid)) return svid;
  const what = svid === undefined ? 'no token' : 'something that is no JWT';
  throw new TransientError('sign.spiffe-protocol', `Cannot use the answer of the SPIFFE agent at "${options.address}": it holds ${what}`, {
    dependency: dependencyOf(options),
    fix: 'check that a Workload API listens there',
  });
}

function failure(code: string | undefined, isRefused: boolean, options: SpiffeOptions): TransientError {
  const what = `Cannot get a token for "${options.audience}" from the SPIFFE agent at "${options.address}": ${code ?? 'unknown'}`;
  const dependency = dependencyOf(options);
  if (isRefused) {
    return new TransientError('sign.spiffe-refused', what, { dependency, fix: 'register this workload with the SPIRE server' });
  }
  return new TransientError('sign.spiffe-unreachable', what, {
    dependency,
    fix: 'check that the agent runs, and that its socket is mounted and may be used by this process',
  });
}

function dependencyOf({ address }: SpiffeOptions): string {
  return `spiffe:${address}`;
}
