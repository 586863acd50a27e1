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

interface Command {
  readonly tool: 'cosign 2' | 'cosign 3' | 'chainsmith';
  /** What it looks at. */
  readonly what: 'signature' | 'attestation' | 'both';
  /** Which of the layouts it reads. */
  readonly reads: 'bundles' | 'tags';
  /** `IMAGE` stands for the image. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
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
      return { tool: `cosign ${version}`, what, reads, args: [...name, ...flags, ...old, 'IMAGE'], env };
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

function ourCommand({ signer, log, layout }: Cell, world: World): Command {
  const who =
    signer === 'key' ? ['--key', world.keyFile] : ['--certificate-identity', world.identity, '--certificate-oidc-issuer', world.issuer];
  const rest = log === 'none' || (log === 'Rekor 2' && layout === 'tags') ? ['--insecure-ignore-tlog'] : [];
  const args = ['verify', ...who, '--trusted-root', world.trustedRoot, ...rest, '--type', 'slsaprovenance1', 'IMAGE'];
  return { tool: 'chainsmith', what: 'both', reads: 'bundles', args, env: {} };
}

/** What a reader puts in the place of our servers and files. */
const placeholders: World = {
  keys: '',
  keyFile: 'cosign.pub',
  trustedRoot: 'trusted_root.json',
  logUrl: '',
  timestampUrl: '',
  timestampChain: 'tsa-chain.pem',
  fulcioUrl: '',
  caFile: 'fulcio-chain.pem',
  logKeyFile: 'rekor.pub',
  tokenFile: '',
  identity: 'https://kubernetes.io/namespaces/NAMESPACE/serviceaccounts/NAME',
  issuer: 'ISSUER',
};

const introduction = `# How to verify

<!-- Written by test/integration/sigstore-matrix.test.ts from what it ran. Change the test, not this page: CHAINSMITH_WRITE_DOCS=1 npm test -- sigstore-matrix -->

Every cell below was signed by \`chainsmith attest\` with real services (Rekor 1 with Trillian, Rekor 2, Fulcio with a certificate log, a timestamp
authority) and then judged by the commands of the section that it names: by cosign 2, by cosign 3, and by \`chainsmith verify\`. ✔ means that all of
them accepted both the image's signature and its provenance, offline but for the registry.

\`trusted_root.json\` is what \`chainsmith trust export\` writes. With keys and no log nothing in it is used, and
\`cosign trusted-root create --out trusted_root.json\` makes an empty one, which keeps cosign from asking for that of public Sigstore.
\`IMAGE\` is \`registry/repository@sha256:…\`.

`;

const layouts = ['tags', 'referrers', 'both'] as const;

/** docs/verification.md, from the cells that every judge accepted. */
export function pageOf(accepted: readonly Cell[]): string {
  const sections = new Map<string, readonly string[]>();
  const rows: string[] = [];
  for (const signer of ['key', 'keyless'] as const) {
    for (const log of ['none', 'Rekor 1', 'Rekor 2'] as const) {
      for (const layout of layouts) {
        const mark = (api: Cell['api']) => {
          const isThere = accepted.some((cell) => cell.signer === signer && cell.log === log && cell.layout === layout && cell.api === api);
          return isThere ? '✔' : '–';
        };
        const title = titleOf(signer, log, layout);
        const [cell] = cellsOf(log).filter((one) => one.signer === signer && one.layout === layout);
        if (cell) sections.set(title, commandsFor(cell, placeholders).map(lineOf));
        const anchor = title.toLowerCase().replaceAll(',', '').replaceAll(' ', '-');
        const stamp = cell?.isStamped === true ? 'yes' : 'no';
        rows.push(`| ${signer} | ${log} | \`${layout}\` | ${stamp} | ${mark('yes')} | ${mark('no')} | [commands](#${anchor}) |`);
      }
    }
  }
  const head =
    '| Signed by | Log | `storage.oci.layout` | Timestamp authority | Registry with the referrers API | Registry without | |\n|---|---|---|---|---|---|---|';
  const parts = [...sections].map(([title, lines]) => `## ${title}\n\n${notesOf(title)}\`\`\`sh\n${lines.join('\n')}\n\`\`\`\n`);
  return `${introduction}${head}\n${rows.join('\n')}\n\n${parts.join('\n')}`;
}

function titleOf(signer: Cell['signer'], log: Log, layout: Layout): string {
  return `${signer === 'key' ? 'Key' : 'Keyless'}, ${log === 'none' ? 'no log' : log}, ${layout}`;
}

function notesOf(title: string): string {
  const notes = [
    ...(title.includes('Rekor 2, tags')
      ? ['A tag has no room for an entry of a Rekor 2, so cosign cannot look at it there; a bundle has.']
      : []),
    ...(title.endsWith('both')
      ? ['cosign looks at bundles once there is one; the commands with `--new-bundle-format=false` read the tags.']
      : []),
    ...(title.startsWith('Keyless') && title.endsWith('tags')
      ? ['cosign 2 takes no trusted root for attestations in tags: it is given the certificates and keys one by one.']
      : []),
  ];
  return notes.length === 0 ? '' : `${notes.join(' ')}\n\n`;
}

function lineOf({ tool, args, env }: Command): string {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value} `);
  const program = tool === 'chainsmith' ? 'chainsmith' : 'cosign';
  const behind = tool === 'chainsmith' ? '' : `  # ${tool}`;
  return `${variables.join('')}${program} ${args.join(' ')}${behind}`;
}
