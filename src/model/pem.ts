/** One PEM block (RFC 7468). */
export interface PemBlock {
  /** What stands after `BEGIN`: `PUBLIC KEY`. */
  readonly type: string;
  readonly bytes: Uint8Array;
  /** The block has RFC 1421 headers (`Proc-Type: 4,ENCRYPTED`), which only the old OpenSSL formats have. */
  readonly hasHeaders: boolean;
}

/** The first PEM block of a text; what stands around it is ignored. Undefined when there is none, or its body is not base64. */
export function firstPemBlock(text: string): PemBlock | undefined {
  const match = /-----BEGIN ([A-Z0-9 ]{1,64})-----\r?\n([\s\S]*?)-----END \1-----/.exec(text);
  if (!match) return undefined;
  const [, type = '', inside = ''] = match;
  const headers = /^(?:[A-Za-z-]+:[^\n]*\n)+\r?\n/.exec(inside)?.[0] ?? '';
  const base64 = inside.slice(headers.length).replaceAll(/[ \t\r\n]/g, '');
  const bytes = Buffer.from(base64, 'base64');
  if (base64 === '' || bytes.toString('base64') !== base64) return undefined;
  return { type, bytes, hasHeaders: headers !== '' };
}

/** A PEM block with lines of 64 characters and a final newline, as OpenSSL and Go write it. */
export function pemOf(type: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}
