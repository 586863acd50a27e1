import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { runOf } from '../test/golden/rows.ts';
import { Breakers } from './breakers.ts';
import { TransientError } from './errors.ts';
import { fullName } from './extract/reference.ts';
import type { Journal } from './journal/journal.ts';
import { openJournal } from './journal/journals.ts';
import type { Image } from './model/artifact.ts';
import { sha256Of } from './model/digest.ts';
import { nothingPerImage } from './per-image.ts';
import type { PlanOptions } from './plan.ts';
import { surveyed } from './survey.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const imageOf = (text: string): Image => ({ repository: `${text.slice(0, 1)}.io/app`, digest: sha256Of(Buffer.from(text)) });
const [first, second, child] = [imageOf('a'), imageOf('b'), imageOf('a-child')];

const run = { format: 'slsa/v2alpha4', signers: ['x509'], stores: ['oci'] };
const options: PlanOptions = {
  artifacts: { taskrun: run, pipelinerun: run, oci: { ...run, format: 'simplesigning' } },
  format: { builderId: 'b', buildType: '', deepInspection: false },
  redact: { params: [], results: [], tokenShapes: true, salt: '' },
  perImage: { ...nothingPerImage, recursive: true },
};
const familyOf = (uid: string, images: readonly Image[]) => {
  const results = [{ name: 'IMAGES', value: images.map(fullName).join() }];
  return { run: runOf('TaskRun', { metadata: { name: uid, namespace: 'ci', uid }, status: { results } }), children: [] };
};

describe('surveyed', () => {
  let journal: Journal;
  before(async () => {
    journal = await openJournal({ url: 'sqlite::memory:' }, ctx);
  });
  after(async () => await journal[Symbol.asyncDispose]());

  const survey = async (
    uid: string,
    images: readonly Image[],
    children: (image: Image) => Promise<readonly Image[]>,
    perImage = options,
  ) => {
    await journal.admit({ id: { kind: 'TaskRun', namespace: 'ci', name: uid, uid }, lane: 'live', at: 1, snapshot: undefined });
    const ground = { journal, breakers: new Breakers(), plan: perImage, children };
    const { works, errors } = await surveyed(familyOf(uid, images), ground, ctx);
    return { keys: works.map(({ key }) => key), errors };
  };
  const nobody = async (): Promise<never> => await Promise.reject(new TransientError('oci.no-image', 'gone'));

  it('plans the children, and the same again when the index is gone', async () => {
    const keys = ['taskrun-again', `taskrun-again/${fullName(child)}`, fullName(first), fullName(child)];

    const found = await survey('again', [first], async () => await Promise.resolve([child]));
    const again = await survey('again', [first], nobody);

    assert.deepEqual({ found, again }, { found: { keys, errors: [] }, again: { keys, errors: [] } });
  });

  it('goes on with the works of other images when one cannot be looked up', async () => {
    const error = new TransientError('oci.no-image', 'gone');
    const { keys, errors } = await survey('beside', [first, second], async (image) =>
      image.digest === second.digest ? await Promise.reject(error) : await Promise.resolve([child]),
    );

    assert.deepEqual(keys, ['taskrun-beside', `taskrun-beside/${fullName(child)}`, ...[first, second, child].map(fullName)]);
    assert.deepEqual(errors, [error]);
  });

  it('asks nobody when nothing is asked for', async () => {
    const plain = await survey('plain', [first], nobody, { ...options, perImage: nothingPerImage });

    assert.deepEqual(plain, { keys: ['taskrun-plain', fullName(first)], errors: [] });
  });

  it('makes what it always makes, and an error, when it would be too much', async () => {
    const images = Array.from({ length: 20 }, (_, index) => imageOf(`image-${index}`));
    const many = async (image: Image) =>
      await Promise.resolve(Array.from({ length: 64 }, (_, index) => imageOf(`${image.digest} ${index}`)));

    const { keys, errors } = await survey('many', images, many);

    assert.deepEqual(keys, ['taskrun-many', ...images.map(fullName)]);
    assert.deepEqual(
      errors.map((error) => error instanceof Error && error.message),
      ['Cannot attest each image of "ci/many": it would take 2560 works, more than 1024'],
    );
  });
});
