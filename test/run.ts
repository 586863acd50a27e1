import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { glob } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { run as runTests } from 'node:test';
import { spec } from 'node:test/reporters';
import { run } from './servers/command.ts';
import { installDebian, python } from './servers/debian.ts';
import { postgresql } from './servers/postgres.ts';
import { missing, obtainTool, toolNames, type ToolName } from './servers/tools.ts';

const root = path.resolve(import.meta.dirname, '..');
const isCi = process.env['CI'] === 'true';

/**
 * `npm test`: the checks, then every test, unit tests first. Words after `npm test --` are parts of paths: only those test files are
 * run, and no checks. Where tests must be skipped, the reason is said; with CI=true that is a failure.
 */
async function main(words: readonly string[]): Promise<boolean> {
  const files = (await testFiles()).filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
  if (files.length === 0) throw new Error(`Cannot test anything: no test file has ${words.join(' or ')} in its path`);
  await prepareSystem(files);
  const checked = words.length > 0 || (await succeeds('test/check.ts'));
  await prepareServers(files);
  const counts = await test(files);
  if (!checked) say('✖ A check failed: its words are above the tests, and again with npm run check');
  if (counts.skipped > 0) say(`${isCi ? '✖ ' : ''}${counts.skipped} skipped: ${counts.reasons.join('; ')}`);
  return checked && counts.failed === 0 && !(isCi && counts.skipped > 0);
}

/** Unit tests, then contracts and servers, then whole runs: what breaks first is told first. Not the architecture, a check has it. */
async function testFiles(): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const file of glob(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root })) found.push(file);
  // The longest file of all comes before its neighbours, so that no core waits for it in the end.
  const longest = 'test/integration/sigstore-matrix';
  const order = ['src', 'test/golden', 'test/fuzz', 'test/contract', 'test/servers', 'test/conformance', longest, 'test/integration'];
  const rank = (file: string): number => order.findIndex((folder) => file.startsWith(folder));
  return found.filter((file) => file !== 'test/architecture.test.ts').sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** openssl makes the certificates of the servers; without PostgreSQL the tests of Rekor 1 are skipped, and without Python those of AWS. */
async function prepareSystem(files: readonly string[]): Promise<void> {
  if (files.some((file) => !file.startsWith('src/'))) {
    for (const one of [postgresql, python]) await installDebian(one, say);
  }
  const hasOpenssl = async () => (await run('openssl', ['version']).catch(() => undefined))?.code === 0;
  await installDebian({ what: 'openssl', packages: ['openssl'], isThere: hasOpenssl }, say);
  if (!(await hasOpenssl())) throw new Error('Cannot make test certificates: openssl is missing; install it with your package manager');
}

/** Builds what is missing; what cannot be built (no Go, no network) is told to the tests, which skip what needs it. */
async function prepareServers(files: readonly string[]): Promise<void> {
  if (files.every((file) => file.startsWith('src/'))) return;
  const reason = await missing(...toolNames);
  if (reason !== false) {
    say(`Tests that need these are skipped: ${reason}`);
    return;
  }
  const failed: ToolName[] = [];
  for (const name of toolNames) {
    try {
      const { builtMs } = await obtainTool(name);
      if (builtMs !== undefined) say(`Built ${name} in ${Math.round(builtMs / 1000)} s`);
    } catch (error) {
      failed.push(name);
      say(error instanceof Error ? error.message : String(error));
    }
  }
  if (failed.length > 0) process.env['CHAINSMITH_TEST_UNBUILT'] = failed.join(',');
}

async function succeeds(script: string): Promise<boolean> {
  const child = spawn(process.execPath, [script], { cwd: root, stdio: 'inherit' });
  await once(child, 'exit');
  return child.exitCode === 0;
}

interface Counts {
  readonly failed: number;
  readonly skipped: number;
  readonly reasons: readonly string[];
}

async function test(files: readonly string[]): Promise<Counts> {
  say(`Running ${files.length} test files …`);
  let failed = 0;
  let skipped = 0;
  const reasons = new Set<string>();
  // Two at a time: the API servers of the integration tests share the cores with what they serve.
  const concurrency = Math.max(1, Math.min(availableParallelism(), 4));
  const stream = runTests({ files: files.map((file) => path.join(root, file)), cwd: root, concurrency, timeout: 600_000 });
  stream.on('test:fail', () => (failed += 1));
  stream.on('test:pass', ({ skip }) => {
    if (skip === undefined || skip === false) return;
    skipped += 1;
    reasons.add(typeof skip === 'string' ? skip : 'no reason given');
  });
  for await (const text of stream.compose(spec)) process.stdout.write(text as string);
  return { failed, skipped, reasons: [...reasons] };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

try {
  if (!(await main(process.argv.slice(2)))) process.exitCode = 1;
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
