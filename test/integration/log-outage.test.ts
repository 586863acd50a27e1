import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFaultProxy, type Fault, type FaultProxy } from '../servers/fault-proxy.ts';
import { until } from '../servers/process.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { missingRekor1, startRekor1, type Rekor1 } from '../servers/rekor1.ts';
import { startRekor2, type Rekor2 } from '../servers/rekor2.ts';
import { scratch } from '../servers/scratch.ts';
import { startTimestampAuthority, type TimestampAuthority } from '../servers/timestamp-authority.ts';
import { missing } from '../servers/tools.ts';
import { trustedRootOf } from '../servers/trusted-root.ts';
import { pushTinyImage } from './cluster.ts';
import {
  attemptsIn,
  bundlesAt,
  countsOf,
  dropRun,
  hashIn,
  layersAt,
  logAt,
  makeShortCa,
  newPlace,
  putFile,
  sha256,
  startController,
  startGate,
  toldBy,
  type Dropped,
  type Gate,
  type Place,
  type ShortCa,
} from './log-world.ts';

const waitMs = 60_000;
const worlds = [
  { version: 1, skip: (await missingRekor1()) || (await missing('timestamp-authority', 'registry')), start: startRekor1 },
  { version: 2, skip: await missing('rekor-tiles', 'timestamp-authority', 'registry'), start: startRekor2 },
] as const;

// Most of their time is waiting, so both generations are tried at the same time.
describe('a log that is away', { concurrency: 2 }, () => {
  for (const { version, skip, start } of worlds) {
    describe(`a controller and a Rekor ${version}`, { skip, concurrency: 1 }, () => {
      const servers = new AsyncDisposableStack();
      let rekor: Rekor1 | Rekor2;
      let tsa: TimestampAuthority;
      let registry: Registry;
      before(async () => {
        [rekor, tsa, registry] = await Promise.all([start(), startTimestampAuthority(), startRegistry()]);
        for (const server of [rekor, tsa, registry]) servers.use(server);
      });
      after(async () => await servers.disposeAsync());

      /** What a test has for itself. The controller reaches the log through `faults` and then `gate`, and the registry through `detour`. */
      interface Own extends AsyncDisposable {
        readonly place: Place;
        readonly faults: FaultProxy;
        readonly gate: Gate;
        readonly detour: FaultProxy;
        /** On the way to the timestamp authority. */
        readonly stamps: FaultProxy;
        /** How many entries the log has got since the test began. */
        readonly grown: () => Promise<number>;
      }

      async function startOwn(settings: Readonly<Record<string, string>> = {}): Promise<Own> {
        await using stack = new AsyncDisposableStack();
        const { dir } = stack.use(await scratch('log-outage'));
        const gate = stack.use(await startGate(rekor.url));
        const faults = stack.use(await startFaultProxy(gate.host));
        const detour = stack.use(await startFaultProxy(registry.host));
        const stamps = stack.use(await startFaultProxy(new URL(tsa.url).host));
        const log = logAt(rekor, faults.host);
        const trust = path.join(dir, 'trusted-root.json');
        await writeFile(trust, trustedRootOf({ logs: [log], timestampAuthorities: [tsa] }));
        const place = await newPlace(dir, {
          'transparency.url': log.url,
          'transparency.version': String(version),
          'trust.root': trust,
          ...(version === 2 && { 'transparency.timestamp.url': `${stamps.url}/api/v1/timestamp` }),
          ...settings,
        });
        const size = await rekor.size();
        const life = stack.move();
        return {
          place,
          faults,
          gate,
          detour,
          stamps,
          grown: async () => (await rekor.size()) - size,
          [Symbol.asyncDispose]: async () => await life.disposeAsync(),
        };
      }

      async function untilSigned(runs: readonly Dropped[], log: () => string, wanted = '1/1'): Promise<void> {
        const isDone = async () => (await countsOf(registry.host, runs)).every((count) => count === wanted);
        await until('everything to be signed', waitMs, isDone).catch(async (error: unknown) => {
          throw new Error(`${(await countsOf(registry.host, runs)).join(' ')}\n${log()}`, { cause: error });
        });
      }

      const faultsOfLog: readonly { readonly name: string; readonly fault: Fault; readonly of: readonly (1 | 2)[] }[] = [
        { name: 'refuses connections', fault: { kind: 'refuse' }, of: [1, 2] },
        { name: 'hangs', fault: { kind: 'hang' }, of: [1] },
        { name: 'answers 500', fault: { kind: 'status', status: 500 }, of: [1] },
        { name: 'answers 429 with Retry-After', fault: { kind: 'status', status: 429, retryAfter: 1 }, of: [1, 2] },
      ];
      for (const { name, fault } of faultsOfLog.filter(({ of }) => of.includes(version))) {
        it(`logs each work once and only then publishes it when the log ${name} and comes back, and holds up no other run`, async () => {
          await using own = await startOwn({ 'transparency.enabled': 'manual' });
          const { place, faults, gate, detour, grown } = own;
          await faults.set(fault);
          const slug = `v${version}-${name.replaceAll(/\W+/g, '-').toLowerCase()}`;
          await using controller = await startController(place);
          const annotations = { 'chains.tekton.dev/transparency-upload': 'true' };
          const logged: Dropped[] = [];
          for (let index = 0; index < 5; index += 1) logged.push(await dropRun(place, detour.host, `${slug}-${index}`, { annotations }));
          const isFelt = () => faults.connections() > 0 || controller.log().includes('attempt failed');
          await until('the log to be asked', waitMs, isFelt);
          const others = [await dropRun(place, detour.host, `${slug}-a`), await dropRun(place, detour.host, `${slug}-b`)];

          await untilSigned(others, controller.log);
          assert.deepEqual(
            await countsOf(registry.host, logged),
            logged.map(() => '0/0'),
          );
          assert.equal(gate.posts.length, 0);
          await faults.set({ kind: 'none' });
          await untilSigned(logged, controller.log);

          assert.equal(await grown(), 2 * logged.length);
          assert.equal(distinct(gate.posts), 2 * logged.length);
          await controller[Symbol.asyncDispose]();
          assert.deepEqual(new Set(Object.values(attemptsIn(place))), new Set([0]));
          if (version === 1) for (const run of logged) await demandEntries(run);
        });
      }

      /** Each layer tells of an entry over its own bytes. */
      async function demandEntries(run: Dropped): Promise<void> {
        for (const suffix of ['att', 'sig'] as const) {
          const layers = await layersAt(registry.host, run, suffix);
          assert.deepEqual(
            layers.map((layer) => hashIn(toldBy(layer) ?? assert.fail(`no entry at ${suffix} of ${run.name}`))),
            layers.map(({ bytes }) => sha256(bytes)),
          );
        }
      }

      /** Each kills the controller at one place of the path of a run that has two works. */
      const deaths: Readonly<Record<string, (own: Own, kill: () => Promise<void>) => Promise<void>>> = {
        'after it signed and before the log heard of it': async ({ gate }, kill) => {
          const held = Promise.withResolvers<boolean>();
          gate.beforePost = async () => await held.promise;
          await until('both uploads to come', waitMs, () => gate.posts.length === 2);
          await kill();
          held.resolve(false);
        },
        'after the log took it and before its answer came': async ({ gate }, kill) => {
          const held = Promise.withResolvers<boolean>();
          gate.afterPost = async () => await held.promise;
          await until('both uploads to be answered', waitMs, () => gate.posts.filter(({ status }) => status === 201).length === 2);
          await kill();
          held.resolve(false);
        },
        'after the answer of the log and before anything was stored': async ({ gate, detour }, kill) => {
          const held = Promise.withResolvers<boolean>();
          gate.afterPost = async () => await held.promise;
          await until('both uploads to be answered', waitMs, () => gate.posts.filter(({ status }) => status === 201).length === 2);
          await detour.set({ kind: 'hang' });
          const before = detour.connections();
          held.resolve(true);
          await until('the registry to be asked', waitMs, () => detour.connections() > before);
          await kill();
          await detour.set({ kind: 'none' });
        },
      };
      for (const [name, die] of Object.entries(deaths)) {
        it(`logs and publishes each work once when it is killed ${name}`, async () => {
          await using own = await startOwn();
          const { place, gate, detour, grown } = own;
          await using first = await startController(place);
          const runs = [await dropRun(place, detour.host, `v${version}-killed-${name.replaceAll(/\W+/g, '-')}`)];
          await die(own, async () => await first[Symbol.asyncDispose]());
          assert.deepEqual(await countsOf(registry.host, runs), ['0/0']);
          gate.beforePost = pass;
          gate.afterPost = pass;
          await using second = await startController(place);
          await untilSigned(runs, second.log);

          assert.equal(await grown(), 2);
          assert.equal(distinct(gate.posts), 2);
          assert.deepEqual(await countsOf(registry.host, runs), ['1/1']);
        });
      }

      it('finds what it logged and stored when its journal is lost, and logs and stores nothing again', async () => {
        await using own = await startOwn({ 'storage.oci.layout': 'both' });
        const { place, gate, detour, grown } = own;
        const hex = (await pushTinyImage(registry.host, 'ci/app', `v${version}-lost`)).replace('sha256:', '');
        const runs = [await dropRun(place, detour.host, `v${version}-lost`, { hex })];
        await using first = await startController(place);
        const isEnded = (log: string) => log.includes('run ended');
        await until('the run to be signed', waitMs, () => isEnded(first.log()));
        await first[Symbol.asyncDispose]();
        const before = { posts: gate.posts.length, size: await grown() };
        await using second = await startController({ ...place, journal: `${place.journal}.new` });
        await until('the run to end again', waitMs, () => isEnded(second.log()));

        assert.deepEqual(before, { posts: 3, size: 3 });
        assert.equal(await grown(), 3);
        // A tag has no room for the entry of a Rekor 2: it is asked once more, and says that it has it.
        assert.deepEqual([gate.posts.length, distinct(gate.posts)], [version === 1 ? 3 : 4, 3]);
        assert.deepEqual(await countsOf(registry.host, runs), ['1/1']);
        assert.equal((await bundlesAt(registry.host, runs[0] ?? assert.fail())).length, 2);
      });

      /** The certificate that stands beside the attestation and the signature of a run. */
      async function certificatesOf(run: Dropped): Promise<readonly (string | undefined)[]> {
        const layers = [...(await layersAt(registry.host, run, 'att')), ...(await layersAt(registry.host, run, 'sig'))];
        return layers.map(({ annotations }) => annotations['dev.sigstore.cosign/certificate']);
      }

      /** Puts a certificate beside the key of a place; it is as good as over when it has less than half a minute. */
      async function certified({ place }: Own, ca: ShortCa, seconds: number): Promise<string> {
        const pem = await ca.certify(path.join(place.keys, 'x509.pem'), seconds);
        await putFile(path.join(place.keys, 'cert.pem'), pem);
        return pem;
      }

      // What says when something was signed: the entry of a Rekor 1, else the timestamps.
      const clock = version === 1 ? 'log' : 'authority';
      it(`replaces what a certificate signed that ran out while the ${clock} was away, and publishes nothing of it`, async () => {
        await using own = await startOwn();
        const { place, faults, stamps, detour, grown } = own;
        const away = version === 1 ? faults : stamps;
        await using files = await scratch('short-ca');
        const ca = await makeShortCa(files.dir);
        const old = await certified(own, ca, 25);
        await away.set({ kind: 'refuse' });
        await using controller = await startController(place);
        const runs = [await dropRun(place, detour.host, `v${version}-expired`)];
        await until('an attempt to fail', waitMs, () => controller.log().includes('attempt failed'));
        assert.equal(await grown(), 0);
        const fresh = await certified(own, ca, 3_600);
        // Whether a key has changed is looked at when somebody needs it, every five seconds.
        await until('the new certificate to be seen', waitMs, async () => {
          runs.push(await dropRun(place, detour.host, `v${version}-expired-${runs.length}`));
          await sleep(500);
          return controller.log().includes('the signer has a new key');
        });
        await away.set({ kind: 'none' });
        await untilSigned(runs, controller.log);

        assert.notEqual(fresh, old);
        for (const run of runs) assert.deepEqual(await certificatesOf(run), [fresh, fresh]);
        assert.equal(await grown(), 2 * runs.length);
      });

      it(`keeps what a certificate signed in time, when ${version === 1 ? 'only the answer of the log was lost' : 'it is stamped and the log was away'}`, async () => {
        await using own = await startOwn();
        const { place, faults, gate, detour, grown } = own;
        await using files = await scratch('short-ca');
        const ca = await makeShortCa(files.dir);
        const old = await certified(own, ca, 25);
        if (version === 1) gate.afterPost = async () => gate.posts.length > 2;
        else await faults.set({ kind: 'refuse' });
        await using controller = await startController(place);
        const runs = [await dropRun(place, detour.host, `v${version}-in-time`)];
        await until('an attempt to fail', waitMs, () => controller.log().includes('attempt failed'));
        await certified(own, ca, 3_600);
        await faults.set({ kind: 'none' });
        await untilSigned(runs, controller.log);

        assert.deepEqual(await certificatesOf(runs[0] ?? assert.fail()), [old, old]);
        assert.equal(await grown(), 2);
        assert.equal(gate.posts.length, 2);
      });
    });
  }
});

const pass = async (): Promise<boolean> => await Promise.resolve(true);

/** How many different things were posted: the same signature again is the same text. */
function distinct(posts: Gate['posts']): number {
  return new Set(posts.map(({ body }) => body)).size;
}
