import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { parsePublicKey } from '../../src/model/public-key.ts';
import { proposalOf } from '../../src/tlog/rekor-v1-entry.ts';
import { claimOf, type Claim } from '../../src/tlog/claim.ts';
import type { Log } from '../../src/tlog/log.ts';
import { requestOf } from '../../src/tlog/rekor-v2-entry.ts';
import { emptyRoot } from '../../src/trust/trusted-root.ts';
import { missingRekor1, startRekor1, type Rekor1 } from '../servers/rekor1.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { missing } from '../servers/tools.ts';
import { ctx, type Key, ecKey, edKey, envelopeOf, failureOf, openLog, rsaKey, trustIn, type Digest } from './tlog-world.ts';

interface KeyRow {
  readonly name: string;
  readonly key: Key;
  readonly over: Digest;
  /** Which logs take it: what is signed as `dsse` and as `raw` by Rekor 1, and either by Rekor 2. */
  readonly takenBy: readonly ('1 dsse' | '1 raw' | '2')[];
}

const rows: readonly KeyRow[] = [
  { name: 'ECDSA P-256', key: ecKey('P-256', 'sha256'), over: 'sha256', takenBy: ['1 dsse', '1 raw', '2'] },
  { name: 'ECDSA P-384 over SHA-384', key: ecKey('P-384', 'sha384'), over: 'sha384', takenBy: ['1 raw', '2'] },
  { name: 'ECDSA P-384 over SHA-256', key: ecKey('P-384', 'sha256'), over: 'sha256', takenBy: ['1 dsse'] },
  { name: 'ECDSA P-521 over SHA-512', key: ecKey('P-521', 'sha512'), over: 'sha512', takenBy: ['1 raw', '2'] },
  { name: 'ECDSA P-521 over SHA-256', key: ecKey('P-521', 'sha256'), over: 'sha256', takenBy: ['1 dsse'] },
  { name: 'RSA of 2048 bits', key: rsaKey(2048), over: 'sha256', takenBy: ['1 dsse', '1 raw', '2'] },
  { name: 'RSA of 3072 bits', key: rsaKey(3072), over: 'sha256', takenBy: ['1 dsse', '1 raw', '2'] },
  { name: 'RSA of 4096 bits', key: rsaKey(4096), over: 'sha256', takenBy: ['1 dsse', '1 raw', '2'] },
  { name: 'RSA of 2560 bits', key: rsaKey(2560), over: 'sha256', takenBy: ['1 dsse'] },
  { name: 'Ed25519', key: edKey(), over: undefined, takenBy: ['1 dsse'] },
];

/** What is sent to Rekor 2 for a key that we refuse ourselves: as an ordinary client would. */
function requestFor({ name, over }: KeyRow, claim: Claim): string {
  if (name === 'Ed25519') return requestWith(claim, 'PKIX_ED25519', 'sha512');
  if (name === 'RSA of 2560 bits') return requestWith(claim, 'PKIX_RSA_PKCS1V15_2048_SHA256', over ?? 'sha256');
  return requestOf(claim);
}

function requestWith({ bytes, key, envelope }: Claim, keyDetails: string, algorithm: string): string {
  const rawBytes = key.object.export({ type: 'spki', format: 'der' }).toString('base64');
  const content = Buffer.from(envelope.signature).toString('base64');
  const digest = createHash(algorithm).update(bytes).digest('base64');
  return JSON.stringify({ hashedRekordRequestV002: { digest, signature: { content, verifier: { publicKey: { rawBytes }, keyDetails } } } });
}

async function statusOf(url: string, body: string): Promise<number> {
  const answer = await request(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await answer.body.dump();
  return answer.statusCode;
}

const worlds = [
  { version: 1, skip: await missingRekor1(), start: startRekor1, path: '/api/v1/log/entries' },
  { version: 2, skip: await missing('rekor-tiles'), start: startRekor2, path: '/api/v2/log/entries' },
] as const;

for (const { version, skip, start, path } of worlds) {
  describe(`refusal of a log of generation ${version}`, { skip }, () => {
    let rekor: Rekor1 | Rekor2;
    let log: Log;
    before(async () => {
      rekor = await start();
      log = await openLog(version, { url: rekor.url }, trustIn({ logs: [rekor] }));
    });
    after(async () => {
      await log[Symbol.asyncDispose]();
      await rekor[Symbol.asyncDispose]();
    });

    for (const row of rows) {
      for (const kind of ['dsse', 'raw'] as const) {
        const isTaken = row.takenBy.includes(version === 2 ? '2' : `1 ${kind}`);
        it(`agrees with the server on what is signed as ${kind} with ${row.name}: ${isTaken ? 'taken' : 'refused'}`, async () => {
          const envelope = envelopeOf(kind, row.name, row.key);
          const claim = claimOf(envelope);
          const size = await rekor.size();

          const refusal = log.refusal(parsePublicKey(row.key.publicKey), kind, row.over ?? 'bytes');

          assert.equal(refusal === undefined, isTaken);
          if (isTaken) {
            const entry = await log.append(envelope, ctx);
            assert.equal(entry.logIndex, size);
          } else {
            const error = await failureOf(log.append(envelope, ctx));
            assert.deepEqual([error.code, error.message], ['tlog.key', `Cannot log an envelope: ${refusal}`]);
            // The server is asked past us: were it to take more than it did, this says so. A panic of 2.3.0 on pure Ed25519 is no yes.
            const status = await statusOf(rekor.url + path, version === 1 ? proposalOf(claim) : requestFor(row, claim));
            assert.ok([400, 500].includes(status), `the answer is ${status}`);
            assert.equal(await rekor.size(), size);
          }
        });
      }
    }
  });
}

describe('refusal without a digest', () => {
  const cases: readonly {
    readonly name: string;
    readonly version: 1 | 2;
    readonly kind: 'dsse' | 'raw';
    readonly want: string | undefined;
  }[] = [
    { name: 'ECDSA P-384 over SHA-384', version: 1, kind: 'dsse', want: undefined },
    { name: 'ECDSA P-384 over SHA-256', version: 2, kind: 'dsse', want: undefined },
    {
      name: 'Ed25519',
      version: 1,
      kind: 'raw',
      want: 'Rekor 1 takes no hashedrekord entry of signatures by an Ed25519 key: it takes ECDSA with the digest of its curve, and RSA of 2048, 3072 or 4096 bits',
    },
    {
      name: 'RSA of 2560 bits',
      version: 2,
      kind: 'dsse',
      want: 'Rekor 2 takes no hashedrekord entry of signatures by an RSA key of 2560 bits: it takes ECDSA with the digest of its curve, and RSA of 2048, 3072 or 4096 bits',
    },
  ];
  for (const { name, version, kind, want } of cases) {
    it(`${want === undefined ? 'is none' : 'has a reason'} for a key of generation ${version} as ${kind}: ${name}`, async () => {
      await using log = await openLog(version, { url: 'http://127.0.0.1:9' }, emptyRoot);
      const row = rows.find((row) => row.name === name) ?? assert.fail();

      assert.equal(log.refusal(parsePublicKey(row.key.publicKey), kind), want);
    });
  }
});
