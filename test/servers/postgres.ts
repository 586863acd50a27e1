import { chown, glob, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { output, run } from './command.ts';
import type { DebianPackages } from './debian.ts';
import { startServer } from './process.ts';
import { scratch } from './scratch.ts';

/** A PostgreSQL of its own with an empty database `test`, whose user `test` needs no password. */
export interface Postgres extends AsyncDisposable {
  readonly port: number;
  /** `postgresql://test@127.0.0.1:PORT/test` */
  readonly url: string;
  readonly pid: number;
  /** Runs a file of statements. */
  readonly load: (file: string) => Promise<void>;
  readonly log: () => string;
}

/** Debian's `nobody`: initdb and postgres refuse to be root. */
const nobody = 65_534;

export async function startPostgres(): Promise<Postgres> {
  const bin = await binaries();
  if (bin === undefined) throw new Error(`Cannot start PostgreSQL: ${notInstalled}`);
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('postgres'));
  const data = path.join(dir, 'data');
  await mkdir(data, { mode: 0o700 });
  if (isRoot()) for (const folder of [dir, data]) await chown(folder, nobody, nobody);
  const program = (name: string, args: readonly string[]): Parameters<typeof run> => unprivileged(path.join(bin, name), args);
  await output(...program('initdb', ['-D', data, '-A', 'trust', '-U', 'test', '--no-sync', '-E', 'UTF8', '--locale=C']));
  const server = stack.use(
    await startServer({
      name: 'postgres',
      file: program('postgres', [])[0],
      ports: 1,
      args: ([port]) => program('postgres', ['-D', data, '-p', String(port), ...settings(dir)])[1],
      isUp: async ([port]) => (await run(path.join(bin, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port), '-q'])).code === 0,
      stop: 'interrupt',
    }),
  );
  const port = server.ports[0] ?? 0;
  const at = ['-h', '127.0.0.1', '-p', String(port), '-U', 'test'];
  await output(path.join(bin, 'createdb'), [...at, 'test']);
  const life = stack.move();
  return {
    port,
    url: `postgresql://test@127.0.0.1:${port}/test`,
    pid: server.pid,
    log: server.log,
    async load(file) {
      await output(path.join(bin, 'psql'), [...at, '-d', 'test', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file]);
    },
    async [Symbol.asyncDispose]() {
      await life.disposeAsync();
    },
  };
}

/** Why there is no PostgreSQL, for `{ skip: await missingPostgres() }`. */
export async function missingPostgres(): Promise<string | false> {
  return (await binaries()) === undefined && notInstalled;
}

export const postgresql: DebianPackages = {
  what: 'PostgreSQL',
  packages: ['postgresql'],
  isThere: async () => (await binaries()) !== undefined,
};

const notInstalled = 'PostgreSQL: not installed (install the package postgresql, or put its programs on the PATH)';

/** The folder of the server's programs: Debian's newest, which is not on the PATH, or one on the PATH. */
async function binaries(): Promise<string | undefined> {
  const found: string[] = [];
  for await (const file of glob('/usr/lib/postgresql/*/bin/initdb')) found.push(path.dirname(file));
  const newest = found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  if (newest !== undefined) return newest;
  const initdb = (await run('sh', ['-c', 'command -v initdb'])).stdout.trim();
  return initdb === '' ? undefined : path.dirname(initdb);
}

function settings(dir: string): readonly string[] {
  const values = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: dir,
    // What is in it is gone after the test anyway.
    fsync: 'off',
    // Two pools of Trillian.
    max_connections: '300',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

function unprivileged(file: string, args: readonly string[]): [string, readonly string[]] {
  if (!isRoot()) return [file, args];
  return ['setpriv', [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--', file, ...args]];
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
