import path from 'node:path';
import { run } from './servers/command.ts';

/** Everything that can be said of the code without running it. All are made, also after one that fails. */
const checks = [
  { name: 'format', args: ['node_modules/oxfmt/bin/oxfmt', '--check', '.'], fix: 'npm run format' },
  { name: 'lint', args: ['node_modules/oxlint/bin/oxlint', '--type-aware', 'src', 'test', 'bench'] },
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '-p', '.'] },
  { name: 'unused code', args: ['node_modules/knip/bin/knip.js', '--no-progress'] },
  { name: 'architecture', args: ['--test', '--test-reporter=spec', 'test/architecture.test.ts'] },
] as const satisfies readonly { readonly name: string; readonly args: readonly string[]; readonly fix?: string }[];

async function check(): Promise<boolean> {
  let failed = 0;
  for (const { name, args, ...more } of checks) {
    const started = Date.now();
    // Inside a test runner (NODE_TEST_CONTEXT) a nested one would report to it instead of to us.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const outcome = await run(process.execPath, args, { cwd: path.resolve(import.meta.dirname, '..'), env, timeoutMs: 300_000 });
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    const ok = outcome.code === 0;
    process.stdout.write(`${ok ? '✔' : '✖'} ${name.padEnd(14)} ${seconds} s\n`);
    if (ok) {
      // What is no error yet, and would go unseen: files that grow.
      for (const warning of outcome.stdout.match(/^.*: more than 200$/gm) ?? []) process.stdout.write(`  ${warning.trim()}\n`);
      continue;
    }
    failed += 1;
    process.stdout.write(`${outcome.stdout}${outcome.stderr}${'fix' in more ? `Fix: ${more.fix}\n` : ''}\n`);
  }
  return failed === 0;
}

if (!(await check())) process.exitCode = 1;
