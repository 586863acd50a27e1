import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { CreateAliasCommand, CreateKeyCommand, KMSClient, UpdateAliasCommand, type KeySpec } from '@aws-sdk/client-kms';
import { output, run } from './command.ts';
import { hold } from './lock.ts';
import { startServer } from './process.ts';

const folder = path.join(import.meta.dirname, 'modules', 'moto');
const requirements = path.join(folder, 'requirements.txt');

/** AWS by moto: of the many services that it has, KMS is the one that is installed. Anything goes as credentials. */
export interface Moto extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Makes a key, and gives its id. */
  readonly makeKey: (spec: KeySpec, usage?: 'SIGN_VERIFY' | 'ENCRYPT_DECRYPT') => Promise<string>;
  /** Points `alias/NAME` to a key, whether it is there already or not. */
  readonly pointAlias: (name: string, keyId: string) => Promise<void>;
}

/** Why moto cannot be had; false when it is there, or was installed now. For `{ skip: await missingMoto() }`. */
export async function missingMoto(): Promise<string | false> {
  try {
    await python();
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export async function startMoto(): Promise<Moto> {
  const server = await startServer({
    name: 'moto',
    file: await python(),
    ports: 1,
    args: ([port]) => [path.join(folder, 'server.py'), '-H', '127.0.0.1', '-p', String(port)],
    readyUrl: ([port]) => `http://127.0.0.1:${port}/moto-api/data.json`,
    isReady: (status) => status === 200,
    readyWithinMs: 60_000,
  });
  const url = `http://127.0.0.1:${server.ports[0]}`;
  const client = new KMSClient({ endpoint: url, region: 'eu-central-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
  return {
    url,
    async makeKey(spec, usage = 'SIGN_VERIFY') {
      const { KeyMetadata } = await client.send(new CreateKeyCommand({ KeySpec: spec, KeyUsage: usage }));
      return KeyMetadata?.KeyId ?? '';
    },
    async pointAlias(name, keyId) {
      const command = { AliasName: `alias/${name}`, TargetKeyId: keyId };
      await client.send(new CreateAliasCommand(command)).catch(async () => await client.send(new UpdateAliasCommand(command)));
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The Python of a virtual environment in the user's cache, made once for these very versions (about half a minute). */
async function python(): Promise<string> {
  const version = await run('python3', ['--version']).catch(() => undefined);
  if (version?.code !== 0) throw new Error('moto: Python 3 is missing');
  const hash = createHash('sha256')
    .update(version.stdout)
    .update(await readFile(requirements));
  const cache = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'chainsmith');
  const home = path.join(cache, `python-${hash.digest('hex').slice(0, 16)}`);
  const program = path.join(home, 'bin', 'python');
  const mark = path.join(home, 'installed');
  if (await isThere(mark)) return program;
  await mkdir(cache, { recursive: true });
  await using _lock = await hold(`${home}.lock`, () => {
    process.stderr.write('Waiting for another process to install moto …\n');
  });
  if (await isThere(mark)) return program;
  process.stderr.write('Installing moto (once; half a minute) …\n');
  await install(home, program);
  await writeFile(mark, '');
  return program;
}

/** A virtual environment knows its own path, so it is made in its place, and one that was left half done is recognised by its mark. */
async function install(home: string, program: string): Promise<void> {
  await rm(home, { recursive: true, force: true });
  try {
    await output('python3', ['-m', 'venv', home], { timeoutMs: 120_000 });
    await output(program, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', requirements], {
      timeoutMs: 300_000,
    });
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    const reason = error instanceof Error ? error.message.slice(-300) : String(error);
    throw new Error(`moto: cannot be installed: ${reason}`, { cause: error });
  }
}

async function isThere(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}
