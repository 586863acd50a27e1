import type { Key } from '../key.ts';
import { httpUrls, plainUrl, oneOf, path, rate, text } from '../values.ts';

export type TransparencyMode = 'off' | 'on' | 'manual';

export const transparencyKeys = {
  'transparency.enabled': {
    type: {
      allowed: 'true, manual, or false',
      parse(given) {
        if (given === 'true') return { kind: 'value', value: 'on' };
        if (given === 'manual') return { kind: 'value', value: 'manual' };
        const off = { kind: 'value', value: 'off' } as const;
        return given === 'false' || given === '' ? off : { ...off, warning: 'only "true" and "manual" switch it on, so it is off' };
      },
    },
    default: 'false',
    doc: 'Put what is signed into a transparency log; "manual": only for runs, or runs of PipelineRuns, that have the annotation chains.tekton.dev/transparency-upload: "true". Every other text is off',
    from: 'Chains',
    status: 'used',
  } satisfies Key<TransparencyMode>,
  'transparency.url': {
    type: plainUrl,
    default: 'https://rekor.sigstore.dev',
    doc: 'URL of the transparency log; not read when transparency.signing-config names one',
    from: 'Chains',
    status: 'used',
    secret: 'url',
  },
  'transparency.version': {
    type: oneOf<'auto' | '1' | '2'>({ now: ['auto', '1', '2'] }),
    default: 'auto',
    doc: 'Generation of the log (Rekor); "auto": what transparency.signing-config says, without one 1, as Tekton Chains has it',
    from: 'Chainsmith',
    status: 'used',
  },
  'transparency.signing-config': {
    type: path,
    default: '',
    doc: 'File with a signing configuration (signing_config.v0.2.json): it names the log and the timestamp authorities that are in use now',
    from: 'Chainsmith',
    status: 'used',
  },
  'transparency.read-url': {
    type: plainUrl,
    default: '',
    doc: 'URL where the tiles of a Rekor 2 are read, where that is not transparency.url',
    from: 'Chainsmith',
    status: 'used',
    secret: 'url',
  },
  'transparency.rate': {
    type: rate,
    default: '',
    doc: 'Uploads a second at most, whoever asks; empty: 5 for a log of sigstore.dev, otherwise as many as it takes',
    from: 'Chainsmith',
    status: 'used',
  },
  'transparency.ca-file': {
    type: path,
    default: '',
    doc: 'PEM file with certificate authorities to trust for the log, timestamp authorities and Fulcio, beside the well-known ones',
    from: 'Chainsmith',
    status: 'used',
  },
  'transparency.timestamp.url': {
    type: httpUrls,
    default: '',
    doc: 'URLs of RFC 3161 timestamp authorities, commas between them: each stamps every signature. A Rekor 2 needs one, as it says nothing of the time',
    from: 'Chainsmith',
    status: 'used',
    secret: 'all',
  },
  'trust.root': {
    type: text,
    default: '',
    doc: 'Trusted root: a file (trusted_root.json), or the URL of a TUF mirror; empty: that of public Sigstore where its services are used, otherwise what the configured services say of themselves when first asked',
    from: 'Chainsmith',
    status: 'used',
    secret: 'url',
  },
  'trust.tuf-root': {
    type: path,
    default: '',
    doc: 'File with the initial root.json of the TUF mirror in trust.root',
    from: 'Chainsmith',
    status: 'used',
  },
  'trust.cache': {
    type: path,
    default: '',
    doc: 'Folder that keeps what a TUF mirror gave; empty: a folder "tuf" beside the journal',
    from: 'Chainsmith',
    status: 'used',
  },
} as const satisfies Record<string, Key>;
