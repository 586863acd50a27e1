import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, scryptSync, type KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { CodedError, TerminalError } from '../errors.ts';
import { pemOf } from '../model/pem.ts';
import { generateSigningKey, readCosignKey, writeCosignKey } from './key-file.ts';

const p256 = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** A cosign container with parameters of our choice, for the password "pw"; `kdf` and `cipher` override its members. */
function container(change: { N?: number; r?: number; kdf?: object; cipher?: object; plain?: Uint8Array } = {}): string {
  const [salt, nonce, N, r] = [randomBytes(32), randomBytes(24), change.N ?? 32_768, change.r ?? 8];
  const key = scryptSync('pw', salt, 32, { N, r, p: 1, maxmem: 512 * 1024 * 1024 });
  const plain = change.plain ?? p256().export({ type: 'pkcs8', format: 'der' });
  const json = {
    kdf: { name: 'scrypt', params: { N, r, p: 1 }, salt: salt.toString('base64'), ...change.kdf },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64'), ...change.cipher },
    ciphertext: Buffer.from(xsalsa20poly1305(key, nonce).encrypt(plain)).toString('base64'),
  };
  return pemOf('ENCRYPTED COSIGN PRIVATE KEY', Buffer.from(JSON.stringify(json)));
}

describe('readCosignKey', () => {
  for (const N of [32_768, 65_536, 131_072]) {
    it(`opens the older PEM type with a work factor of ${N}`, async () => {
      const key = await readCosignKey({ file: 'k.key', text: container({ N }) }, Buffer.from('pw'));

      assert.deepEqual([key.publicKey.algorithm, key.digest], ['ecdsa-p256', 'sha256']);
    });
  }

  const refused = [
    { name: 'another work factor', key: container({ N: 16_384 }), says: /unsupported scrypt parameters \(16384, 8, 1\)/ },
    { name: 'another block size', key: container({ r: 4 }), says: /unsupported scrypt parameters \(32768, 4, 1\)/ },
    { name: 'another derivation', key: container({ kdf: { name: 'argon2' } }), says: /not the JSON of a cosign key/ },
    { name: 'another cipher', key: container({ cipher: { name: 'aes' } }), says: /not the JSON of a cosign key/ },
    { name: 'a short nonce', key: container({ cipher: { nonce: 'AAAA' } }), says: /damaged/ },
    { name: 'no JSON', key: pemOf('ENCRYPTED COSIGN PRIVATE KEY', Buffer.from('x')), says: /not the JSON of a cosign key/ },
    { name: 'something else than a key inside', key: container({ plain: Buffer.from('hunter2') }), says: /does not hold a PKCS #8 key/ },
  ];
  for (const { name, key, says } of refused) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(
        readCosignKey({ file: 'k.key', text: key }, Buffer.from('pw')),
        (error) =>
          error instanceof TerminalError &&
          error.code === 'sign.key-format' &&
          says.test(error.message) &&
          !shownOf(error).includes('hunter2'),
      );
    });
  }
});

describe('writeCosignKey', () => {
  it('writes what readCosignKey reads, whatever the password', async () => {
    for (const password of ['', 'pw', 'pw\n', 'ä€\u0000😀', 'x'.repeat(2000)]) {
      const key = await generateSigningKey();

      const read = await readCosignKey({ file: 'k.key', text: await writeCosignKey(key, Buffer.from(password)) }, Buffer.from(password));

      assert.equal(read.privateKey.equals(key), true);
      assert.equal(read.publicKey.algorithm, 'ecdsa-p256');
    }
  });

  it('writes the members in the order of cosign, and a fresh salt and nonce each time', async () => {
    const key = await generateSigningKey();

    const [one, two] = await Promise.all([writeCosignKey(key, Buffer.alloc(0)), writeCosignKey(key, Buffer.alloc(0))]);

    assert.notEqual(one, two);
    assert.match(
      one,
      /^-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n$/,
    );
    const json = Buffer.from(one.split('\n').slice(1, -2).join(''), 'base64').toString();
    assert.match(
      json,
      /^\{"kdf":\{"name":"scrypt","params":\{"N":65536,"r":8,"p":1\},"salt":"[^"]{44}"\},"cipher":\{"name":"nacl\/secretbox","nonce":"[^"]{32}"\},"ciphertext":"[^"]+"\}$/,
    );
  });
});

/** Everything that a log could show of an error. */
function shownOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return [error.message, error.stack ?? '', error instanceof CodedError ? (error.fix ?? '') : '', shownOf(error.cause ?? '')].join('\n');
}
