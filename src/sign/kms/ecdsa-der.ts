/** An ECDSA signature as X9.62 has it, ASN.1 DER of `SEQUENCE { r INTEGER, s INTEGER }`, from r and s side by side (IEEE P1363). */
export function derOfRawSignature(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  const body = Buffer.concat([integer(raw.subarray(0, half)), integer(raw.subarray(half))]);
  // P-521 alone makes a sequence that is longer than 127 bytes, and none is longer than 255.
  const length = body.length < 128 ? [body.length] : [0x81, body.length];
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}

/** Without leading zeroes, but with one when the highest bit is set: DER integers are signed, and as short as can be. */
function integer(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Buffer.from([0]) : Buffer.from(bytes.subarray(first));
  const value = (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits;
  return Buffer.concat([Buffer.from([0x02, value.length]), value]);
}
