// A process that writes to a journal until it is killed, and prints a uid for each run whose writes were acknowledged. Argument: the journal's URL.
import { pino } from 'pino';
import { openJournal } from '../../src/journal/journals.ts';
import type { Envelope } from '../../src/model/envelope.ts';
import type { RunId } from '../../src/model/run.ts';

const [url = ''] = process.argv.slice(2);
const journal = await openJournal({ url }, { signal: new AbortController().signal, logger: pino({ level: 'silent' }) });

async function write(uid: string): Promise<void> {
  const id: RunId = { kind: 'TaskRun', namespace: 'ci', name: uid, uid };
  const bytes = Buffer.from(`payload of ${uid}`.repeat(100));
  const payload = { payloadType: 'text/plain', predicateType: undefined, bytes, subjects: [], images: [], dropped: [] };
  const envelope: Envelope = {
    kind: 'raw',
    payloadType: 'text/plain',
    payload: bytes,
    signature: Buffer.from(uid),
    body: Buffer.from(uid),
    publicKey: 'key',
    certificate: '',
    chain: '',
    filing: { run: id, shortKey: `taskrun-${uid}`, predicateType: undefined, images: [] },
  };
  await journal.admit({ id, lane: 'live', at: 1, snapshot: '{}' });
  await journal.keepPayload(
    uid,
    { key: 'work', artifact: 'taskrun', format: 'slsa/v1', signer: 'x509', stores: ['tekton'], log: false },
    payload,
  );
  await journal.keepEnvelope(uid, 'work', envelope);
  process.stdout.write(`${uid}\n`);
}

async function writeForEver(writer: number): Promise<never> {
  for (let count = 0; ; count += 1) await write(`${process.pid}-${writer}-${count}`);
}

process.stdout.write('open\n');
await Promise.all(Array.from({ length: 8 }, (_, writer) => writeForEver(writer)));
