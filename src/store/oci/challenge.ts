/** How a registry wants to be spoken to (RFC 9110 11.6.1, distribution token specification). */
export type Challenge =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: string; readonly service: string | undefined; readonly scopes: readonly string[] };

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameterPattern = new RegExp(`\\s*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]*))\\s*(?:,|$)`, 'y');
const schemePattern = new RegExp(`[\\s,]*(${token})(?:\\s+|,|$)`, 'y');

/** The challenges of a `WWW-Authenticate` header, in its order; schemes that we do not speak and Bearer without a realm are left out. */
export function parseChallenges(header: string): readonly Challenge[] {
  const found: Challenge[] = [];
  for (let at = 0; at < header.length;) {
    schemePattern.lastIndex = at;
    const scheme = schemePattern.exec(header);
    if (!scheme) break;
    const { parameters, end } = parametersAt(header, schemePattern.lastIndex);
    at = end;
    const challenge = challengeOf((scheme[1] ?? '').toLowerCase(), parameters);
    if (challenge) found.push(challenge);
  }
  return found;
}

/** Scopes with those of `asked` that the list lacks; actions of one resource are joined: `repository:a:pull` and `…:push` give `…:pull,push`. */
export function joinScopes(scopes: readonly string[]): readonly string[] {
  const actionsOf = new Map<string, Set<string>>();
  for (const scope of scopes) {
    // `repository:host:5000/a:pull`: the name may have a port, so the actions stand after the last colon.
    const colon = scope.lastIndexOf(':');
    const resource = scope.slice(0, Math.max(colon, 0));
    const actions = actionsOf.get(resource) ?? new Set();
    actionsOf.set(resource, actions);
    for (const action of scope.slice(colon + 1).split(',')) actions.add(action);
  }
  return [...actionsOf].map(([resource, actions]) => (resource === '' ? [...actions].join(',') : `${resource}:${[...actions].join(',')}`));
}

function parametersAt(header: string, start: number): { readonly parameters: ReadonlyMap<string, string>; readonly end: number } {
  const parameters = new Map<string, string>();
  let end = start;
  for (;;) {
    parameterPattern.lastIndex = end;
    const match = parameterPattern.exec(header);
    if (!match) return { parameters, end };
    end = parameterPattern.lastIndex;
    parameters.set((match[1] ?? '').toLowerCase(), match[2]?.replaceAll(/\\(.)/g, '$1') ?? match[3] ?? '');
  }
}

function challengeOf(scheme: string, parameters: ReadonlyMap<string, string>): Challenge | undefined {
  if (scheme === 'basic') return { kind: 'basic' };
  const realm = parameters.get('realm');
  if (scheme !== 'bearer' || realm === undefined) return undefined;
  const scopes = (parameters.get('scope') ?? '').split(' ').filter((scope) => scope !== '');
  return { kind: 'bearer', realm, service: parameters.get('service'), scopes };
}
