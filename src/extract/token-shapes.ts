/** One kind of secret that can be told by its look. */
export interface TokenShape {
  readonly name: string;
  /** What every text with such a secret holds: the cheap question before the dear one. */
  readonly sign: RegExp;
  /** The secret: the group `secret`, or else the whole match. Global; runs are bounded, so that no text takes more than linear time. */
  readonly pattern: RegExp;
}

/**
 * Tokens of known issuers, private keys, and passwords where everyone would look for one. Each shape is so particular that digests,
 * commits, base64 of ordinary data and public keys have another. A run of letters is bounded at its left, so that the middle of some
 * longer text is no token.
 */
export const tokenShapes: readonly TokenShape[] = [
  { name: 'GitHub token', sign: /gh[pousr]_/, pattern: /(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9][A-Za-z0-9_.-]{35,1000}/g },
  { name: 'GitHub fine-grained token', sign: /github_pat_/, pattern: /(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{36,255}/g },
  {
    name: 'GitLab token',
    sign: /gl[a-z]{2,6}-/,
    pattern: /(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-[A-Za-z0-9_.-]{20,300}/g,
  },
  { name: 'AWS access key', sign: /A(?:KI|SI)A/, pattern: /(?<![A-Za-z0-9+/_-])A(?:KI|SI)A[A-Z2-7]{16}(?![A-Za-z0-9+/=_-])/g },
  {
    name: 'AWS secret key',
    sign: /secret/i,
    pattern: /aws_?secret_?(?:access_?)?key[\\"']{0,4}\s{0,16}[:=]\s{0,16}[\\"']{0,4}(?<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/gi,
  },
  { name: 'Slack token', sign: /xox[a-z]-|xapp-/, pattern: /(?<![A-Za-z0-9])(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,400}/g },
  {
    name: 'Slack webhook',
    sign: /hooks\.slack\.com/,
    pattern: /hooks\.slack\.com\/(?:services|workflows|triggers)\/(?<secret>[A-Za-z0-9/_-]{20,200})/g,
  },
  { name: 'Google API key', sign: /AIza/, pattern: /(?<![A-Za-z0-9+/_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g },
  { name: 'Google OAuth token', sign: /ya29\./, pattern: /(?<![A-Za-z0-9])ya29\.[A-Za-z0-9_-]{30,1000}/g },
  { name: 'npm token', sign: /npm_/, pattern: /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g },
  { name: 'PyPI token', sign: /pypi-AgE/, pattern: /(?<![A-Za-z0-9])pypi-AgE[A-Za-z0-9_-]{50,1000}/g },
  { name: 'Docker Hub token', sign: /dckr_/, pattern: /(?<![A-Za-z0-9])dckr_(?:pat|oat)_[A-Za-z0-9_-]{24,100}/g },
  { name: 'HashiCorp Vault token', sign: /hv[sbr]\./, pattern: /(?<![A-Za-z0-9])hv[sbr]\.[A-Za-z0-9_-]{24,300}/g },
  { name: 'Stripe key', sign: /[sr]k_(?:live|test)_/, pattern: /(?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{20,250}/g },
  {
    name: 'JSON web token',
    sign: /eyJ/,
    pattern: /(?<![A-Za-z0-9+/_.-])eyJ[A-Za-z0-9_-]{8,9999}\.eyJ[A-Za-z0-9_-]{8,9999}\.[A-Za-z0-9_-]{16,9999}/g,
  },
  {
    // `{"auths":` in base64: a whole docker configuration, as a Secret holds it.
    name: 'Docker configuration',
    sign: /auth"|auth\\|identitytoken|eyJhdXRocyI6/,
    pattern:
      /(?<![A-Za-z0-9+/])eyJhdXRocyI6[A-Za-z0-9+/=]{16,99999}|\\?"(?:auth|identitytoken)\\?"\s{0,16}:\s{0,16}\\?"(?<secret>[A-Za-z0-9+/=_.-]{8,9999})\\?"/g,
  },
  { name: 'Azure shared access signature', sign: /sig=/, pattern: /(?:[?&;]|\\u0026)sig=(?<secret>[A-Za-z0-9%+/_-]{40,200}={0,2})/g },
  { name: 'Azure account key', sign: /AccountKey=/, pattern: /AccountKey=(?<secret>[A-Za-z0-9+/]{86}==)/g },
  {
    name: 'private key',
    sign: /PRIVATE KEY/,
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?=(?:[^-]|-(?!----)){0,400}?[A-Za-z0-9+/]{32})(?:[^-]|-(?!----)){0,99999}(?:-----END [A-Z0-9 ]{0,40}-----)?/g,
  },
  { name: 'age key', sign: /AGE-SECRET-KEY-1/, pattern: /AGE-SECRET-KEY-1[A-Z0-9]{58}/g },
  {
    // Not a variable (`$(params.x)`, `${PASS}`), and not the tag of an image: `//host:tag@sha256:…`.
    name: 'password in a URL',
    sign: /:\/\//,
    pattern: /:\/\/[^\s/:@"'<>]{0,256}:(?<secret>[^\s/@:"'<>${}*]{3,256})@(?!sha\d{1,3}:)/g,
  },
];

/** Is the value a secret because of what it is called? An AWS secret key has no look of its own. */
export function isSecretPair(name: string, value: string): boolean {
  return /^aws[_-]?secret[_-]?(?:access[_-]?)?key$/i.test(name) && /^[A-Za-z0-9/+]{40}$/.test(value);
}

/**
 * The signs of all shapes in one, each beginning with its rarest letter and looking back from there, so that one letter in twenty is looked
 * at twice: four times as fast as the signs one after the other, and every text of every run is asked.
 */
const anySign = new RegExp(
  [
    '_(?<=gh[pousr]_|b_pat_|npm_|dckr_|k_live_|k_test_)',
    '-(?<=gl[a-z]{2,6}-)',
    'xox[a-z]-|xapp-',
    'A(?:KIA|SIA|Iza|GE-SECRET|ccountKey=)|A(?<=pypi-A)',
    'J(?<=eyJ)',
    'v(?<=hv)[sbr]\\.',
    'ya29\\.',
    '=(?<=sig=)',
    '[wW](?<=[aA][wW])[sS][_-]?[sS]',
    '[\\\\"](?<=auth[\\\\"]|token[\\\\"])',
    'V(?<=PRIV)ATE KEY',
    'k(?<=slack)\\.com',
    ':\\/\\/(?=[^\\s/@]{0,600}@)',
  ].join('|'),
);
/** No shape fits into less: the shortest is a password in a URL, `://:abc@`. */
const shortest = 8;

/** Could the text hold such a secret? Quick, and often wrongly yes. */
export function mayHoldToken(text: string): boolean {
  return text.length >= shortest && anySign.test(text);
}

/** The text with every secret of a known shape replaced by what `replace` gives for it. */
export function withoutTokens(text: string, replace: (secret: string) => string): string {
  if (!mayHoldToken(text)) return text;
  let clean = text;
  for (const { sign, pattern } of tokenShapes) {
    if (!sign.test(clean)) continue;
    clean = clean.replace(pattern, (match: string, ...rest: readonly unknown[]) => {
      const groups = rest.at(-1);
      const secret = typeof groups === 'object' && groups !== null && 'secret' in groups ? groups.secret : undefined;
      if (typeof secret !== 'string') return replace(match);
      // The secret is the last thing in its match but for what ends it.
      const start = match.lastIndexOf(secret);
      return match.slice(0, start) + replace(secret) + match.slice(start + secret.length);
    });
  }
  return clean;
}
