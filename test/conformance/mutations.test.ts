import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sha256Of } from '../../src/model/digest.ts';
import type { Policy } from '../../src/verify/policy.ts';
import type { Verdict } from '../../src/verify/verdict.ts';
import { verify } from '../../src/verify/verify.ts';
import { missingRekor1 } from '../servers/rekor1.ts';
import { verifyBundle } from '../servers/sigstore-go.ts';
import { missing } from '../servers/tools.ts';
import { bytesChanged, contentsChanged, cuts, differenceOf, fieldsChanged, type Mutation } from './mutations.ts';
import { artifact, startWorld, type Recipe, type World } from './world.ts';

const absent = [await missingRekor1(), await missing('rekor-tiles', 'timestamp-authority', 'fulcio', 'sigstore-go')];
const skip = absent.filter((reason) => reason !== false).join('; ') || false;
const digest = sha256Of(artifact);

/** The only places where a change may pass, since nobody signs them, and why it means the same. */
const unsigned: Readonly<Record<string, string>> = {
  'verificationMaterial.publicKey.hint': 'a hint for finding the key, which is given here',
  'verificationMaterial.publicKey': 'the same without a hint',
};

interface Specimen {
  readonly name: string;
  readonly recipe: Recipe;
  readonly kinds: readonly ((text: string) => Generator<Mutation>)[];
  /** sigstore-go wants a log and a time. */
  readonly isForGo: boolean;
}

const kinds = [bytesChanged, cuts, fieldsChanged, contentsChanged];
const specimens: readonly Specimen[] = [
  { name: 'a key in a Rekor 1', recipe: { content: 'dsse', by: 'key', log: 1, stamped: false }, kinds, isForGo: true },
  { name: 'an identity in a Rekor 2, stamped', recipe: { content: 'dsse', by: 'identity', log: 2, stamped: true }, kinds, isForGo: true },
  {
    name: 'a file by an identity in a Rekor 1',
    recipe: { content: 'message', by: 'identity', log: 1, stamped: false },
    kinds: [fieldsChanged, contentsChanged],
    isForGo: true,
  },
  { name: 'a key alone', recipe: { content: 'dsse', by: 'key', log: 'none', stamped: false }, kinds, isForGo: false },
];

describe('mutations of a good bundle', { skip }, () => {
  let world: World;
  before(async () => {
    world = await startWorld(digest);
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
  });

  function policyOf({ recipe: { by, log, content } }: Specimen): Policy {
    return {
      ...(by === 'key' ? { keys: [world.key.pem] } : { identity: world.identity }),
      ...(log === 'none' ? {} : { trust: world.root, requireTrustedTime: true }),
      ...(content === 'dsse'
        ? { image: { digest }, predicateType: 'https://slsa.dev/provenance/v1' }
        : { blob: { sha256: digest, bytes: artifact } }),
    };
  }

  for (const specimen of specimens) {
    it(`of ${specimen.name} are refused, or mean the same, to sigstore-go as well`, async (context) => {
      // Some entries before it, so that the proof has hashes.
      for (let index = 0; index < 3; index += 1) await world.make(specimen.recipe);
      // The dash of the checkpoint as an escape: then each character is a byte.
      const text = (await world.make(specimen.recipe)).text.replaceAll('\u2014', '\\u2014');
      const policy = policyOf(specimen);
      const judge = (bundle: string): Verdict =>
        verify({ kind: 'bundle', place: { address: 'x', image: undefined }, body: Buffer.from(bundle, 'latin1') }, policy);
      const good = judge(text);
      assert.equal(good.kind, 'verified', JSON.stringify(good));
      const taken: Mutation[] = [];
      const sample: Mutation[] = [];
      let count = 0;
      for (const kind of specimen.kinds) {
        for (const mutation of kind(text)) {
          if (mutation.text === text) continue;
          count += 1;
          const verdict = judge(mutation.text);
          if (verdict.kind === 'verified') {
            assert.deepEqual(verdict, good, mutation.what);
            const where = differenceOf(mutation.text, text);
            assert.ok(unsigned[where] !== undefined, `${mutation.what}: ${where} is not signed, and may be changed`);
            taken.push(mutation);
          } else if (count % 400 === 0) sample.push(mutation);
        }
      }
      assert.ok(count >= 2_000, `${count} mutations`);
      let looser = 0;
      if (specimen.isForGo) {
        const { by, content } = specimen.recipe;
        const who = by === 'key' ? world.key.pem : { identity: world.identity.san, issuer: world.identity.issuer };
        const subject = content === 'dsse' ? `sha256:${digest}` : artifact;
        const go = async (bundle: string) => await verifyBundle({ bundle, by: who, trustedRoot: world.rootJson, artifact: subject });
        for (const { what, text: bundle } of taken) {
          const { ok, stderr } = await go(bundle);
          assert.ok(ok, `${what}: sigstore-go refuses it: ${stderr}`);
        }
        for (const { text: bundle } of sample) if ((await go(bundle)).ok) looser += 1;
      }
      context.diagnostic(
        `${count} mutations, ${taken.length} mean the same; sigstore-go takes ${looser} of a sample of ${sample.length} that we refuse`,
      );
    });
  }
});
