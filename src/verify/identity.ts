import type { Identity } from '../trust/certificate.ts';
import type { WantedIdentity } from './policy.ts';
import { demand, shown } from './verdict.ts';

/** Longer names are no names, and regular expressions would take their time over them. */
const maxCharacters = 4096;

/** Both parts must match, from the first to the last character. Asked only of a certificate that a trusted CA made. */
export function demandIdentity(found: Identity, wanted: WantedIdentity): void {
  const parts = [
    { what: 'identity', found: found.san, want: wanted.san },
    { what: 'issuer', found: found.issuer, want: wanted.issuer },
  ];
  for (const { what, found: text, want } of parts) {
    demand(text !== '' && text.length <= maxCharacters, `its certificate has no ${what} that can be compared`);
    demand(isMatch(text, want), `the ${what} is "${shown(text)}", want ${want instanceof RegExp ? String(want) : `"${want}"`}`);
  }
}

function isMatch(text: string, want: string | RegExp): boolean {
  if (typeof want === 'string') return text === want;
  // Neither sticky nor global, which carry a position from one test to the next, nor multiline, where ^ and $ match at any line.
  return new RegExp(`^(?:${want.source})$`, want.flags.replaceAll(/[gym]/g, '')).test(text);
}
