import { parseArgs } from 'node:util';
import { backlog } from './backlog.ts';
import { derive } from './derive.ts';

/** One row for each benchmark: what it measures, and how it is run. All print ratios taken in one run, on one machine. */
const benches = {
  backlog: {
    says: 'a backlog of completed TaskRuns, beside a bare client that makes the same writes (--runs N, default 2000; --built: as the image has it)',
    run: backlog,
  },
  derive: { says: 'statements per second, beside JSON.parse and JSON.stringify of the same objects', run: derive },
} as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '2000' }, built: { type: 'boolean', default: false } },
});
const name = positionals[0] ?? '';
const runs = Number(values.runs);
if (!Object.hasOwn(benches, name) || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write(`Cannot measure "${name}": want one of\n`);
  for (const [each, { says }] of Object.entries(benches)) process.stderr.write(`  npm run bench -- ${each}  ${says}\n`);
  process.exitCode = 2;
} else {
  await benches[name as keyof typeof benches].run({ runs, isBuilt: values.built, say: (line) => void process.stdout.write(`${line}\n`) });
}
