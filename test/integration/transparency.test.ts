import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run, type Outcome } from '../servers/command.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { startFulcio } from '../servers/fulcio.ts';
import { startOidcIssuer } from '../servers/oidc-issuer.ts';
import { until } from '../servers/process.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { missingRekor1, startRekor1, type Rekor1 } from '../servers/rekor1.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';
import { startTimestampAuthority, type TimestampAuthority } from '../servers/timestamp-authority.ts';
import { missing } from '../servers/tools.ts';
import { signingConfigOf, trustedRootOf } from '../servers/trusted-root.ts';
import { newTaskRun, pushTinyImage, succeeded } from './cluster.ts';
import {
  bundlesAt,
  cli,
  countsOf,
  dropRun,
  flagsOf,
  layersAt,
  logAt,
  newPipelineRun,
  newPlace,
  putFile,
  sha256,
  startController,
  startGate,
  toldBy,
  withAnnotations,
  type Dropped,
  type Place,
} from './log-world.ts';

const waitMs = 60_000;
const servers = new AsyncDisposableStack();
const skip = (await missingRekor1()) || (await missing('rekor-tiles', 'timestamp-authority', 'registry', 'fulcio'));
const upload = { 'chains.tekton.dev/transparency-upload': 'true' };

describe('transparency', { skip }, () => {
  let files: Scratch;
  let rekor1: Rekor1;
  let rekor2: Rekor2;
  let tsa: TimestampAuthority;
  let registry: Registry;
  let trust: string;
  before(async () => {
    [files, rekor1, rekor2, tsa, registry] = await Promise.all([
      scratch('transparency'),
      startRekor1(),
      startRekor2(),
      startTimestampAuthority(),
      startRegistry(),
    ]);
    for (const server of [files, rekor1, rekor2, tsa, registry]) servers.use(server);
    trust = await trusting('trusted-root.json', { logs: [rekor1, rekor2], timestampAuthorities: [tsa] });
  });
  after(async () => await servers.disposeAsync());

  async function trusting(name: string, material: Parameters<typeof trustedRootOf>[0]): Promise<string> {
    await putFile(path.join(files.dir, name), trustedRootOf(material));
    return path.join(files.dir, name);
  }

  async function placeFor(name: string, settings: Readonly<Record<string, string>>): Promise<Place> {
    return await newPlace(path.join(files.dir, name), { 'transparency.url': rekor1.url, 'trust.root': trust, ...settings });
  }

  const version2 = (): Readonly<Record<string, string>> => ({
    'transparency.url': rekor2.url,
    'transparency.version': '2',
    'transparency.timestamp.url': tsa.url,
  });

  async function attest(place: Place): Promise<Outcome> {
    return await run(process.execPath, [cli, 'attest', '-f', place.runs, '--config', await configOf(place), '--json']);
  }

  async function configOf({ journal, settings }: Place): Promise<string> {
    const file = `${journal}.json`;
    await writeFile(file, JSON.stringify({ 'journal.url': `sqlite://${journal}`, ...settings }));
    return file;
  }

  async function untilSigned(runs: readonly Dropped[], log: () => string): Promise<void> {
    const isDone = async () => (await countsOf(registry.host, runs)).every((count) => count === '1/1');
    await until('everything to be signed', waitMs, isDone).catch(async (error: unknown) => {
      throw new Error(`${(await countsOf(registry.host, runs)).join(' ')}\n${log()}`, { cause: error });
    });
  }

  it('logs with "manual" the TaskRun in a file whose PipelineRun stands beside it and asks for it', async () => {
    const place = await placeFor('manual', { 'transparency.enabled': 'manual' });
    const size = await rekor1.size();
    const status = (name: string) => succeeded({ repository: `${registry.host}/ci/app`, digest: `sha256:${sha256(Buffer.from(name))}` });
    const uid = '5a9b0d1c-0000-4000-8000-000000000001';
    const owned = withUid(newPipelineRun('owner'), uid);
    const items = [
      withAnnotations({ ...owned, ...succeeded(undefined) }, upload),
      { ...newTaskRun('owned', { name: 'owner', uid, task: 'build' }), ...status('owned') },
      { ...newTaskRun('alone'), ...status('alone') },
    ];
    await writeFile(path.join(place.runs, 'runs.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

    const { code, stdout, stderr } = await attest(place);

    assert.equal(code, 0, stdout + stderr);
    const runsWith = async (name: string) =>
      (await layersAt(registry.host, { name, repository: '', hex: sha256(Buffer.from(name)) }, 'att')).map(
        (layer) => toldBy(layer)?.body.kind,
      );
    assert.deepEqual([await runsWith('owned'), await runsWith('alone')], [['dsse'], [undefined]]);
    assert.equal((await rekor1.size()) - size, 3);
  });

  it('has every authority stamp what it logs, and puts all of that into the bundle', async () => {
    await using other = await startTimestampAuthority();
    const both = await trusting('two-authorities.json', { logs: [rekor1, rekor2], timestampAuthorities: [tsa, other] });
    const settings = { ...version2(), 'transparency.timestamp.url': `${tsa.url},${other.url}`, 'trust.root': both };
    const place = await placeFor('stamped', { ...settings, 'storage.oci.layout': 'referrers' });
    const hex = (await pushTinyImage(registry.host, 'ci/app', 'stamped')).replace('sha256:', '');
    const dropped = await dropRun(place, registry.host, 'stamped', { hex });

    const { code, stdout, stderr } = await attest(place);

    assert.equal(code, 0, stdout + stderr);
    const bundles = await bundlesAt(registry.host, dropped);
    const counts = bundles.map(({ verificationMaterial: { tlogEntries, timestampVerificationData } }) => ({
      entries: tlogEntries?.length,
      stamps: timestampVerificationData?.rfc3161Timestamps?.length,
    }));
    assert.deepEqual(counts, [
      { entries: 1, stamps: 2 },
      { entries: 1, stamps: 2 },
    ]);
  });

  it('publishes nothing, not even in the log, while an authority is away', async () => {
    await using proxy = await startFaultProxy(new URL(tsa.url).host);
    const place = await placeFor('unstamped', { 'transparency.timestamp.url': `${proxy.url}/api/v1/timestamp` });
    const size = await rekor1.size();
    await proxy.set({ kind: 'refuse' });
    await using controller = await startController(place);
    const runs = [await dropRun(place, registry.host, 'unstamped')];
    await until('an attempt to fail', waitMs, () => controller.log().includes('attempt failed'));
    assert.deepEqual([await countsOf(registry.host, runs), (await rekor1.size()) - size], [['0/0'], 0]);

    await proxy.set({ kind: 'none' });
    await untilSigned(runs, controller.log);

    assert.equal((await rekor1.size()) - size, 2);
  });

  it('refuses a Rekor 2 that nobody stamps for, in the configuration and in a signing configuration', async () => {
    const file = path.join(files.dir, 'unstamped-config.json');
    await writeFile(file, signingConfigOf({ rekor: rekor2 }));
    const places = [
      await placeFor('no-authority', { ...version2(), 'transparency.timestamp.url': '' }),
      await placeFor('no-authority-either', { 'transparency.signing-config': file }),
    ];

    const [inConfig, inFile] = await Promise.all(places.map(attest));

    assert.equal(inConfig?.code, 2);
    assert.match(inConfig.stderr, /transparency\.version.*says nothing of the time[^]*transparency\.timestamp\.url/);
    assert.ok(inFile !== undefined && inFile.code !== 0);
    assert.match(inFile.stderr, /Cannot log at .*: a Rekor 2 says nothing of the time[^]*fix: .*transparency\.timestamp\.url/);
  });

  it('keeps to its rate, waits for its turn before it asks for a certificate, and asks for one', async () => {
    await using issuer = await startOidcIssuer();
    await using fulcio = await startFulcio({ issuer });
    await using asked = await startGate(fulcio.url);
    await using gate = await startGate(rekor1.url);
    const log = logAt(rekor1, gate.host);
    const token = path.join(files.dir, 'token');
    await writeFile(token, issuer.token({ kubernetes: { namespace: 'tekton-chains', serviceAccount: 'controller' } }));
    const root = await trusting('rate.json', { logs: [log], certificateAuthorities: [fulcio] });
    const place = await placeFor('rate', {
      'transparency.url': log.url,
      'transparency.rate': '2',
      'trust.root': root,
      'artifacts.oci.storage': '',
      'signers.x509.fulcio.enabled': 'true',
      'signers.x509.fulcio.address': `http://${asked.host}`,
      'signers.x509.identity.token.file': token,
    });
    await using controller = await startController(place);
    const runs: Dropped[] = [];
    for (let index = 0; index < 12; index += 1) runs.push(await dropRun(place, registry.host, `rate-${index}`));

    const isDone = async () => (await countsOf(registry.host, runs)).every((count) => count === '1/0');
    await until('everything to be signed', waitMs, isDone).catch((error: unknown) => {
      throw new Error(controller.log(), { cause: error });
    });

    const arrivals = gate.posts.map(({ at }) => at);
    assert.equal(arrivals.length, 12);
    // Two a second, and what a second gives at once at the start; what is under way may be late.
    const inTwoSeconds = arrivals.map((from) => arrivals.filter((at) => at >= from && at < from + 2_000).length);
    assert.ok(Math.max(...inTwoSeconds) <= 8, inTwoSeconds.join(' '));
    assert.ok((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0) >= 4_000, 'twelve uploads at two a second take some five seconds');
    assert.equal(asked.posts.length, 1);
  });

  it('keeps runs while the trusted root does not know the log, and ends them well when it does', async () => {
    const root = await trusting('too-small.json', { logs: [rekor2] });
    const place = await placeFor('untrusted', { 'trust.root': root });
    const size = await rekor1.size();
    await using first = await startController(place);
    const runs = [await dropRun(place, registry.host, 'untrusted')];
    await until('an attempt to fail', waitMs, () => first.log().includes('attempt failed'));
    assert.match(first.log(), /trust\.log-unknown/);
    assert.match(first.log(), /"fix":"let trust\.root be one that has the log/);
    assert.deepEqual(await countsOf(registry.host, runs), ['0/0']);

    // Without a restart it would be seen within ten seconds, and the log asked again within a minute.
    await first[Symbol.asyncDispose]();
    await trusting('too-small.json', { logs: [rekor1] });
    await using second = await startController(place);
    await untilSigned(runs, second.log);

    // What the log took before anybody could believe it is adopted.
    assert.equal((await rekor1.size()) - size, 2);
  });

  it('waits for a trusted root that is not there yet', async () => {
    const place = await placeFor('no-root', { 'trust.root': path.join(files.dir, 'later.json') });
    await using controller = await startController(place);
    const runs = [await dropRun(place, registry.host, 'no-root')];
    await until('an attempt to fail', waitMs, () => controller.log().includes('attempt failed'));

    await trusting('later.json', { logs: [rekor1] });
    await untilSigned(runs, controller.log);

    assert.ok(!controller.log().includes('"outcome":"failed"'), controller.log());
  });

  it('signs what is not logged while the log is away that would say what it signs with', async () => {
    await using proxy = await startFaultProxy(new URL(rekor1.url).host);
    await proxy.set({ kind: 'refuse' });
    const place = await placeFor('first-use', { 'transparency.enabled': 'manual', 'transparency.url': proxy.url, 'trust.root': '' });
    await using controller = await startController(place);
    const logged = [await dropRun(place, registry.host, 'first-use', { annotations: upload })];
    const others = [await dropRun(place, registry.host, 'first-use-other')];

    await untilSigned(others, controller.log);
    assert.deepEqual(await countsOf(registry.host, logged), ['0/0']);
    await proxy.set({ kind: 'none' });
    await untilSigned(logged, controller.log);
  });

  it('goes on with the shard that a changed signing configuration names', async () => {
    await using next = await startRekor2();
    const root = await trusting('shards.json', { logs: [rekor2, next], timestampAuthorities: [tsa] });
    const file = path.join(files.dir, 'shards-config.json');
    await writeFile(file, signingConfigOf({ rekor: rekor2, timestampUrls: [tsa.url] }));
    const place = await placeFor('shards', { 'transparency.signing-config': file, 'trust.root': root });
    const size = await rekor2.size();
    await using controller = await startController(place);
    await untilSigned([await dropRun(place, registry.host, 'shard-a')], controller.log);
    assert.deepEqual([(await rekor2.size()) - size, await next.size()], [2, 0]);

    await putFile(file, signingConfigOf({ rekor: next, timestampUrls: [tsa.url] }));
    const later: Dropped[] = [];
    const isThere = async (): Promise<boolean> => {
      later.push(await dropRun(place, registry.host, `shard-b-${later.length}`));
      await untilSigned(later, controller.log);
      return (await next.size()) > 0;
    };
    await until('the next shard to be used', waitMs, isThere);
    const last = (await rekor2.size()) - size;
    await untilSigned([await dropRun(place, registry.host, 'shard-c')], controller.log);

    assert.deepEqual([(await rekor2.size()) - size, last + (await next.size())], [last, 2 * (later.length + 2)]);
  });

  it('refuses to start with flags that name no log at all', async () => {
    const place = await placeFor('no-log', { 'transparency.url': '' });

    const { code, stderr } = await run(process.execPath, [cli, 'controller', '--source', `dir:${place.runs}`, ...flagsOf(place)]);

    assert.equal(code, 2);
    assert.match(stderr, /transparency\.url.*there is no log to upload to/);
  });
});

function withUid(object: object, uid: string): object {
  const { metadata = {} } = object as { metadata?: object };
  return { ...object, metadata: { ...metadata, uid } };
}
