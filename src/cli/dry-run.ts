import type { Config } from '../config/config.ts';
import { codeOf, sentenceOf, TerminalError } from '../errors.ts';
import type { CleanFamily } from '../extract/redact.ts';
import { familyOf } from '../family.ts';
import type { Drop } from '../model/artifact.ts';
import { payloadTypes } from '../model/dsse.ts';
import { orderedText } from '../model/json-text.ts';
import { parseJson, type Json, type JsonObject } from '../model/json.ts';
import { idOf, runKinds, type Family } from '../model/run.ts';
import type { Payload, Work } from '../model/work.ts';
import type { Context } from '../observe/context.ts';
import { payloadOf, plan, planOptionsOf, runKeyOf, type Plan } from '../plan.ts';
import { plain, styleOf, type Io } from './io.ts';
import { eachRun } from './run-files.ts';

export interface DryRunOptions {
  readonly file: readonly string[];
  readonly json: boolean;
  readonly anyState: boolean;
}

/**
 * Prints what would be signed: for each work its statement, or with `--json` one object a line
 * `{file, kind, namespace, name, uid, artifact, key, format, payloadType, payload, dropped}`, where `error: {code, message}` stands in the place
 * of a payload that cannot be made. Marks on the run are not looked at: it is asked for by name. Gives whether everything could be made.
 */
export async function dryRun(config: Config, options: DryRunOptions, io: Io, ctx: Context): Promise<boolean> {
  let failed = 0;
  const say = options.json ? sayJson : sayText;
  const problems = await eachRun(options.file, io, ctx, async ({ run, file, children }) => {
    if (!run.slim.isDone && !options.anyState) {
      io.stderr.write(
        `${plain(`${run.kind} ${run.namespace}/${run.name}`)}: not complete yet, passed over; --any-state takes it as it is\n`,
      );
      return;
    }
    const family = await familyOf(run, children, ctx, config.transparency === 'manual');
    const planned = planOf(family, config);
    if (planned.kind === 'failed') {
      failed += 1;
      const artifact = runKinds[run.kind].artifact;
      const { format, signers, stores } = config.artifacts[artifact];
      const key = runKeyOf(run);
      const work: Work = { key, shortKey: key, artifact, format, signer: signers[0] ?? 'none', stores, log: false, image: undefined };
      say({ file, family, work, result: planned, dropped: [] }, io);
      return;
    }
    const { family: clean, works, disabled, dropped, unread } = planned.plan;
    for (const work of works) {
      const result = made(work, clean, config);
      if (result.kind === 'failed') failed += 1;
      say({ file, family, work, result, dropped }, io);
    }
    if (unread.length > 0)
      io.stderr.write(`${plain(`${run.kind} ${run.namespace}/${run.name}`)}: children of image indexes are not looked up by --dry-run\n`);
    for (const { artifact, why } of disabled)
      io.stderr.write(`${plain(`${run.kind} ${run.namespace}/${run.name}`)}: no ${artifact}: ${plain(why)}\n`);
  });
  return failed === 0 && problems === 0;
}

type Result =
  | { readonly kind: 'made'; readonly payload: Payload }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

interface Said {
  readonly file: string;
  readonly family: Family;
  readonly work: Work;
  readonly result: Result;
  /** Of the plan, for a work that failed; a payload has its own. */
  readonly dropped: readonly Drop[];
}

/** A run that is refused whole (`extract.on-dropped: fail`, say) hides no other. */
function planOf(
  family: Family,
  config: Config,
): { readonly kind: 'planned'; readonly plan: Plan } | (Result & { readonly kind: 'failed' }) {
  try {
    return { kind: 'planned', plan: plan(family, planOptionsOf(config)) };
  } catch (error) {
    return { kind: 'failed', code: codeOf(error), message: sentenceOf(error) };
  }
}

function made(work: Work, family: CleanFamily, { format, limits }: Config): Result {
  try {
    const payload = payloadOf(work, family, format);
    if (payload.bytes.length <= limits.payloadBytes) return { kind: 'made', payload };
    throw new TerminalError(
      'limits.payload-bytes',
      `Cannot attest "${work.key}": its statement has ${payload.bytes.length} bytes, the limit is ${limits.payloadBytes}`,
    );
  } catch (error) {
    return { kind: 'failed', code: codeOf(error), message: sentenceOf(error) };
  }
}

function sayJson({ file, family, work, result, dropped }: Said, io: Io): void {
  const { kind, namespace, name, uid } = idOf(family.run);
  const { artifact, key, format } = work;
  const payloadType = artifact === 'oci' ? payloadTypes.simpleSigning : payloadTypes.inToto;
  const body: JsonObject =
    result.kind === 'made'
      ? { payloadType: result.payload.payloadType, payload: statementOf(result.payload), dropped: result.payload.dropped.map(dropOf) }
      : { payloadType, error: { code: result.code, message: result.message }, dropped: dropped.map(dropOf) };
  io.stdout.write(`${orderedText({ file, kind, namespace, name, uid, artifact, key, format, ...body })}\n`);
}

function sayText({ family: { run }, work, result }: Said, io: Io): void {
  const style = styleOf(io.stdout, io);
  const head = plain(`${run.kind} ${run.namespace}/${run.name} ${work.format} ${work.key}`);
  if (result.kind === 'failed') {
    io.stdout.write(`${style('red', 'cannot be made')} ${head}: ${plain(result.message)}\n`);
    return;
  }
  io.stdout.write(`${style('bold', head)}\n${JSON.stringify(statementOf(result.payload), undefined, 2)}\n`);
  for (const drop of result.payload.dropped)
    io.stdout.write(`${style('yellow', 'not used')}: ${plain(`${drop.result}: ${drop.why}; ${drop.fix}`)}\n`);
}

function statementOf({ bytes }: Payload): Json {
  return parseJson(Buffer.from(bytes).toString('utf8'));
}

function dropOf({ result, value, rule, why, fix }: Drop): JsonObject {
  return { result, value, rule, why, fix };
}
