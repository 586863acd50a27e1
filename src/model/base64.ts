/**
 * Bytes of canonical, padded base64 in the standard or the URL-safe alphabet, not both at once; undefined for anything else.
 * White space, missing padding and unused bits that are not zero are refused: one value has one spelling in each alphabet.
 */
export function bytesOfBase64(text: string): Uint8Array | undefined {
  const isUrlSafe = /[-_]/.test(text);
  const standard = isUrlSafe ? text.replaceAll('-', '+').replaceAll('_', '/') : text;
  if (isUrlSafe && /[+/]/.test(text)) return undefined;
  const bytes = Buffer.from(standard, 'base64');
  return bytes.toString('base64') === standard ? bytes : undefined;
}

/** Standard alphabet with padding. */
export function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
