import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, rename, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { run } from './command.ts';
import { hold } from './lock.ts';

/** A program that the tests run: a package of a Go module of ours under `modules/`. */
export interface Tool {
  readonly module: string;
  readonly package: string;
  /** Environment variable with a folder that may hold the program under its name, besides CHAINSMITH_TEST_BIN. */
  readonly given?: string;
}

export const tools = {
  ociregistry: { module: 'ociregistry', package: '.' },
  refregistry: { module: 'refregistry', package: '.' },
  crane: { module: 'crane', package: 'github.com/google/go-containerregistry/cmd/crane' },
  registry: { module: 'distribution', package: 'github.com/distribution/distribution/v3/cmd/registry' },
  // envtest's variable: a folder with etcd, kube-apiserver and kubectl.
  etcd: { module: 'etcd', package: 'go.etcd.io/etcd/server/v3', given: 'KUBEBUILDER_ASSETS' },
  'rekor-tiles': { module: 'rekor-tiles', package: 'github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix' },
  // A main of ours: its metrics have a fixed port, and several authorities must run side by side.
  'timestamp-authority': { module: 'timestamp', package: '.' },
  fulcio: { module: 'fulcio', package: 'github.com/sigstore/fulcio' },
  'sigstore-go': { module: 'sigstore-go', package: 'github.com/sigstore/sigstore-go/test/conformance' },
  'rekor-server': { module: 'rekor', package: 'github.com/sigstore/rekor/cmd/rekor-server' },
  'trillian-log-server': { module: 'trillian', package: 'github.com/google/trillian/cmd/trillian_log_server' },
  'trillian-log-signer': { module: 'trillian', package: 'github.com/google/trillian/cmd/trillian_log_signer' },
  'kube-apiserver': { module: 'kubernetes', package: 'k8s.io/kubernetes/cmd/kube-apiserver', given: 'KUBEBUILDER_ASSETS' },
  vault: { module: 'vault', package: 'github.com/hashicorp/vault' },
  cosign3: { module: 'cosign3', package: 'github.com/sigstore/cosign/v3/cmd/cosign' },
  cosign2: { module: 'cosign2', package: 'github.com/sigstore/cosign/v2/cmd/cosign' },
} satisfies Record<string, Tool>;

export type ToolName = keyof typeof tools;
export const toolNames = Object.keys(tools) as readonly ToolName[];

const buildFlags = ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags=-s -w'];
const modules = path.join(import.meta.dirname, 'modules');

/** Where a tool was found, and how long it took to build it, when it was built just now. */
export interface Found {
  readonly file: string;
  readonly builtMs?: number;
}

/** The path of a tool: given in the environment, or in the user's cache, or built into it now (minutes for the big ones, with a line on stderr). */
export async function findTool(name: ToolName): Promise<string> {
  return (await obtainTool(name)).file;
}

export async function obtainTool(name: ToolName): Promise<Found> {
  const file = await existing(name);
  return file === undefined ? await build(name) : { file };
}

/**
 * Why these tools cannot be had, for `{ skip: await missing('etcd') }`; false when they are there or can be built.
 * A machine without Go lacks them, and one that has no network for the first build.
 */
export async function missing(...names: readonly ToolName[]): Promise<string | false> {
  const absent: ToolName[] = [];
  for (const name of names) if ((await existing(name)) === undefined) absent.push(name);
  // `npm test` has tried before, and names here what did not build.
  const unbuilt = process.env['CHAINSMITH_TEST_UNBUILT']?.split(',') ?? [];
  const hopeless = absent.filter((name) => unbuilt.includes(name));
  if (hopeless.length > 0) return `${hopeless.join(', ')}: could not be built, see the beginning of npm test`;
  if (absent.length === 0 || (await hasGo())) return false;
  return `${absent.join(', ')}: not built, and Go is missing (install Go 1.26, or set CHAINSMITH_TEST_BIN to a folder that has them)`;
}

async function existing(name: ToolName): Promise<string | undefined> {
  const tool: Tool = tools[name];
  const given = [process.env['CHAINSMITH_TEST_BIN'], tool.given === undefined ? undefined : process.env[tool.given]];
  const files = given.flatMap((folder) => (folder === undefined || folder === '' ? [] : [path.join(folder, name)]));
  for (const file of [...files, await cachedPath(name)]) if (await isProgram(file)) return file;
  return undefined;
}

/** The cache is keyed by everything that the build reads, so an update of a module never meets an old program. */
async function cachedPath(name: ToolName): Promise<string> {
  const tool: Tool = tools[name];
  const hash = createHash('sha256').update(JSON.stringify([tool.package, buildFlags, process.platform, process.arch]));
  for (const file of ['go.mod', 'go.sum', 'main.go']) {
    hash.update(await readFile(path.join(modules, tool.module, file)).catch(() => Buffer.alloc(0)));
  }
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  return path.join(cache, 'chainsmith', 'servers', `${name}-${hash.digest('hex').slice(0, 16)}`, name);
}

async function build(name: ToolName): Promise<Found> {
  const tool: Tool = tools[name];
  const file = await cachedPath(name);
  if (!(await hasGo())) throw new Error(`Cannot build "${name}": Go is missing; install Go 1.26 or later, or set CHAINSMITH_TEST_BIN`);
  await mkdir(path.dirname(file), { recursive: true });
  await using _lock = await hold(path.join(path.dirname(file), 'lock'), () => {
    process.stderr.write(`Waiting for another process to build ${name} …\n`);
  });
  if (await isProgram(file)) return { file };
  process.stderr.write(`Building ${name} (once; the big ones take minutes) …\n`);
  const started = Date.now();
  const partial = `${file}.${process.pid}.partial`;
  // -p 2 keeps the peak of kube-apiserver under 2 GB on machines with many cores, too.
  const outcome = await run('go', ['build', ...buildFlags, '-p', '2', '-o', partial, tool.package], {
    cwd: path.join(modules, tool.module),
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' },
    timeoutMs: 30 * 60_000,
  });
  if (outcome.code !== 0)
    throw new Error(`Cannot build "${name}": go build ended with ${outcome.code}: ${outcome.stderr.slice(-2_000).trim()}`);
  await rename(partial, file);
  return { file, builtMs: Date.now() - started };
}

/** Also true of a Go that is too old: go.mod makes it fetch the toolchain that it needs. */
async function hasGo(): Promise<boolean> {
  return (await run('go', ['version']).catch(() => undefined))?.code === 0;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
