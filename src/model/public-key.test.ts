import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { TerminalError } from '../errors.ts';
import { pemOf } from './pem.ts';
import { isSignedBy, keyAlgorithms, keyIdOf, parsePublicKey, publicKeyOf } from './public-key.ts';

/** Keys made by `openssl genpkey`, and what `ssh-keygen -l` says of them. */
const known = [
  {
    algorithm: 'ecdsa-p256',
    fingerprint: 'SHA256:866nfqIhNdknZlqKquI1tQjL/rzoz5Fw3A6htdfq7Wk',
    spki: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjjdPTBDvpMiBwuOBr8kHh3wJaLvXl0Bcgx8AzryBn+OTb/U9Ow4Cycr8GaZxAq8ZCgBqexh9BK9WMXtfoWMlhQ==',
  },
  {
    algorithm: 'ecdsa-p384',
    fingerprint: 'SHA256:kisPjg1OB4N1IHlcq0/19cpYL6E/VdxcQp96dDFnJDY',
    spki: 'MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEUM2T1DtDcU+6lcDWtrwC97DoCBNk+yamtK4VDSFDcY4AI9oE6sNqeIWQWsOKBmpzzILtMCUJ6DmZkyaG6fgQfIMGL/9KBCx0JkK32Zx5jsRewfWJGC7aYWswMzBU/IqD',
  },
  {
    algorithm: 'ecdsa-p521',
    fingerprint: 'SHA256:0iiQIi+U3YYlJLrpK0vtxNjEpmt/gIxnZ8VTyI2dcxM',
    spki: 'MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAQgnmTdGr3x8djiVFsyf4bWEDw6w0O4zljzaH7oYi1h8Q8bKrt+R5N2ztBqXOc3v9+zS6kHvLastMKlA8p8E7adQAZBPRaAKSqpL/vO3dLDtHp+09pHeM9yABigtA/wmf7EADBE50tN/AGqiqiIRJWF6FN8zfqPV3axhmCXAw3daoRI4=',
  },
  {
    algorithm: 'rsa',
    fingerprint: 'SHA256:8LyU5gN945vUypBUT9k4ombgfa6eQwbSmEmSuHY7c4o',
    spki: 'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqWu0B8rYi7/B7KOwY8fsQTjrIR0hqLM++wGelCF6riihixqeQIt5EebjLq1Lm+1I1IykyupxNh1HPnqVTgDP3oTyIXKoXN1Xwm0WrCaBxS92cjJGK9oZZSfKdWn+XJbVDOuJPpNDFuMF4UKNJqtMhmulwKuwwodGuN+Hv2xnq1s/z9Rz2oq84EokePUIDt8IC4Aa/L7oqrAE1aFLoAfBTPDqDyIabHJdd0uQ+7W3OI7su/rK77YvlzGNcaYmT2KwPrXSiN0jO3RkV74zG4sAykJyvDc/rT0vvhxxGFwMhTwcfl+OZX6RfCzep0kWFL1bUXdoaPiNX/hvubfuxHIvXQIDAQAB',
  },
  {
    algorithm: 'ed25519',
    fingerprint: 'SHA256:qe8Z70RnF2CQlEUIIjh2cppXWqNe7CQxnKGcx4Q4gGo',
    spki: 'MCowBQYDK2VwAyEAwYM305Q87GhhZTZJKYpV8PX2Bd8RkgaByuWNILjRwCE=',
  },
];

describe('parsePublicKey', () => {
  for (const { algorithm, fingerprint, spki } of known) {
    it(`gives the fingerprint that ssh-keygen gives for ${algorithm}`, () => {
      const pem = pemOf('PUBLIC KEY', Buffer.from(spki, 'base64'));

      const key = parsePublicKey(pem);

      assert.deepEqual([key.algorithm, key.fingerprint, key.pem, keyIdOf(pem)], [algorithm, fingerprint, pem, fingerprint]);
    });
  }

  it('knows a key for each row of the table', () => {
    assert.deepEqual(
      known.map(({ algorithm }) => algorithm),
      Object.keys(keyAlgorithms),
    );
  });

  it('puts a PEM without line ends of its own into canonical form', () => {
    const pem = pemOf('PUBLIC KEY', Buffer.from(known[0]?.spki ?? '', 'base64'));

    assert.equal(parsePublicKey(`a note\r\n${pem.replaceAll('\n', '\r\n')}\r\n`).pem, pem);
  });

  const p224 = generateKeyPairSync('ec', {
    namedCurve: 'P-224',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const refused = [
    { name: 'the empty text', pem: '', code: 'key.format', fix: /BEGIN PUBLIC KEY/ },
    { name: 'a private key', pem: p224.privateKey, code: 'key.format', fix: /openssl pkey -pubout/ },
    { name: 'a certificate', pem: pemOf('CERTIFICATE', Buffer.from([48, 0])), code: 'key.format', fix: /openssl x509 -pubkey/ },
    {
      name: 'an encrypted cosign key',
      pem: pemOf('ENCRYPTED SIGSTORE PRIVATE KEY', Buffer.from('{}')),
      code: 'key.format',
      fix: /cosign public-key/,
    },
    { name: 'a damaged key', pem: pemOf('PUBLIC KEY', Buffer.from([48, 1, 2])), code: 'key.format', fix: undefined },
    { name: 'P-224', pem: p224.publicKey, code: 'key.type', fix: /P-256/ },
    { name: 'a short RSA key', pem: shortRsa(), code: 'key.type', fix: /P-256/ },
  ];
  for (const { name, pem, code, fix } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parsePublicKey(pem),
        (error) => error instanceof TerminalError && error.code === code && (fix === undefined || fix.test(error.fix ?? '')),
      );
    });
  }
});

describe('isSignedBy', () => {
  const bytes = Buffer.from('what is signed');
  const pairs = [
    { name: 'P-256 with SHA-256', pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }), digest: 'sha256', holds: true },
    { name: 'P-256 with SHA-384', pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }), digest: 'sha384', holds: false },
    { name: 'P-384 with SHA-384', pair: generateKeyPairSync('ec', { namedCurve: 'P-384' }), digest: 'sha384', holds: true },
    { name: 'P-384 with SHA-256', pair: generateKeyPairSync('ec', { namedCurve: 'P-384' }), digest: 'sha256', holds: true },
    { name: 'P-521 with SHA-512', pair: generateKeyPairSync('ec', { namedCurve: 'P-521' }), digest: 'sha512', holds: true },
    { name: 'P-521 with SHA-1', pair: generateKeyPairSync('ec', { namedCurve: 'P-521' }), digest: 'sha1', holds: false },
    { name: 'RSA with SHA-256', pair: generateKeyPairSync('rsa', { modulusLength: 2048 }), digest: 'sha256', holds: true },
    { name: 'Ed25519', pair: generateKeyPairSync('ed25519'), digest: undefined, holds: true },
  ];
  for (const { name, pair, digest, holds } of pairs) {
    it(`${holds ? 'takes' : 'refuses'} ${name}`, () => {
      const key = publicKeyOf(pair.publicKey);

      const signature = sign(digest, bytes, pair.privateKey);

      assert.equal(isSignedBy(key, bytes, signature), holds);
      assert.equal(isSignedBy(key, Buffer.concat([bytes, Buffer.from('.')]), signature), false);
      assert.equal(isSignedBy(key, bytes, signature.subarray(1)), false);
      assert.equal(isSignedBy(key, bytes, Buffer.alloc(0)), false);
    });
  }

  it('refuses the IEEE P1363 form of an ECDSA signature', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

    const signature = sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' });

    assert.equal(isSignedBy(publicKeyOf(publicKey), bytes, signature), false);
  });
});

function shortRsa(): string {
  return generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ type: 'spki', format: 'pem' }).toString();
}
