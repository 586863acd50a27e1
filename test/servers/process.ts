import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

/** How to start one server, and how to see that it is ready. */
export type ServerSpec = Start & (ReadyByHttp | ReadyByProbe);

interface Start {
  readonly name: string;
  readonly file: string;
  /** How many free loopback ports it wants, or the very ports. */
  readonly ports: number | readonly number[];
  /** The arguments, once the ports are known; writes configuration files if there are any. */
  readonly args: (ports: readonly number[]) => readonly string[] | Promise<readonly string[]>;
  readonly env?: Readonly<Record<string, string>>;
  readonly readyWithinMs?: number;
  /** Where everything that it writes goes, too. */
  readonly logFile?: string;
  /** What ends it: SIGTERM or SIGINT and after three seconds SIGKILL, or SIGKILL at once. */
  readonly stop?: keyof typeof signals;
}

const signals = { terminate: 'SIGTERM', interrupt: 'SIGINT', kill: 'SIGKILL' } as const;

/** Where to ask, and which answer means ready. Certificates are not looked at: this only asks whether somebody is at home. */
interface ReadyByHttp {
  readonly readyUrl: (ports: readonly number[]) => string;
  readonly isReady: (status: number, body: string) => boolean;
}

/** For a server that speaks something else. */
interface ReadyByProbe {
  readonly isUp: (ports: readonly number[]) => Promise<boolean>;
}

export interface RunningServer extends AsyncDisposable {
  readonly pid: number;
  readonly ports: readonly number[];
  /** The last 16 KiB of what it wrote on stdout and stderr. */
  readonly log: () => string;
}

const portClash = /address already in use|EADDRINUSE/i;

/** Starts a server, waits until it answers; a port that somebody else took meanwhile is another try. It dies with this process. */
export async function startServer(spec: ServerSpec): Promise<RunningServer> {
  for (let attempt = 1; ; attempt += 1) {
    const ports = typeof spec.ports === 'number' ? await freePorts(spec.ports) : spec.ports;
    const server = launch(spec, ports, await spec.args(ports));
    try {
      await untilReady(spec, server);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      if (attempt >= 3 || !portClash.test(server.log())) throw error;
    }
  }
}

/** Command-line flags, `--name=value` each. */
export function flags(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

/** Loopback ports that were free a moment ago. */
async function freePorts(count: number): Promise<readonly number[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = createServer().listen(0, '127.0.0.1');
      await once(socket, 'listening');
      return socket;
    }),
  );
  const ports = sockets.map((socket) => {
    const address = socket.address();
    if (address === null || typeof address === 'string') throw new Error('Cannot find a free port: the socket has no address');
    return address.port;
  });
  for (const socket of sockets) await once(socket.close(), 'close');
  return ports;
}

/** Polls `claim` until it holds; the error after `ms` milliseconds says what was waited for. */
export async function until(what: string, ms: number, claim: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await claim())) {
    if (Date.now() > deadline) throw new Error(`Cannot wait any longer for ${what}: not within ${ms} ms`);
    await sleep(20);
  }
}

interface Launched extends RunningServer {
  readonly exit: () => string | undefined;
}

function launch(spec: ServerSpec, ports: readonly number[], args: readonly string[]): Launched {
  const child = spawn(spec.file, args, { env: { ...process.env, ...spec.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let tail = '';
  let exit: string | undefined;
  const keep = (chunk: Buffer): void => {
    tail = (tail + chunk.toString('utf8')).slice(-16_384);
    if (spec.logFile !== undefined) appendFileSync(spec.logFile, chunk);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.once('error', (error) => (exit = error.message));
  child.once('exit', (code, signal) => (exit = signal ?? `exit ${code ?? -1}`));
  const guard = guardOf(child);
  return {
    pid: child.pid ?? -1,
    ports,
    log: () => tail,
    exit: () => exit,
    async [Symbol.asyncDispose]() {
      await end(child, spec.stop ?? 'terminate');
      guard?.kill('SIGKILL');
    },
  };
}

/**
 * Ends the child when this process dies in whatever way: a shell in a session of its own reads a pipe of ours, which only our death
 * closes. (Signals of a terminal do not reach it; a parent-death signal is not to be had from Node.)
 */
function guardOf(child: ChildProcess): ChildProcess | undefined {
  if (child.pid === undefined) return undefined;
  const guard = spawn('/bin/sh', ['-c', 'read _; kill -KILL "$0"', String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  guard.stdin.on('error', () => undefined);
  // Once the child is gone its id may be given to somebody else.
  child.once('exit', () => guard.kill('SIGKILL'));
  return guard;
}

async function end(child: ChildProcess, how: keyof typeof signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signals[how]);
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await gone;
  clearTimeout(timer);
}

async function untilReady(spec: ServerSpec, server: Launched): Promise<void> {
  const withinMs = spec.readyWithinMs ?? 15_000;
  const deadline = Date.now() + withinMs;
  await using stack = new AsyncDisposableStack();
  const agent = stack.adopt(new Agent({ connect: { rejectUnauthorized: false } }), async (it) => {
    await it.destroy();
  });
  for (let last: string | undefined = 'no answer'; ; await sleep(20)) {
    const exit = server.exit();
    if (exit !== undefined) throw new Error(`Cannot start ${spec.name}: ${exit}\n${server.log()}`);
    if (Date.now() > deadline) throw new Error(`Cannot start ${spec.name}: not ready in ${withinMs} ms (${last})\n${server.log()}`);
    last = await unreadiness(spec, server.ports, agent);
    if (last === undefined) return;
  }
}

/** Why the server is not ready; undefined when it is. */
async function unreadiness(spec: ServerSpec, ports: readonly number[], dispatcher: Agent): Promise<string | undefined> {
  try {
    if ('isUp' in spec) return (await spec.isUp(ports)) ? undefined : 'not up';
    const url = spec.readyUrl(ports);
    const answer = await request(url, { dispatcher, signal: AbortSignal.timeout(2_000) });
    const body = await answer.body.text();
    return spec.isReady(answer.statusCode, body) ? undefined : `status ${answer.statusCode} of ${url}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
