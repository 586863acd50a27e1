import { stat } from 'node:fs/promises';
import { fetchJwtSvid } from '../spiffe.ts';
import type { TokenProvider, TokenSource } from './provider.ts';

/** A JWT-SVID of the SPIFFE agent on this node. */
export const spiffe: TokenProvider = {
  async lacks(source) {
    const address = addressIn(source);
    // An agent over TCP was asked for by name; only a socket can be looked for.
    if (address.startsWith('tcp:')) return undefined;
    return await stat(address.replace(/^unix:(\/\/)?/, '')).then(
      () => undefined,
      () => `no SPIFFE agent at "${address}"`,
    );
  },
  async fetch(source, ctx) {
    return await fetchJwtSvid({ address: addressIn(source), audience: source.audience }, ctx);
  },
};

function addressIn({ ambient }: TokenSource): string {
  return ambient.SPIFFE_ENDPOINT_SOCKET || '/tmp/spire-agent/public/api.sock';
}
