import { TerminalError } from '../errors.ts';
import { goText } from '../model/json-text.ts';
import type { Format } from './format.ts';

/**
 * What `cosign sign` signs of an image since version 3: a statement without content about its digest (sigstore-wire 3.5). It says the same as
 * `simplesigning`, for readers of Sigstore bundles, so it is made beside or instead of that by `storage.oci.layout`, never by its name.
 */
export const imageStatement: Format = {
  names: ['cosign/sign/v1'],
  artifacts: ['oci'],
  isDerived: true,
  signing: 'dsse',
  payload({ image }) {
    if (image === undefined) throw new TerminalError('format.no-image', 'Cannot write a cosign/sign/v1 statement: the work has no image');
    const subject = { digest: { sha256: image.digest } };
    const predicateType = 'https://sigstore.dev/cosign/sign/v1';
    const statement = { _type: 'https://in-toto.io/Statement/v1', subject: [subject], predicateType, predicate: {} };
    return {
      payloadType: 'application/vnd.in-toto+json',
      predicateType,
      bytes: Buffer.from(goText(statement), 'utf8'),
      subjects: [{ name: '', ...subject }],
      images: [image],
      dropped: [],
    };
  },
};
