// A process that stores some attestations of one image at once, when it is told to: prints `open`, waits for its stdin to end, then prints what
// consumers must find, a line each. Argument: JSON with host, options, repository and text of the image, name and count.
import { text } from 'node:stream/consumers';
import type { OciOptions } from '../../src/store/oci/options.ts';
import { attestationOf, imageOf, newKey, ociWorld } from './store-world.ts';

interface Task {
  readonly host: string;
  readonly options: Partial<OciOptions>;
  readonly repository: string;
  readonly text: string;
  readonly name: string;
  readonly count: number;
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const key = newKey();
await using world = await ociWorld(task.host, task.options);
// Pushed by who started us.
const { repository, digest } = imageOf(task.repository, task.text);
const envelopes = Array.from({ length: task.count }, (_, index) => attestationOf([{ repository, digest }], `${task.name}-${index}`, key));
process.stdout.write('open\n');
await text(process.stdin);
await Promise.all(
  envelopes.map(async (envelope) => {
    await world.put(envelope);
    for (const line of world.expected(envelope)) process.stdout.write(`${line}\n`);
  }),
);
