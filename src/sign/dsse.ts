import { TerminalError } from '../errors.ts';
import { envelopeBytesOf, paeOf } from '../model/dsse.ts';
import type { Envelope, Filing } from '../model/envelope.ts';
import { isSignedBy, parsePublicKey } from '../model/public-key.ts';
import type { Payload } from '../model/work.ts';
import type { Context } from '../observe/context.ts';
import type { Signer } from './signer.ts';

/** `dsse`: an envelope around the payload, signed over its PAE. `raw`: the payload signed as it is (chains-controller 3.5). */
export type Signing = Envelope['kind'];

/**
 * Signs a payload once and serialises the result once. The key id is the OpenSSH fingerprint, as Tekton Chains has it.
 * Whatever the signer says, its signature counts only when it verifies here, under the key it names: throws
 * `sign.bad-signature` otherwise, and what the signer throws.
 */
export async function seal(payload: Payload, filing: Filing, signer: Signer, signing: Signing, ctx: Context): Promise<Envelope> {
  const toSign = signing === 'dsse' ? paeOf(payload.payloadType, payload.bytes) : payload.bytes;
  const { signature, publicKey, certificate, chain, key = parsePublicKey(publicKey) } = await signer.sign(toSign, ctx);
  if (!isSignedBy(key, toSign, signature)) {
    throw new TerminalError(
      'sign.bad-signature',
      `Cannot sign "${filing.shortKey}": the signature does not verify under its own key ${key.fingerprint}`,
      {
        fix: 'check that the signer and its public key belong together, and that it signs with the usual digest of the key',
      },
    );
  }
  const { payloadType, bytes } = payload;
  const body =
    signing === 'dsse' ? envelopeBytesOf({ payloadType, payload: bytes, signatures: [{ keyid: key.fingerprint, signature }] }) : signature;
  return { kind: signing, payloadType, payload: bytes, signature, body, publicKey: key.pem, certificate, chain, filing };
}
