// `npm start`, `npm test` and the other scripts begin here, under whatever Node the machine has: this gets the pinned Node and the
// locked packages when they are missing, and becomes the program. Written for Node 12 (no `?.`, no `??`, no `node:`), so that a Node
// that is too old says so in a sentence instead of a syntax error. Says what it does on stderr; stdout belongs to the program.
import { spawn, spawnSync } from 'child_process';
import crypto from 'crypto';
import fs from 'fs';
import os from 'os';
import path from 'path';
import { fileURLToPath } from 'url';

const here = fs.realpathSync(fileURLToPath(import.meta.url));
const root = path.dirname(path.dirname(here));
const runtime = path.join(root, 'bin', 'runtime');
const log = path.join(runtime, 'install.log');
const lock = path.join(runtime, '.lock');

/** What each script runs, seen from the root. The semi-space limit saves the service 35 MB of young generation. */
const programs = {
  start: ['--max-semi-space-size=2', 'src/cli/chainsmith.ts', 'start'],
  chainsmith: ['src/cli/chainsmith.ts'],
  test: ['test/run.ts'],
  check: ['test/check.ts'],
  golden: ['test/golden/golden.ts'],
  docs: ['src/config/docs.ts'],
  bench: ['bench/bench.ts'],
  servers: ['test/servers/build.ts'],
  protos: ['test/protos/generate.ts'],
  format: ['node_modules/oxfmt/bin/oxfmt', '.'],
};

/** A reason to stop that is told in one sentence, with exit code 2. */
class Refusal extends Error {}

/** Makes sure of Node and packages, runs the program with the arguments, and ends as it ends. */
export async function launch(name, args) {
  try {
    const program = programs[name];
    if (program === undefined) throw new Refusal(`Cannot run "${name}": want one of ${Object.keys(programs).join(', ')}`);
    const node = await ensureNode();
    await ensurePackages(node);
    const at = program.findIndex((part) => !part.startsWith('--'));
    const command = program.slice(0, at).concat(path.join(root, program[at]), program.slice(at + 1), args);
    await become(node, command);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}

/** `>=24.15.0 <25 || >=26`, as `engines` in package.json has it. */
export function suits(version) {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number);
  return (major === 24 && minor >= 15) || major >= 26;
}

/** The path of the pinned Node; of the current one where there is none for this platform, or it cannot be had. */
async function ensureNode() {
  const name = `node-${process.platform}-${process.arch}`;
  const locked = readJson(path.join(runtime, 'package-lock.json'));
  const entry = locked && locked.packages[`node_modules/${name}`];
  if (!entry) return currentNode(`there is no Node package for ${process.platform} on ${process.arch}`);
  const binary = path.join(runtime, 'node_modules', name, 'bin', 'node');
  const stamp = path.join(runtime, 'node_modules', '.chainsmith');
  const isThere = () => readText(stamp) === entry.version && fs.existsSync(binary);
  if (isThere()) return binary;
  const problem = await alone(async (onChild) => {
    if (isThere() || (runs(binary, entry.version) && mark(stamp, entry.version))) return undefined;
    if (Number(process.versions.node.split('.')[0]) < 18) return `Node ${process.versions.node} is too old to fetch another`;
    say(`Fetching Node ${entry.version} …`);
    const done = await npmCi(process.execPath, runtime, onChild);
    // To npm an optional package that it cannot get is no failure.
    const failure = done === undefined && !fs.existsSync(binary) ? reasonInLog('without it') : done;
    if (failure !== undefined) return `Node ${entry.version} could not be fetched: ${failure}`;
    if (!runs(binary, entry.version)) return `Node ${entry.version} does not run on this machine`;
    mark(stamp, entry.version);
    return undefined;
  });
  return problem === undefined ? binary : currentNode(problem);
}

function currentNode(problem) {
  const version = process.versions.node;
  if (suits(version)) {
    say(`Using Node ${version}: ${problem}`);
    return process.execPath;
  }
  throw new Refusal(`Cannot start with Node ${version}: ${problem}; install Node 24.15 or later, or connect once to the npm registry`);
}

/** Installs what package-lock.json says, unless that is what is there. Half an installation has no mark, so it is done again. */
async function ensurePackages(node) {
  const text = readText(path.join(root, 'package-lock.json'));
  if (text === undefined) throw new Refusal('Cannot install the packages: package-lock.json is missing; check out the whole repository');
  const stamp = path.join(root, 'node_modules', '.chainsmith');
  const wanted = crypto.createHash('sha256').update(`${process.platform} ${process.arch} ${text}`).digest('hex');
  if (readText(stamp) === wanted) return;
  const packages = packagesFor(JSON.parse(text).packages);
  const problem = await alone(async (onChild) => {
    if (readText(stamp) === wanted) return undefined;
    if (isInstalled(packages)) {
      mark(stamp, wanted);
      return undefined;
    }
    for (const file of [stamp, path.join(root, 'node_modules', '.package-lock.json')]) if (fs.existsSync(file)) fs.unlinkSync(file);
    say(`Installing ${packages.length} package${packages.length === 1 ? '' : 's'} …`);
    const failure = await npmCi(node, root, onChild);
    if (failure === undefined) mark(stamp, wanted);
    return failure;
  });
  if (problem !== undefined) throw new Refusal(`Cannot install the packages: ${problem}; connect once to the npm registry and try again`);
}

/** The entries of a lock file that npm installs here. Optional ones without a platform are parts of those for other platforms. */
function packagesFor(entries) {
  const has = (list, value) => list === undefined || list.includes(value);
  // Only glibc leaves its version in the report; other systems have one C library, and no package asks for it.
  const libc = process.report && process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
  return Object.keys(entries)
    .filter((at) => at !== '')
    .map((at) => Object.assign({ at }, entries[at]))
    .filter((entry) => !entry.optional || entry.os !== undefined)
    .filter((entry) => has(entry.os, process.platform) && has(entry.cpu, process.arch) && has(entry.libc, libc));
}

/** Whether npm's own account of node_modules, which it writes last, has all of them: somebody ran `npm ci` by hand. */
function isInstalled(packages) {
  const account = readJson(path.join(root, 'node_modules', '.package-lock.json'));
  return (
    account !== undefined &&
    packages.every((entry) => {
      const found = account.packages[entry.at];
      return found !== undefined && found.version === entry.version && found.integrity === entry.integrity;
    })
  );
}

/** Runs `npm ci` in a folder under the given Node, its words in the log. Gives what went wrong. */
function npmCi(node, folder, onChild) {
  const env = Object.assign({}, process.env, { PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH || ''}` });
  // What the npm that started us says about itself and the outer package is not for the inner one.
  for (const name of Object.keys(env))
    if (/^npm_(package|lifecycle|command|config_local_prefix)/.test(name) || name === 'INIT_CWD') delete env[name];
  const given = process.env.npm_execpath;
  const isNpm = given !== undefined && /npm-cli\.js$/.test(given) && fs.existsSync(given);
  const args = [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--loglevel=verbose',
  ];
  // npm's default is to wait 10 s and 60 s between its tries: too long to learn that there is no network.
  args.push('--fetch-retries=2', '--fetch-retry-mintimeout=500', '--fetch-retry-maxtimeout=3000');
  const out = fs.openSync(log, 'w');
  return new Promise((resolve) => {
    const options = { cwd: folder, env, stdio: ['ignore', out, out] };
    const child = isNpm ? spawn(node, [given].concat(args), options) : spawn('npm', args, options);
    onChild(child);
    child.on('error', () => resolve('npm is not installed'));
    child.on('exit', (code, signal) => resolve(code === 0 ? undefined : reasonInLog(signal || `exit code ${code}`)));
  }).finally(() => fs.closeSync(out));
}

function reasonInLog(otherwise) {
  const words = readText(log) || '';
  const found =
    /npm (?:ERR!|error) code (\S+)/.exec(words) || /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|E40[1-9])\b/.exec(words);
  return `npm ended with ${found ? found[1] : otherwise} (its words are in ${path.relative(process.cwd(), log) || log})`;
}

/**
 * Runs `work` while no other process does. The lock is a folder that appears with its owner's token inside by one rename; the folder of
 * a dead owner is moved to a name that only it can have, so of two that want to bury it one fails, and nobody buries the living.
 */
async function alone(work) {
  const token = `${os.hostname()}.${process.pid}.${crypto.randomBytes(4).toString('hex')}`;
  const own = `${lock}.${token}`;
  try {
    fs.mkdirSync(own);
    fs.writeFileSync(path.join(own, 'owner'), token);
  } catch (error) {
    throw new Refusal(`Cannot install anything here: ${error.message}; make ${runtime} writable`);
  }
  for (let waited = false; !tryRename(own, lock); waited = true) {
    const owner = readText(path.join(lock, 'owner'));
    if (owner === undefined) continue;
    if (isDead(owner)) tryRename(lock, `${lock}.${owner}`);
    else {
      if (!waited) say('Waiting for another installation in this folder …');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  return await whileHeld(work, own);
}

async function whileHeld(work, own) {
  let child;
  let stopped;
  const onSignal = (signal) => {
    stopped = signal;
    // npm would finish its calls first; what it leaves is done again the next time.
    if (child !== undefined) child.kill('SIGKILL');
  };
  const release = stopOn(onSignal);
  const heartbeat = setInterval(() => fs.utimesSync(lock, new Date(), new Date()), 5000);
  try {
    return await work((it) => {
      child = it;
      // npm goes on when we are killed: the lock is taken from the dead only when it has ended, too.
      fs.writeFileSync(path.join(lock, 'child'), String(it.pid));
    });
  } finally {
    clearInterval(heartbeat);
    release();
    fs.renameSync(lock, own);
    sweep(own);
    if (stopped !== undefined) process.kill(process.pid, stopped);
  }
}

/** Removes our own lock, and those of the dead after an hour: by then nobody is about to bury them. */
function sweep(own) {
  for (const name of fs.readdirSync(runtime)) {
    const dir = path.join(runtime, name);
    if (dir !== own && !name.startsWith('.lock.')) continue;
    try {
      if (dir !== own && Date.now() - fs.statSync(dir).mtimeMs < 3600000) continue;
      for (const file of fs.readdirSync(dir)) fs.unlinkSync(path.join(dir, file));
      fs.rmdirSync(dir);
    } catch (error) {
      // The others come and go: what was listed a moment ago may be its owner's lock by now, or gone.
      if (error.code !== 'ENOENT') throw error;
    }
  }
}

function isDead(owner) {
  let age;
  try {
    age = Date.now() - fs.statSync(lock).mtimeMs;
  } catch (error) {
    return false;
  }
  if (owner.indexOf(`${os.hostname()}.`) !== 0) return age > 60000;
  const pids = [owner.split('.').slice(-2)[0], readText(path.join(lock, 'child'))].filter((pid) => pid !== undefined && pid !== '');
  // Ten minutes without a heartbeat: the process ids are of another boot.
  return age > 600000 || pids.every((pid) => !isAlive(Number(pid)));
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function tryRename(from, to) {
  try {
    fs.renameSync(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code)) return false;
    throw error;
  }
}

/** Runs the program in our place: its standard streams are ours, signals go to it, and its end is our end. */
function become(node, args) {
  const cache = process.env.NODE_COMPILE_CACHE || path.join(root, 'node_modules', '.cache', 'node');
  const env = Object.assign({}, process.env, {
    PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH || ''}`,
    NODE_COMPILE_CACHE: cache,
  });
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, { stdio: 'inherit', env });
    // A terminal sends Ctrl-C to the program itself: a second one would mean "at once".
    const isTerminal = Boolean(process.stdin.isTTY);
    const release = stopOn((signal) => (signal === 'SIGINT' && isTerminal ? undefined : child.kill(signal)));
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      release();
      if (signal === null) process.exitCode = code;
      else process.kill(process.pid, signal);
      resolve();
    });
  });
}

function stopOn(handler) {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, handler);
  return () => {
    for (const signal of signals) process.removeListener(signal, handler);
  };
}

function runs(binary, version) {
  return fs.existsSync(binary) && String(spawnSync(binary, ['--version']).stdout).trim() === `v${version}`;
}

/** A mark saves the next start the look; a checkout that we may only read does without. */
function mark(file, text) {
  try {
    fs.writeFileSync(file, text);
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EROFS' && error.code !== 'EPERM') throw error;
  }
  return true;
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    return undefined;
  }
}

function readJson(file) {
  const text = readText(file);
  return text === undefined ? undefined : JSON.parse(text);
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === here) launch(process.argv[2] || '', process.argv.slice(3));
