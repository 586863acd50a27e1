import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TerminalError, TransientError } from '../../errors.ts';
import type { Context } from '../../observe/context.ts';
import { basicOrIdentity, credentialOf, matchingKeys, parseDockerConfig, type Credential, type DockerConfig } from './docker-config.ts';
import { dockerHub, type RepositoryName } from './reference.ts';

export interface Credentials {
  /** Undefined: nobody gave any, be anonymous. Throws `oci.credentials` and `oci.credential-helper`. */
  of(name: RepositoryName, ctx: Context): Promise<Credential | undefined>;
}

/** In a folder: what `docker login` writes, and what a mounted Secret of type `kubernetes.io/dockerconfigjson` holds. */
const fileNames: readonly string[] = ['config.json', '.dockerconfigjson'];

/** A helper may ask a cloud. */
const helperTimeoutMs = 15_000;
const maxAnswerBytes = 64 * 1024;

/** Without a path everybody is anonymous. A path where nothing is yet is so, too, until something is: Secrets are mounted late. */
export function openCredentials(path: string | undefined): Credentials {
  let cached: { readonly stamp: string; readonly file: string; readonly config: DockerConfig } | undefined;

  /** Mounted Secrets change by an atomic swap of a link, `docker login` by a rename: both change inode and time. */
  const current = async (): Promise<typeof cached> => {
    const found = path === undefined ? undefined : await findFile(path);
    if (found?.stamp !== cached?.stamp) {
      const text = found && (await readFile(found.file, 'utf8').catch((error: unknown) => unreadable(found.file, error)));
      cached = found && text !== undefined ? { ...found, config: parseDockerConfig(text, found.file) } : undefined;
    }
    return cached;
  };

  return {
    async of(name, ctx) {
      const now = await current();
      if (now === undefined) return undefined;
      const { config, file } = now;
      const helper = helperOf(config, name);
      const held = helper === undefined ? undefined : await askHelper(helper, name.registry, ctx);
      if (held !== undefined) return held;
      for (const key of matchingKeys(Object.keys(config.auths), name)) {
        const credential = credentialOf(config.auths[key], key, file);
        if (credential !== undefined) return credential;
      }
      return undefined;
    },
  };
}

async function findFile(path: string): Promise<{ readonly file: string; readonly stamp: string } | undefined> {
  for (const file of [path, ...fileNames.map((name) => join(path, name))]) {
    const found = await stat(file, { bigint: true }).catch((error: unknown) => absent(file, error));
    if (found?.isFile()) return { file, stamp: `${file} ${found.ino} ${found.size} ${found.mtimeNs}` };
  }
  return undefined;
}

function absent(file: string, error: unknown): undefined {
  if (codeIn(error) === 'ENOENT' || codeIn(error) === 'ENOTDIR') return undefined;
  return unreadable(file, error);
}

function unreadable(file: string, error: unknown): never {
  throw new TerminalError('oci.credentials', `Cannot read registry credentials "${file}": ${codeIn(error)}`, {
    cause: error,
    fix: 'let the process read the file, or point storage.oci.docker-config elsewhere',
  });
}

/** `credHelpers` of the very host before the one store for all (Docker's order). */
function helperOf(config: DockerConfig, name: RepositoryName): string | undefined {
  const host = { registry: name.registry, path: '' };
  const [key] = matchingKeys(Object.keys(config.credHelpers), host);
  return key === undefined ? config.credsStore : config.credHelpers[key];
}

const HelperAnswer = z.object({ Username: z.string(), Secret: z.string() });

/** `docker-credential-<helper> get`: the server on stdin, JSON on stdout. What a helper says otherwise may hold secrets and is not shown. */
async function askHelper(helper: string, registry: string, ctx: Context): Promise<Credential | undefined> {
  const program = `docker-credential-${helper}`;
  const server = registry === dockerHub ? `https://${dockerHub}/v1/` : registry;
  const { code, output } = await runHelper(program, server, ctx);
  if (/credentials not found/i.test(output)) return undefined;
  if (code !== 0) throw helperFailed(program, registry, `it ended with ${code}`);
  const parsed = HelperAnswer.safeParse(jsonOf(output));
  if (!parsed.success) throw helperFailed(program, registry, 'its answer is not {"Username", "Secret"}');
  return parsed.data.Secret === '' ? undefined : basicOrIdentity(parsed.data.Username, parsed.data.Secret);
}

async function runHelper(program: string, input: string, ctx: Context): Promise<{ readonly code: number; readonly output: string }> {
  const deadline = AbortSignal.timeout(helperTimeoutMs);
  return await new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      signal: AbortSignal.any([ctx.signal, deadline]),
      killSignal: 'SIGKILL',
    });
    let output = '';
    // What the helper started may hold the pipe for longer than it lives itself.
    const drop = (): void => {
      child.kill('SIGKILL');
      child.stdout.destroy();
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output.length > maxAnswerBytes) drop();
    });
    child.stdin.on('error', () => undefined).end(input);
    child.once('close', (code) => resolve({ code: code ?? -1, output }));
    child.once('error', (error) => {
      drop();
      if (ctx.signal.aborted) reject(ctx.signal.reason);
      else if (deadline.aborted) reject(helperFailed(program, input, `no answer within ${helperTimeoutMs} ms`));
      else if (codeIn(error) === 'ENOENT') reject(helperMissing(program, error));
      else reject(helperFailed(program, input, codeIn(error)));
    });
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function helperMissing(program: string, cause: unknown): TerminalError {
  return new TerminalError('oci.credential-helper', `Cannot run "${program}": it is not in the PATH`, {
    cause,
    fix: 'install the helper, or remove it from credHelpers and credsStore of the docker configuration',
  });
}

/** A helper asks keychains and clouds, which may be back in a while. */
function helperFailed(program: string, server: string, reason: string): TransientError {
  return new TransientError('oci.credential-helper', `Cannot get credentials for "${server}" from "${program}": ${reason}`, {
    fix: `see what "echo ${server} | ${program} get" says`,
  });
}

function codeIn(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error';
}
