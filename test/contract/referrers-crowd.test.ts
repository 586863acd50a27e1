import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { oci } from '../../src/store/oci/oci.ts';
import type { OciOptions } from '../../src/store/oci/options.ts';
import { startCraneRegistry, startOciRegistry, startRefRegistry, startRegistry } from '../servers/registry.ts';
import { scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';
import { imageOf, ociWorld, pushTestImage, seen } from './store-world.ts';

const [processes, each] = [4, 4];

interface Place extends AsyncDisposable {
  readonly host: string;
  readonly options: Partial<OciOptions>;
}

const inFolder = async (): Promise<Place> => {
  const files = await scratch('crowd');
  return {
    host: 'r.example',
    options: { directory: path.join(files.dir, 'layout') },
    [Symbol.asyncDispose]: async () => await files[Symbol.asyncDispose](),
  };
};
const withoutOptions = (start: () => Promise<AsyncDisposable & { readonly host: string }>) => async (): Promise<Place> => {
  const server = await start();
  return { host: server.host, options: {}, [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose]() };
};

const places = [
  { name: 'a registry with the referrers API', skip: await missing('ociregistry'), open: withoutOptions(startOciRegistry) },
  { name: 'one that tells little of referrers', skip: await missing('refregistry'), open: withoutOptions(startRefRegistry) },
  { name: 'distribution, without the API', skip: await missing('registry'), open: withoutOptions(async () => await startRegistry()) },
  { name: 'crane, without the API', skip: await missing('crane'), open: withoutOptions(startCraneRegistry) },
  { name: 'a layout folder', skip: false, open: inFolder },
];

/** Everything that a process says, once it was let go. */
async function crowd(tasks: readonly object[]): Promise<readonly string[]> {
  const file = fileURLToPath(import.meta.resolve('./store-writer.ts'));
  const children = tasks.map((task) =>
    spawn(process.execPath, [file, JSON.stringify(task)], { stdio: ['pipe', 'pipe', 'inherit'], timeout: 60_000, killSignal: 'SIGKILL' }),
  );
  const outputs = children.map(() => '');
  const open = children.map(async (child, index) => {
    const first = Promise.withResolvers<undefined>();
    child.stdout.on('data', (chunk: Buffer) => {
      outputs[index] += chunk.toString();
      if (outputs[index]?.startsWith('open\n') === true) first.resolve(undefined);
    });
    child.once('close', () => {
      first.reject(new Error('it ended before it was open'));
    });
    await first.promise;
  });
  const closed = children.map(async (child) => await (once(child, 'close') as Promise<readonly unknown[]>));
  await Promise.all(open);
  for (const child of children) child.stdin.end();
  const codes = (await Promise.all(closed)).map(([code]) => code);
  assert.deepEqual(
    codes,
    tasks.map(() => 0),
  );
  return outputs.flatMap((output) => output.split('\n').slice(1, -1));
}

describe('16 that write about one image at once, from four processes', () => {
  for (const { name, skip, open } of places) {
    it(`lose nothing in ${name}`, { skip }, async () => {
      await using place = await open();
      const options = { ...place.options, layout: 'both' as const };
      const image = imageOf(`${place.host}/crowd`, 'crowd');
      await pushTestImage(image, oci.options.parse(options));
      const tasks = Array.from({ length: processes }, (_, index) => ({
        host: place.host,
        options,
        repository: image.repository,
        text: 'crowd',
        name: `p${index}`,
        count: each,
      }));

      const wanted = await crowd(tasks);

      assert.equal(wanted.length, processes * each * 2);
      await using world = await ociWorld(place.host, options);
      const there = (await world.list(image)).map(seen);
      assert.deepEqual(there.toSorted(), wanted.toSorted());
    });
  }
});
