import { durationText, sizeText } from './quantity.ts';
import type { KeyName, Values } from './schema.ts';

/** What must hold between keys. `keys`: those it looks at, the one to blame first. `find` says what is wrong, and how to mend it. */
export interface Check {
  readonly keys: readonly [KeyName, ...KeyName[]];
  find(values: Values): { readonly reason: string; readonly fix: string } | undefined;
}

const isUsed = (values: Values, kind: 'taskrun' | 'pipelinerun' | 'oci') =>
  values[`artifacts.${kind}.signer`].length > 0 && values[`artifacts.${kind}.storage`].length > 0;

/** Names of signers that anything may be signed by. */
const signersIn = (values: Values): readonly string[] => [
  ...(['taskrun', 'pipelinerun', 'oci'] as const).flatMap((kind) => (isUsed(values, kind) ? values[`artifacts.${kind}.signer`] : [])),
  ...values['signers.rules'].flatMap(({ signers }) => signers),
];
const isLogUsed = (values: Values): boolean => values['transparency.enabled'] !== 'off';
const isKeyless = (values: Values): boolean =>
  signersIn(values).some((name) =>
    name === 'x509' ? values['signers.x509.fulcio.enabled'] : values['signers.named'].get(name)?.kind === 'fulcio',
  );

/** Options of registries that mean nothing for a folder. */
function onlyForRegistries(key: 'storage.oci.repository' | 'storage.oci.docker-config' | 'storage.oci.ca-file'): Check {
  return {
    keys: [key, 'storage.oci.directory'],
    find: (values) =>
      values[key] === '' || values['storage.oci.directory'] === ''
        ? undefined
        : { reason: 'it is about registries, and storage.oci.directory puts a folder in their place', fix: 'empty one of the two' },
  };
}

/** Conflicts between keys: refused when the configuration is read, not when the first run fails. */
export const conflicts: readonly Check[] = [
  onlyForRegistries('storage.oci.repository'),
  onlyForRegistries('storage.oci.docker-config'),
  onlyForRegistries('storage.oci.ca-file'),
  {
    keys: ['storage.oci.repository.insecure', 'storage.oci.ca-file'],
    find: (values) =>
      values['storage.oci.repository.insecure'] && values['storage.oci.ca-file'] !== ''
        ? { reason: 'it switches off the check that storage.oci.ca-file is for', fix: 'set it to "false", or empty storage.oci.ca-file' }
        : undefined,
  },
  {
    keys: ['signers.x509.directory', 'signers.x509.secret', 'signers.x509.fulcio.enabled'],
    find: (values) =>
      values['signers.x509.directory'] === '' &&
      values['signers.x509.secret'] === undefined &&
      !values['signers.x509.fulcio.enabled'] &&
      signersIn(values).includes('x509')
        ? { reason: 'the signer "x509" needs a folder with its key', fix: 'name the folder, or a Secret in signers.x509.secret' }
        : undefined,
  },
  ...(['artifacts.taskrun.signer', 'artifacts.pipelinerun.signer', 'artifacts.oci.signer', 'signers.rules'] as const).map((key): Check => ({
    keys: [key, 'signers.named', 'signers.kms.kmsref'],
    find(values) {
      const names = key === 'signers.rules' ? values[key].flatMap(({ signers }) => signers) : values[key];
      const unknown = names.find((name) => name !== 'x509' && name !== 'kms' && !values['signers.named'].has(name));
      if (unknown !== undefined) return { reason: `there is no signer "${unknown}"`, fix: 'name x509, kms, or one of signers.named' };
      return names.includes('kms') && values['signers.kms.kmsref'] === ''
        ? { reason: 'the signer "kms" needs a key', fix: 'name it in signers.kms.kmsref' }
        : undefined;
    },
  })),
  {
    keys: ['transparency.version', 'transparency.timestamp.url', 'transparency.enabled', 'transparency.signing-config'],
    find: (values) =>
      isLogUsed(values) &&
      values['transparency.version'] === '2' &&
      values['transparency.timestamp.url'].length === 0 &&
      values['transparency.signing-config'] === ''
        ? { reason: 'a Rekor 2 says nothing of the time, so a timestamp authority must', fix: 'name one in transparency.timestamp.url' }
        : undefined,
  },
  {
    keys: ['transparency.url', 'transparency.enabled', 'transparency.signing-config'],
    find: (values) =>
      isLogUsed(values) && values['transparency.url'] === '' && values['transparency.signing-config'] === ''
        ? { reason: 'there is no log to upload to', fix: 'give its URL, or set transparency.enabled to "false"' }
        : undefined,
  },
  {
    keys: ['trust.tuf-root', 'trust.root'],
    find: (values) =>
      values['trust.tuf-root'] !== '' && !/^https?:/.test(values['trust.root'])
        ? { reason: 'it is the first root of a TUF mirror, and trust.root names none', fix: 'give the URL of the mirror in trust.root' }
        : undefined,
  },
  {
    keys: ['trust.root', 'transparency.version', 'transparency.enabled'],
    find(values) {
      const isOurs = values['transparency.version'] === '2' && !/\.sigstore\.dev(:|\/|$)/.test(values['transparency.url']);
      return isLogUsed(values) && isOurs && values['trust.root'] === ''
        ? { reason: 'a Rekor 2 does not tell its key, so it must come from elsewhere', fix: 'name the trusted_root.json, or a TUF mirror' }
        : undefined;
    },
  },
  {
    keys: ['retry.max-delay', 'retry.budget'],
    find: (values) =>
      values['retry.max-delay'] > values['retry.budget']
        ? {
            reason: `it is longer than retry.budget (${durationText(values['retry.budget'])})`,
            fix: 'make it shorter, or the budget longer',
          }
        : undefined,
  },
  {
    keys: ['finalizer.hold', 'finalizer.enabled'],
    find: (values) =>
      values['finalizer.enabled'] && values['finalizer.hold'] === 0
        ? { reason: 'a finalizer that holds for no time holds nothing', fix: 'set finalizer.enabled to "false"' }
        : undefined,
  },
  {
    keys: ['limits.response-bytes', 'limits.payload-bytes', 'proof.read-back'],
    find(values) {
      // An envelope is the payload in base64, with its signature and braces around it.
      const needed = Math.ceil(values['limits.payload-bytes'] / 3) * 4 + 16_384;
      return values['proof.read-back'] && values['limits.response-bytes'] < needed
        ? {
            reason: `the largest payload (${sizeText(values['limits.payload-bytes'])}) could not be read back`,
            fix: `give at least ${needed} bytes`,
          }
        : undefined;
    },
  },
  {
    keys: ['journal.max-bytes', 'limits.payload-bytes'],
    find: (values) =>
      values['journal.max-bytes'] < 4 * values['limits.payload-bytes']
        ? {
            reason: `the journal could not keep one payload of ${sizeText(values['limits.payload-bytes'])} with its envelope`,
            fix: `give at least ${sizeText(4 * values['limits.payload-bytes'])}`,
          }
        : undefined,
  },
];

/** What works, but probably not as meant. */
export const doubts: readonly Check[] = [
  {
    keys: ['signers.x509.fulcio.enabled', 'transparency.enabled', 'transparency.timestamp.url'],
    find: (values) =>
      isKeyless(values) && !isLogUsed(values) && values['transparency.timestamp.url'].length === 0
        ? {
            reason: 'nobody can verify what a certificate of ten minutes signed when they are over, without a log or a timestamp',
            fix: 'set transparency.enabled to "true", or name an authority in transparency.timestamp.url',
          }
        : undefined,
  },
  {
    keys: ['artifacts.taskrun.storage', 'artifacts.pipelinerun.storage', 'artifacts.oci.storage'],
    find: (values) =>
      (['taskrun', 'pipelinerun', 'oci'] as const).some((kind) => isUsed(values, kind))
        ? undefined
        : { reason: 'no artifact has both a store and a signer, so nothing will be signed', fix: 'name a store' },
  },
  {
    keys: ['proof.read-back'],
    find: (values) =>
      values['proof.read-back']
        ? undefined
        : { reason: 'runs are marked signed without a look at what the stores really hold', fix: 'set it to "true"' },
  },
  {
    keys: ['artifacts.oci.recursive', 'storage.oci.directory', 'artifacts.oci.storage'],
    find(values) {
      if (!values['artifacts.oci.recursive']) return undefined;
      const fix = 'store in registries, or set it to "false"';
      if (values['storage.oci.directory'] !== '')
        return { reason: 'storage.oci.directory is a folder, which has no indexes to look into', fix };
      const kinds = ['taskrun', 'pipelinerun', 'oci'] as const;
      const isStored = kinds.some((kind) => isUsed(values, kind) && values[`artifacts.${kind}.storage`].includes('oci'));
      return isStored ? undefined : { reason: 'nothing goes to the store "oci", and no other takes what is about a child', fix };
    },
  },
];
