import { TerminalError } from '../errors.ts';
import { goText } from '../model/json-text.ts';
import type { Format } from './format.ts';

/** What `cosign sign` signs of an image: its name and digest (chains-provenance 10.2). Signed as it is, without an envelope. */
export const simplesigning: Format = {
  names: ['simplesigning'],
  artifacts: ['oci'],
  signing: 'raw',
  payload({ image }) {
    if (image === undefined) throw new TerminalError('format.no-image', 'Cannot write a simplesigning payload: the work has no image');
    const digest = `sha256:${image.digest}`;
    const payload = {
      critical: {
        identity: { 'docker-reference': image.repository },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    };
    return {
      payloadType: 'application/vnd.dev.cosign.simplesigning.v1+json',
      predicateType: undefined,
      bytes: Buffer.from(goText(payload), 'utf8'),
      subjects: [{ name: image.repository, digest: { sha256: image.digest } }],
      images: [image],
      dropped: [],
    };
  },
};
