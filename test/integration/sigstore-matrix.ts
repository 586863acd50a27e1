/** How signatures are made known. */
export type Log = 'none' | 'Rekor 1' | 'Rekor 2';
export type Layout = 'tags' | 'referrers' | 'both';

export interface Cell {
  readonly signer: 'key' | 'keyless';
  readonly log: Log;
  readonly layout: Layout;
  /** Whether the registry has the referrers API. */
  readonly api: 'yes' | 'no';
  /** Whether a timestamp authority is configured: always where nobody else would say when a certificate signed, and with a Rekor 2. */
  readonly isStamped: boolean;
}

/** Where the servers are, and the files that the commands name. */
export interface World {
  readonly keys: string;
  readonly keyFile: string;
  readonly trustedRoot: string;
  readonly logUrl: string;
  readonly timestampUrl: string;
  readonly timestampChain: string;
  readonly fulcioUrl: string;
  readonly caFile: string;
  readonly logKeyFile: string;
  readonly tokenFile: string;
  readonly identity: string;
  readonly issuer: string;
}

export interface Command {
  readonly tool: 'cosign 2' | 'cosign 3' | 'chainsmith';
  /** What it looks at. */
  readonly what: 'signature' | 'attestation' | 'both';
  /** Which of the layouts it reads where there are both; undefined where there is one. */
  readonly reads: 'bundles' | 'tags';
  /** `IMAGE` stands for the image. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly accepts: boolean;
}

export interface Judged {
  readonly cell: Cell;
  readonly command: Command;
}

export function cellsOf(log: Log): readonly Cell[] {
  const cells: Cell[] = [];
  for (const signer of ['key', 'keyless'] as const)
    for (const layout of ['tags', 'referrers', 'both'] as const)
      for (const api of ['yes', 'no'] as const)
        cells.push({ signer, log, layout, api, isStamped: log === 'Rekor 2' || (log === 'none' && signer === 'keyless') });
  return cells;
}

/** The commands that a consumer types for such an image: of every tool, for its signature and its attestation. */
export function commandsFor(cell: Cell, world: World): readonly Command[] {
  const layouts =
    cell.layout === 'both' ? (['bundles', 'tags'] as const) : cell.layout === 'tags' ? (['tags'] as const) : (['bundles'] as const);
  return [...layouts.flatMap((reads) => cosignCommands(cell, reads, world)), ourCommand(cell, world)];
}

function cosignCommands(cell: Cell, reads: 'bundles' | 'tags', world: World): readonly Command[] {
  return ([2, 3] as const).flatMap((version) => {
    // cosign 2 looks at nothing but bundles once there is one, and cannot be told otherwise.
    if (version === 2 && reads === 'tags' && cell.layout === 'both') return [];
    return (['signature', 'attestation'] as const).map((what): Command => {
      const name = what === 'signature' ? ['verify'] : ['verify-attestation', '--type', 'slsaprovenance1'];
      const { flags, env } = flagsFor(cell, { reads, version, what }, world);
      const old = reads === 'tags' && cell.layout === 'both' ? ['--new-bundle-format=false'] : [];
      return { tool: `cosign ${version}`, what, reads, args: [...name, ...flags, ...old, 'IMAGE'], env, accepts: true };
    });
  });
}

interface Asked {
  readonly reads: 'bundles' | 'tags';
  readonly version: 2 | 3;
  readonly what: 'signature' | 'attestation';
}

function flagsFor(cell: Cell, { reads, version, what }: Asked, world: World): Pick<Command, 'env'> & { readonly flags: readonly string[] } {
  const isKey = cell.signer === 'key';
  const who = isKey ? ['--key', world.keyFile] : ['--certificate-identity', world.identity, '--certificate-oidc-issuer', world.issuer];
  // A tag has room for what a Rekor 1 says, and for no entry of a Rekor 2.
  const isLogged = cell.log === 'Rekor 1' || (cell.log === 'Rekor 2' && reads === 'bundles');
  const needsStamp = !isKey && cell.isStamped && !(cell.log === 'Rekor 2' && reads === 'bundles' && version === 3);
  const rest = [...(isLogged ? [] : ['--insecure-ignore-tlog']), ...(needsStamp ? ['--use-signed-timestamps'] : [])];
  if (!isKey && version === 2 && reads === 'tags' && what === 'attestation') return oldKeyless(who, rest, needsStamp, isLogged, world);
  return { flags: [...who, '--trusted-root', world.trustedRoot, ...rest], env: {} };
}

/** cosign 2 takes no trusted root for attestations in tags: it is given the parts. */
function oldKeyless(who: readonly string[], rest: readonly string[], isStamped: boolean, isLogged: boolean, world: World) {
  return {
    flags: [
      ...who,
      '--ca-roots',
      world.caFile,
      '--insecure-ignore-sct',
      ...rest,
      ...(isStamped ? ['--timestamp-certificate-chain', world.timestampChain] : []),
    ],
    env: isLogged ? { SIGSTORE_REKOR_PUBLIC_KEY: world.logKeyFile } : {},
  };
}

function ourCommand({ signer, log }: Cell, world: World): Command {
  const who =
    signer === 'key' ? ['--key', world.keyFile] : ['--certificate-identity', world.identity, '--certificate-oidc-issuer', world.issuer];
  const rest = log === 'none' ? ['--insecure-ignore-tlog'] : [];
  const args = ['verify', ...who, '--trusted-root', world.trustedRoot, ...rest, '--type', 'slsaprovenance1', 'IMAGE'];
  return { tool: 'chainsmith', what: 'both', reads: 'bundles', args, env: {}, accepts: true };
}

/** docs/verification.md, from what the judges said. */
export function pageOf(judged: readonly Judged[]): string {
  return `${judged.length}`;
}
