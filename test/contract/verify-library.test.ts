import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { sha256Of } from '../../src/model/digest.ts';
import * as library from '../../src/verify/library.ts';
import { startWorld, artifact } from '../conformance/world.ts';
import { run } from '../servers/command.ts';
import { missingRekor1 } from '../servers/rekor1.ts';
import { missing } from '../servers/tools.ts';

const root = path.join(import.meta.dirname, '..', '..');
const absent = [await missingRekor1(), await missing('rekor-tiles', 'timestamp-authority', 'fulcio')];
const skip = absent.filter((reason) => reason !== false).join('; ') || false;

describe('chainsmith/verify', () => {
  it('is documented, all of it', async () => {
    const text = await readFile(path.join(root, 'docs/library.md'), 'utf8');

    assert.deepEqual(
      Object.keys(library).filter((name) => !text.includes(`\`${name}(`)),
      [],
    );
  });

  it('does what its example says', { skip }, async () => {
    await using world = await startWorld(sha256Of(artifact));
    const { text } = await world.make({ content: 'dsse', by: 'identity', log: 2, stamped: true });
    const at = (name: string): string => path.join(world.dir, name);
    await writeFile(at('bundle.sigstore.json'), text);
    await writeFile(at('trusted_root.json'), world.rootJson);
    const example = /```js\n([^]*?)```/.exec(await readFile(path.join(root, 'docs/library.md'), 'utf8'))?.[1] ?? '';
    const programOf = (digest: string): string =>
      example
        .replace("'chainsmith/verify'", `'${pathToFileURL(path.join(root, 'src/verify/library.ts')).href}'`)
        .replace('https://kubernetes.io/namespaces/tekton-chains/serviceaccounts/controller', world.identity.san)
        .replace('/https:\\/\\/issuer\\.example(:\\d+)?/', '/http:\\/\\/127\\.0\\.0\\.1(:\\d+)?/')
        .replace("digest: '…'", `digest: '${digest}'`);
    await writeFile(at('good.mjs'), programOf(sha256Of(artifact)));
    await writeFile(at('bad.mjs'), programOf(sha256Of(Buffer.from('x'))));

    const good = await run(process.execPath, ['good.mjs'], { cwd: world.dir });
    const bad = await run(process.execPath, ['bad.mjs'], { cwd: world.dir });

    assert.match(good.stdout, new RegExp(`^signed by ${world.identity.san} before 20.*Z, in http://localhost:\\d+\\n$`), good.stderr);
    assert.match(bad.stderr, /Error: image: none of its 1 subjects is the image/);
  });
});
