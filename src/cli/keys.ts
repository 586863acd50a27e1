import { Option, type Command } from 'commander';
import { parseDuration } from '../config/quantity.ts';
import { TerminalError } from '../errors.ts';
import { keyTypes, type KeyType } from '../sign/key-file.ts';
import { x509 } from '../sign/x509.ts';
import { newCommand, plain, type Io } from './io.ts';
import { generate, passwordFrom, type GenerateOptions } from './keys-generate.ts';
import { listKeys, type ListOptions } from './keys-list.ts';
import { rotateFolder, rotateSecret, type Change, type Rotated } from './keys-rotate.ts';
import { configOf, oneChoiceOf, openChoice, type NamedChoice, type OpenKube, type SignerFlags } from './keys-world.ts';
import { parseSecretName } from './key-secret.ts';
import { withConfigFlags } from './settings.ts';

/** `chainsmith keys generate|public|list|rotate`. */
export function keysCommand(io: Io, openKube: OpenKube): Command {
  return newCommand(io, 'keys')
    .description('make, show, list and rotate signing keys')
    .addCommand(generateCommand(io, openKube))
    .addCommand(publicCommand(io, openKube))
    .addCommand(listCommand(io, openKube))
    .addCommand(rotateCommand(io, openKube));
}

const typeOption = (): Option => new Option('--type <type>', 'kind of the new key').choices(Object.keys(keyTypes));
const signerHelp = 'one of the signers that the configuration uses';

function generateCommand(io: Io, openKube: OpenKube): Command {
  return newCommand(io, 'generate')
    .description('make a key, encrypted as cosign does; the password comes from COSIGN_PASSWORD or is asked for')
    .addOption(typeOption().default('ecdsa-p256', 'ecdsa-p256, which every verifier and log takes'))
    .option('--output-key-prefix <prefix>', 'write <prefix>.key and <prefix>.pub', 'cosign')
    .option('--k8s <namespace/secret>', 'write to this Secret instead of files: cosign.key, cosign.password, cosign.pub')
    .option('--no-password', 'encrypt with the empty password')
    .option('--force', 'replace a key that is already there', false)
    .action(async (options: GenerateOptions) => {
      await generate(options, openKube, io);
    });
}

function publicCommand(io: Io, openKube: OpenKube): Command {
  const command = newCommand(io, 'public')
    .description('print the public key (SPKI PEM) of a key, or of a signer of the configuration')
    .option('--key <file>', 'a key file of any form; its password comes from --password-file or COSIGN_PASSWORD')
    .option('--password-file <file>', 'the password of --key, byte for byte')
    .option('--directory <dir>', 'a folder with x509.pem, or cosign.key and cosign.password, or tls.key and tls.crt')
    .option('--signer <name>', signerHelp);
  return withConfigFlags(command).action(async (options: PublicOptions) => {
    await showPublic(options, openKube, io);
  });
}

function listCommand(io: Io, openKube: OpenKube): Command {
  const command = newCommand(io, 'list')
    .description('list the public keys that sign or signed, from the rings (keys.json) beside the keys of the configuration')
    .option('--ring <file>', 'only the keys of this ring')
    .option('--directory <dir>', 'only the keys of this folder')
    .option('--k8s <namespace/secret>', 'only the keys of this Secret')
    .option('--journal', 'also what the journal knows; its controller must not be running', false)
    .option('--signer <name>', signerHelp)
    .option('--json', 'a ring as "verify --key-ring" reads it', false);
  return withConfigFlags(command).action(async (options: ListOptions) => {
    await listKeys(options, openKube, io);
  });
}

function rotateCommand(io: Io, openKube: OpenKube): Command {
  const command = newCommand(io, 'rotate')
    .description('put a new key in the place of one in a folder or a Secret, and keep the old public key in keys.json beside it')
    .option('--directory <dir>', 'the folder (default: that of the configuration)')
    .option('--k8s <namespace/secret>', 'the Secret')
    .addOption(typeOption().default(undefined, 'as the old one'))
    .option('--overlap <duration>', 'how long signatures of the old key still count, until everybody has the new one', '15m')
    .option('--signer <name>', signerHelp)
    .option('--force', 'delete an immutable Secret and make it again', false);
  return withConfigFlags(command).action(async (options: RotateOptions) => {
    await rotate(options, openKube, io);
  });
}

interface PublicOptions extends SignerFlags {
  readonly key?: string;
  readonly passwordFile?: string;
  readonly directory?: string;
}

async function showPublic(options: PublicOptions, openKube: OpenKube, io: Io): Promise<void> {
  const named = await publicChoice(options, io);
  if (named.choice.kind === 'fulcio') throw noLastingKey(named.name);
  await using signer = await openChoice(named, openKube, io.context());
  if (signer.publicKey === undefined) throw noLastingKey(named.name);
  io.stdout.write(signer.publicKey);
  io.end(0);
}

async function publicChoice(options: PublicOptions, io: Io): Promise<NamedChoice> {
  const { key, passwordFile, directory, signer } = options;
  if (key !== undefined && directory !== undefined) throw new TerminalError('cli.usage', 'Cannot use --key and --directory together');
  if (key === undefined && passwordFile !== undefined) throw new TerminalError('cli.usage', 'Cannot use --password-file without --key');
  if (key === undefined && directory === undefined) return oneChoiceOf(await configOf(options, io), signer);
  const password = io.env['COSIGN_PASSWORD'];
  const given = {
    ...(directory !== undefined && { directory }),
    ...(key !== undefined && { keyFile: key, ...(passwordFile === undefined ? password !== undefined && { password } : { passwordFile }) }),
  };
  return { name: 'x509', choice: { kind: 'x509', options: x509.options.parse(given) } };
}

function noLastingKey(name: string): TerminalError {
  return new TerminalError(
    'cli.no-public-key',
    `Cannot show the public key of "${name}": it is keyless, with a new key for each certificate`,
    {
      fix: 'verify what it signed by identity and issuer',
    },
  );
}

interface RotateOptions extends SignerFlags {
  readonly directory?: string;
  readonly k8s?: string;
  readonly type?: KeyType;
  readonly overlap: string;
  readonly force: boolean;
}

async function rotate(options: RotateOptions, openKube: OpenKube, io: Io): Promise<void> {
  const ctx = io.context();
  const overlap = parseDuration(options.overlap);
  if (overlap.kind === 'wrong') throw new TerminalError('cli.usage', `Cannot use --overlap "${options.overlap}": ${overlap.reason}`);
  const { name, choice } = await rotateChoice(options, io);
  const change: Change = {
    type: options.type,
    overlapMs: overlap.amount,
    signer: name,
    password: async () => await passwordFrom(io, ctx),
  };
  const given = choice.kind === 'x509' ? x509.options.parse(choice.options) : undefined;
  if (given === undefined || 'keyFile' in given) {
    throw new TerminalError('cli.rotate', `Cannot rotate the key of "${name}": it is not in a folder or a Secret`, {
      fix: 'rotate it where it lies: the signer takes a new version up by itself',
    });
  }
  const [where, rotated] =
    'secret' in given
      ? [
          `k8s://${given.secret.namespace}/${given.secret.name}`,
          await rotateSecret({ ...given.secret, isForced: options.force }, change, openKube, ctx),
        ]
      : [given.directory, await rotateFolder(given.directory, change, ctx)];
  say(rotated, where, io);
  io.end(0);
}

async function rotateChoice(options: RotateOptions, io: Io): Promise<NamedChoice> {
  const { directory, k8s, signer } = options;
  if (directory !== undefined && k8s !== undefined) throw new TerminalError('cli.usage', 'Cannot use --directory and --k8s together');
  const name = signer ?? 'x509';
  if (directory !== undefined) return { name, choice: { kind: 'x509', options: { directory } } };
  if (k8s !== undefined) return { name, choice: { kind: 'x509', options: { secret: parseSecretName(k8s) } } };
  return oneChoiceOf(await configOf(options, io), signer);
}

function say({ from, to, until, written }: Rotated, where: string, io: Io): void {
  io.stderr.write(`wrote ${written.join(', ')} to ${plain(where)}\n`);
  io.stderr.write(`key ${to}\n`);
  io.stderr.write(`old key ${from}: what it signs counts until ${until.toISOString()}; "keys list" has it\n`);
}
