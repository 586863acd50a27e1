// The process that signs, alone with its signer: what it takes of memory and sockets is the signer's. Started by signatures.ts.
import { createPrivateKey, sign as signBytes } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { payloadTypes } from '../src/model/dsse.ts';
import type { Payload } from '../src/model/work.ts';
import type { Context } from '../src/observe/context.ts';
import { seal } from '../src/sign/dsse.ts';
import type { SignerKind } from '../src/sign/signer.ts';
import { signers } from '../src/sign/signers.ts';
import { parseTrustedRoot } from '../src/trust/trusted-root.ts';

const Order = z.object({
  kind: z.enum(['x509', 'kms', 'fulcio']),
  options: z.unknown(),
  count: z.int(),
  /** JSON of the trusted root; Fulcio wants one. */
  trustedRoot: z.string().optional(),
  /** The same signature made by nothing but the key, or by nothing but the request. */
  bare: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('key'), pem: z.string(), digest: z.string().nullable() }),
    z.object({
      kind: z.literal('request'),
      url: z.string(),
      method: z.enum(['PUT', 'POST']),
      headers: z.record(z.string(), z.string()),
      body: z.string(),
    }),
  ]),
});
export type Order = z.input<typeof Order>;

const Pace = z.object({
  /** Signatures per second. */
  rate: z.number(),
  /** CPU time of the process for one, in microseconds: not so much a matter of who else is at work. */
  cpuMicros: z.number(),
});

const Report = z.object({
  /** By nothing but the key or the request, by the signer, and by the signer with the envelope around it and the signature verified. */
  bare: Pace,
  signed: Pace,
  sealed: Pace,
  /** How long the signer was open, in seconds. */
  seconds: z.number(),
  /** Each before the signatures and after them; of resident memory what it was at most. */
  rssMb: z.tuple([z.number(), z.number()]),
  heapMb: z.tuple([z.number(), z.number()]),
  sockets: z.tuple([z.number(), z.number()]),
  descriptors: z.tuple([z.number(), z.number()]),
});
export type Report = z.output<typeof Report>;

export function parseReport(text: string): Report {
  return Report.parse(JSON.parse(text));
}

/** Signatures under way at once: what the controller allows for one signer. */
const parallel = 16;
const payloadBytes = 2_048;
const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

async function measure(order: z.output<typeof Order>): Promise<Report> {
  const { kind, options, trustedRoot, count, bare } = order;
  const row: SignerKind = signers[kind];
  const means = {
    trust: async () => parseTrustedRoot(Buffer.from(trustedRoot ?? '{}'), 'the bench'),
    secret: async () => await Promise.resolve(undefined),
  };
  const startedAt = performance.now();
  const signer = await row.open(row.options.parse(options), means, ctx);
  const payload = payloadOf(kind);
  const bareOne = bareSigning(bare, payload.bytes);
  const sealOne = async () => void (await seal(payload, filing, signer, 'dsse', ctx));
  const signOne = async () => void (await signer.sign(payload.bytes, ctx));
  await paces(Math.ceil(count / 10), [bareOne, signOne, sealOne]);
  const before = await sizes();
  const watched = watchRss();
  const [bareAll, signed] = await paces(count, [bareOne, signOne]);
  const rss = watched();
  const after = await sizes();
  const [sealed] = await paces(Math.ceil(count / 4), [sealOne]);
  await signer[Symbol.asyncDispose]();
  return Report.parse({
    bare: bareAll,
    signed,
    sealed,
    seconds: (performance.now() - startedAt) / 1_000,
    rssMb: [before.rssMb, rss],
    heapMb: [before.heapMb, after.heapMb],
    sockets: [before.sockets, after.sockets],
    descriptors: [before.descriptors, after.descriptors],
  });
}

const filing = {
  run: { kind: 'TaskRun', namespace: 'bench', name: 'run', uid: 'uid' },
  shortKey: 'run',
  predicateType: undefined,
  images: [],
} as const;

function payloadOf(name: string): Payload {
  const bytes = Buffer.from(JSON.stringify({ name }).padEnd(payloadBytes));
  return { payloadType: payloadTypes.inToto, predicateType: undefined, bytes, subjects: [], images: [], dropped: [] };
}

function bareSigning(bare: z.output<typeof Order>['bare'], bytes: Uint8Array): () => Promise<void> {
  if (bare.kind === 'key') {
    const key = createPrivateKey(bare.pem);
    return async () => void signBytes(bare.digest ?? undefined, bytes, { key, dsaEncoding: 'der' });
  }
  const { url, method, headers, body } = bare;
  const dispatcher = new Agent({ connections: parallel });
  return async () => {
    const answer = await request(url, { method, headers, body, dispatcher });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`Cannot sign at ${url}: ${answer.statusCode} ${text}`);
  };
}

const slices = 10;

/** Each of the works so often, a tenth of one after a tenth of the other: what else the machine does is the same for all. */
async function paces(count: number, works: readonly (() => Promise<void>)[]): Promise<readonly z.output<typeof Pace>[]> {
  const each = Math.ceil(count / slices);
  const spent = works.map((work) => ({ work, ms: 0, cpuMicros: 0 }));
  for (let slice = 0; slice < slices; slice += 1) {
    for (const one of spent) {
      const [startedAt, used] = [performance.now(), process.cpuUsage()];
      await repeat(each, one.work);
      const { user, system } = process.cpuUsage(used);
      one.ms += performance.now() - startedAt;
      one.cpuMicros += user + system;
    }
  }
  const total = each * slices;
  return spent.map(({ ms, cpuMicros }) => ({ rate: (total * 1_000) / ms, cpuMicros: cpuMicros / total }));
}

async function repeat(count: number, work: () => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (next < count) {
        next += 1;
        await work();
        // Else nothing but signatures would ever have its turn, as in no real process.
        if (next % 64 === 0) await turn();
      }
    }),
  );
}

interface Sizes {
  readonly rssMb: number;
  readonly heapMb: number;
  readonly sockets: number;
  readonly descriptors: number;
}

const megabyte = 1024 * 1024;

/** After a collection, so that what is left is in use. */
async function sizes(): Promise<Sizes> {
  for (let round = 0; round < 3; round += 1) {
    await sleep(20);
    globalThis.gc?.();
  }
  const all = await readdir('/proc/self/fd');
  const links = await Promise.all(all.map(async (fd) => await readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return {
    rssMb: process.memoryUsage.rss() / megabyte,
    heapMb: process.memoryUsage().heapUsed / megabyte,
    sockets: links.filter((link) => link.startsWith('socket:')).length,
    descriptors: links.filter((link) => link !== '').length,
  };
}

/** Gives the largest resident size since, in MB. */
function watchRss(): () => number {
  let most = process.memoryUsage.rss();
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20);
  return () => {
    clearInterval(timer);
    return Math.max(most, process.memoryUsage.rss()) / megabyte;
  };
}

const [, program, orderFile] = process.argv;
if (program === import.meta.filename && orderFile !== undefined) {
  const order = Order.parse(JSON.parse(await readFile(orderFile, 'utf8')));
  process.stdout.write(JSON.stringify(await measure(order)));
}
