import { once } from 'node:events';
import { createServer } from 'node:http2';
import path from 'node:path';
import { promisify } from 'node:util';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { SpiffeWorkloadApi } from '../../src/sign/spiffe/workload.ts';
import { scratch } from './scratch.ts';

export interface SpiffeAgent extends AsyncDisposable {
  /** `unix:///…/agent.sock` */
  readonly address: string;
  /** The audiences of each call so far. */
  readonly asked: readonly (readonly string[])[];
}

export interface SpiffeAgentOptions {
  /** Makes the token; undefined for a workload that is not registered. */
  readonly tokenFor: (audience: readonly string[]) => string | undefined | Promise<string | undefined>;
  readonly spiffeId?: string;
}

/**
 * A SPIFFE Workload API over a Unix socket, as an agent has it (SPIFFE Workload API 3 and 6): gRPC, the security header is demanded,
 * a caller without identity gets PermissionDenied. It issues what `tokenFor` makes; only JWT-SVIDs.
 */
export async function startSpiffeAgent(options: SpiffeAgentOptions): Promise<SpiffeAgent> {
  const folder = await scratch('spiffe');
  const socket = path.join(folder.dir, 'agent.sock');
  const asked: (readonly string[])[] = [];
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(SpiffeWorkloadApi, {
          async fetchJWTSVID({ audience }, { requestHeader }) {
            if (requestHeader.get('workload.spiffe.io') !== 'true') {
              throw new ConnectError('security header missing from request', Code.InvalidArgument);
            }
            if (audience.length === 0) throw new ConnectError('audience must be specified', Code.InvalidArgument);
            asked.push(audience);
            const svid = await options.tokenFor(audience);
            if (svid === undefined) throw new ConnectError('no identity issued', Code.PermissionDenied);
            return { svids: [{ spiffeId: options.spiffeId ?? 'spiffe://example.test/controller', svid, hint: '' }] };
          },
        }),
    }),
  );
  server.listen(socket);
  await once(server, 'listening');
  return {
    address: `unix://${socket}`,
    asked,
    async [Symbol.asyncDispose]() {
      await promisify(server.close.bind(server))();
      await folder[Symbol.asyncDispose]();
    },
  };
}
