import { childrenOf, partsOf, readDer, smallIntegerOf, tags } from '../trust/der.ts';

/** That an authority did not grant a timestamp, and why: its status, its failure bits and its words. */
export interface Rejection {
  readonly reason: string;
  /** The authority may do better in a while. */
  readonly mayMend: boolean;
}

const what = 'the timestamp response';

/** PKIFailureInfo by bit (RFC 3161 2.4.2). */
const failures: Readonly<Record<number, string>> = {
  0: 'badAlg',
  2: 'badRequest',
  5: 'badDataFormat',
  14: 'timeNotAvailable',
  15: 'unacceptedPolicy',
  16: 'unacceptedExtension',
  17: 'addInfoNotAvailable',
  25: 'systemFailure',
};
const passing: readonly string[] = ['timeNotAvailable', 'systemFailure'];

/** undefined when the TimeStampResp grants one: status 0, or 1 with changes that the token shows. Throws `trust.der` for what is none. */
export function rejectionIn(response: Uint8Array): Rejection | undefined {
  const [info] = partsOf(readDer(response, what), tags.sequence, what);
  const [code, ...details] = partsOf(info, tags.sequence, what);
  const status = smallIntegerOf(code, what);
  if (status <= 1) return undefined;
  const texts = details.filter(({ tag }) => tag === tags.sequence).flatMap((list) => childrenOf(list, what));
  const words = texts.map(({ value }) =>
    Buffer.from(value)
      .toString('utf8')
      .replaceAll(/[^\x20-\x7e]/g, '?'),
  );
  const bits = details.filter(({ tag }) => tag === tags.bitString).flatMap(({ value }) => failuresIn(value));
  return {
    reason: [`status ${status}`, ...bits, ...words].join(' ').slice(0, 300),
    mayMend: bits.some((bit) => passing.includes(bit)),
  };
}

/** The first byte of a bit string says how many bits at its end are unused. */
function failuresIn(bitString: Uint8Array): readonly string[] {
  const bytes = bitString.subarray(1, 5);
  return Object.entries(failures).flatMap(([bit, name]) => {
    const byte = bytes[Math.floor(Number(bit) / 8)] ?? 0;
    return (byte & (0x80 >> (Number(bit) % 8))) === 0 ? [] : [name];
  });
}
