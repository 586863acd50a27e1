import type { Config } from '../config/config.ts';
import { TerminalError } from '../errors.ts';
import { openJournal } from '../journal/journals.ts';
import type { KnownKey } from '../journal/journal.ts';
import type { KubeClient } from '../kube/client.ts';
import { getSecret } from '../kube/objects.ts';
import type { Context } from '../observe/context.ts';
import type { Signer, SignerKind, SignerMeans } from '../sign/signer.ts';
import { signers } from '../sign/signers.ts';
import { configOfLayers, givenLayers, type ConfigFlags } from './settings.ts';
import type { Io } from './io.ts';

/** How the `keys` commands reach a cluster: as kubectl would. */
export type OpenKube = (ctx: Context) => Promise<KubeClient>;

/** Which configured signer. */
export interface SignerFlags extends ConfigFlags {
  readonly signer?: string;
}

export type SignerChoice = Config['signers'] extends ReadonlyMap<string, infer Choice> ? Choice : never;

/** A configured signer under its name. */
export interface NamedChoice {
  readonly name: string;
  readonly choice: SignerChoice;
}

export async function configOf(flags: ConfigFlags, io: Io): Promise<Config> {
  const { environment, layers } = await givenLayers(flags, io);
  return configOfLayers(layers, environment, io);
}

/** The signers that the configuration uses, or the one that is named. Throws `cli.signer`. */
export function choicesOf(config: Config, named: string | undefined): readonly NamedChoice[] {
  const used = [...Object.values(config.artifacts), ...config.rules].flatMap((plan) => plan.signers);
  const names = named === undefined ? [...new Set(used)] : [named];
  return names.map((name) => {
    const choice = config.signers.get(name);
    if (choice !== undefined) return { name, choice };
    throw new TerminalError('cli.signer', `Cannot find a signer "${name}" in the configuration`, {
      fix: `name one of ${[...config.signers.keys()].join(', ')}`,
    });
  });
}

/** Throws `cli.signer` when the configuration uses several and none is named. */
export function oneChoiceOf(config: Config, named: string | undefined): NamedChoice {
  const [first, ...others] = choicesOf(config, named);
  if (first !== undefined && others.length === 0) return first;
  const names = [first, ...others].map((choice) => choice?.name ?? '').join(', ');
  throw new TerminalError('cli.signer', `Cannot tell which signer is meant: the configuration uses ${first ? names : 'none'}`, {
    fix: 'name one with --signer',
  });
}

export async function openChoice({ choice }: NamedChoice, openKube: OpenKube, ctx: Context): Promise<Signer> {
  const row: SignerKind = signers[choice.kind];
  return await row.open(row.options.parse(choice.options), meansOf(openKube), ctx);
}

/** A Secret is read through a client that lives as long as the call; certificates are not asked for here, so there is no trust in anybody. */
export function meansOf(openKube: OpenKube): SignerMeans {
  return {
    trust: async () => await Promise.reject(new TerminalError('cli.usage', 'Cannot ask for trust here')),
    async secret(namespace, name, ctx) {
      await using kube = await openKube(ctx);
      return await getSecret(kube, { namespace, name }, ctx);
    },
  };
}

/** The journal belongs to one process: its controller must not be running. */
export async function knownKeys(config: Config, ctx: Context): Promise<readonly KnownKey[]> {
  await using journal = await openJournal(config.journal, ctx);
  return await journal.keys();
}
