import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { TransientError } from '../../errors.ts';
import type { TokenProvider } from './provider.ts';
import { maxTokenBytes } from './token.ts';

/** Where the shipped Deployment mounts its ServiceAccount token (chains-controller 3.3). */
export const defaultTokenFile = '/var/run/sigstore/cosign/oidc-token';

/** A projected token. The kubelet renews it, so it is read each time. */
export const file: TokenProvider = {
  async lacks({ tokenFile = defaultTokenFile }) {
    return await stat(tokenFile).then(
      () => undefined,
      () => `no file "${tokenFile}"`,
    );
  },
  async fetch({ tokenFile = defaultTokenFile }) {
    try {
      // A pipe that nobody writes to would hold the thread that opens it for ever.
      await using handle = await open(tokenFile, constants.O_RDONLY | constants.O_NONBLOCK);
      const buffer = Buffer.alloc(maxTokenBytes + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      // Longer than any token: whoever parses it says so.
      return buffer.toString('utf8', 0, bytesRead);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      throw new TransientError('sign.token-file', `Cannot read the identity token file "${tokenFile}": ${code}`, {
        cause: error,
        fix: 'mount a projected ServiceAccount token there that the user of this process may read',
      });
    }
  },
};
