import { parseArgs } from 'node:util';
import { backlog, type BenchOptions } from './backlog.ts';
import { derive } from './derive.ts';
import { signatures } from './signatures.ts';
import { verify } from './verify.ts';

interface Row {
  readonly says: string;
  /** What `--runs` is when it is not given. */
  readonly runs: number;
  readonly run: (options: BenchOptions) => Promise<void>;
}

/** One row for each benchmark: what it measures, and how it is run. All print ratios taken in one run, on one machine. */
const benches: Readonly<Record<string, Row>> = {
  backlog: {
    says: 'a backlog of completed TaskRuns, beside a bare client that makes the same writes (--runs N, default 2000; --built: as the image has it)',
    runs: 2_000,
    run: backlog,
  },
  derive: { says: 'statements per second, beside JSON.parse and JSON.stringify of the same objects', runs: 1, run: derive },
  signatures: {
    says: 'signatures of each kind of signer (or of one: signatures Vault; --runs N, default 10000), beside the bare key or request; memory, sockets, logins',
    runs: 10_000,
    run: signatures,
  },
  verify: {
    says: 'verifications per second of an image with five attestations, beside cosign verify-attestation (--runs N, default 200)',
    runs: 200,
    run: verify,
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string' }, built: { type: 'boolean', default: false } },
});
const name = positionals[0] ?? '';
const row = Object.hasOwn(benches, name) ? benches[name] : undefined;
const runs = values.runs === undefined ? row?.runs : Number(values.runs);
if (row === undefined || runs === undefined || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write(`Cannot measure "${name}": want one of\n`);
  for (const [each, { says }] of Object.entries(benches)) process.stderr.write(`  npm run bench -- ${each}  ${says}\n`);
  process.exitCode = 2;
} else {
  await row.run({ runs, isBuilt: values.built, only: positionals[1] ?? '', say: (line) => void process.stdout.write(`${line}\n`) });
}
