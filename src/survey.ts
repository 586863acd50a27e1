import type { Breakers } from './breakers.ts';
import { TerminalError } from './errors.ts';
import { fullName } from './extract/reference.ts';
import type { Journal } from './journal/journal.ts';
import type { Image } from './model/artifact.ts';
import type { Family } from './model/run.ts';
import type { Context } from './observe/context.ts';
import { nothingPerImage } from './per-image.ts';
import { plan, type Plan, type PlanOptions } from './plan.ts';

/** What a survey asks. */
export interface Ground {
  readonly journal: Pick<Journal, 'children' | 'keepChildren'>;
  readonly breakers: Breakers;
  readonly plan: PlanOptions;
  /** The manifests below an image, from the registry that has it; none for an image that is no index. */
  children(image: Image, ctx: Context): Promise<readonly Image[]>;
}

export interface Survey extends Plan {
  /** What could not be looked up: the works that are known go on, and the run ends with these. */
  readonly errors: readonly unknown[];
}

/** More statements and signatures for single images than any build makes. */
const maxPerImage = 1_024;

/**
 * The plan of a run, with the children of its image indexes when they are asked for. What a registry said once is in the journal before anything
 * is made of it, so every retry has the same works, whatever became of the index meanwhile (P3, P7). The run must have been admitted.
 */
export async function surveyed(family: Family, ground: Ground, ctx: Context): Promise<Survey> {
  const bare = plan(family, ground.plan);
  const { indexes, errors } = await indexesOf(bare.unread, family.run.uid, ground, ctx);
  const whole = bare.unread.length === 0 ? bare : plan(family, ground.plan, indexes);
  if (whole.works.length <= maxPerImage) return { ...whole, errors };
  const plain = plan(family, { ...ground.plan, perImage: nothingPerImage });
  const extra = whole.works.length - plain.works.length;
  if (extra <= maxPerImage) return { ...whole, errors };
  return { ...plain, errors: [...errors, tooMany(family, extra)] };
}

async function indexesOf(images: readonly Image[], uid: string, ground: Ground, ctx: Context) {
  const results = await Promise.allSettled(
    images.map(async (image) => [fullName(image), await lookedUp(image, uid, ground, ctx)] as const),
  );
  ctx.signal.throwIfAborted();
  return {
    indexes: new Map(results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))),
    errors: results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : [])),
  };
}

async function lookedUp(image: Image, uid: string, { journal, breakers, children }: Ground, ctx: Context): Promise<readonly Image[]> {
  const known = await journal.children(uid, image);
  if (known !== undefined) return known;
  const found = await breakers.guard(`oci:${image.repository.split('/')[0]}`, async () => await children(image, ctx));
  return await journal.keepChildren(uid, image, found);
}

function tooMany({ run }: Family, extra: number): TerminalError {
  return new TerminalError(
    'plan.too-many-images',
    `Cannot attest each image of "${run.namespace}/${run.name}": it would take ${extra} works, more than ${maxPerImage}`,
    { fix: 'let the run make fewer images, or set artifacts.oci.provenance, .recursive or .sign-subjects to "false"' },
  );
}
