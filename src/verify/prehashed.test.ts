import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyPairKeyObjectResult } from 'node:crypto';
import { describe, it } from 'node:test';
import { isSignedBy, publicKeyOf } from '../model/public-key.ts';
import { isDigestSignedBy, type Digests } from './prehashed.ts';

const kinds = [
  { name: 'ECDSA P-256', digest: 'sha256', pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  { name: 'ECDSA P-384', digest: 'sha384', pair: generateKeyPairSync('ec', { namedCurve: 'P-384' }) },
  { name: 'ECDSA P-521', digest: 'sha512', pair: generateKeyPairSync('ec', { namedCurve: 'P-521' }) },
  { name: 'ECDSA P-384 with SHA-256', digest: 'sha256', pair: generateKeyPairSync('ec', { namedCurve: 'P-384' }) },
  { name: 'RSA', digest: 'sha256', pair: generateKeyPairSync('rsa', { modulusLength: 2048 }) },
] as const satisfies readonly { name: string; digest: keyof Digests; pair: KeyPairKeyObjectResult }[];

function digestsOf(bytes: Uint8Array): Digests {
  const hex = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
  return { sha256: hex('sha256'), sha384: hex('sha384'), sha512: hex('sha512') };
}

describe('isDigestSignedBy', () => {
  for (const { name, digest, pair } of kinds) {
    const key = publicKeyOf(pair.publicKey);

    it(`agrees with Node about ${name}, for good signatures and for changed ones`, () => {
      for (let round = 0; round < 40; round += 1) {
        const bytes = randomBytes(round);
        const signature = sign(digest, bytes, { key: pair.privateKey, dsaEncoding: 'der' });
        const changed = Buffer.from(signature);
        const at = round % changed.length;
        changed[at] = (changed[at] ?? 0) ^ (1 << (round % 8));

        assert.equal(isDigestSignedBy(key, digestsOf(bytes), signature), true);
        assert.equal(isDigestSignedBy(key, digestsOf(randomBytes(8)), signature), false);
        assert.equal(
          outcome(() => isDigestSignedBy(key, digestsOf(bytes), changed)),
          isSignedBy(key, bytes, changed),
        );
      }
    });

    it(`does not take the signature of another key for one of ${name}`, () => {
      const other = kinds.find((candidate) => candidate.name !== name) ?? assert.fail();
      const bytes = randomBytes(32);
      const signature = sign(other.digest, bytes, { key: other.pair.privateKey, dsaEncoding: 'der' });

      assert.equal(
        outcome(() => isDigestSignedBy(key, digestsOf(bytes), signature)),
        false,
      );
    });
  }

  const key = publicKeyOf(kinds[0].pair.publicKey);
  const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
  const good = sign('sha256', Buffer.from('x'), kinds[0].pair.privateKey);
  const odd = [
    { name: 'zeros', signature: Buffer.from('3006020100020100', 'hex') },
    { name: 'r of the order', signature: Buffer.from(`3026022100${order}020101`, 'hex') },
    { name: 's of the order', signature: Buffer.from(`3026020101022100${order}`, 'hex') },
    { name: 'a negative number', signature: Buffer.from('3006020181020101', 'hex') },
    { name: 'three numbers', signature: Buffer.from('3009020101020101020101', 'hex') },
    { name: 'one number', signature: Buffer.from('3003020101', 'hex') },
    { name: 'nothing', signature: Buffer.alloc(0) },
    { name: 'bytes behind it', signature: Buffer.concat([good, Buffer.alloc(1)]) },
  ];
  for (const { name, signature } of odd) {
    it(`refuses a signature with ${name}`, () => {
      assert.equal(
        outcome(() => isDigestSignedBy(key, digestsOf(Buffer.from('x')), signature)),
        false,
      );
    });
  }

  it('needs the digest that goes with the key, and is never true of Ed25519', () => {
    const bytes = randomBytes(16);
    const { sha256 = '' } = digestsOf(bytes);
    const p384 = kinds[1].pair;
    const edwards = generateKeyPairSync('ed25519');

    assert.equal(isDigestSignedBy(publicKeyOf(p384.publicKey), { sha256 }, sign('sha384', bytes, p384.privateKey)), false);
    assert.equal(isDigestSignedBy(publicKeyOf(edwards.publicKey), digestsOf(bytes), sign(undefined, bytes, edwards.privateKey)), false);
  });
});

/** What is no signature at all may be an error: a refusal too. */
function outcome(work: () => boolean): boolean {
  try {
    return work();
  } catch {
    return false;
  }
}
