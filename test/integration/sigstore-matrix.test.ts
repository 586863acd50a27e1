import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, type Outcome } from '../servers/command.ts';
import { cosign } from '../servers/cosign.ts';
import { pushImage } from '../servers/crane.ts';
import { missingPostgres } from '../servers/postgres.ts';
import { startOciRegistry, startRegistry, type Registry } from '../servers/registry.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';
import { startSigstore, type Sigstore } from '../servers/sigstore.ts';
import { missing } from '../servers/tools.ts';
import { newTaskRun, succeeded } from './cluster.ts';
import { cellsOf, commandsFor, pageOf, type Cell, type Log, type World } from './sigstore-matrix.ts';

const cli = path.join(import.meta.dirname, '../../src/cli/chainsmith.ts');
const page = fileURLToPath(new URL('../../docs/verification.md', import.meta.url));
const reason =
  (await missing('registry', 'ociregistry', 'crane', 'cosign2', 'cosign3', 'rekor-tiles', 'fulcio', 'timestamp-authority')) ||
  (await missing('rekor-server', 'trillian-log-server', 'trillian-log-signer')) ||
  (await missingPostgres());

const accepted: Cell[] = [];

for (const log of ['none', 'Rekor 1', 'Rekor 2'] as const) {
  describe(`what is signed with ${log === 'none' ? 'no log' : log}`, { skip: reason }, () => {
    let sigstore: Sigstore;
    let registries: Readonly<Record<'yes' | 'no', Registry>>;
    let files: Scratch;
    let world: World;
    before(async () => {
      files = await scratch('matrix');
      registries = { yes: await startOciRegistry(), no: await startRegistry() };
      sigstore = await startSigstore({
        rekor: ({ none: 'none', 'Rekor 1': 'v1', 'Rekor 2': 'v2' } as const)[log],
        fulcio: true,
        ct: true,
        tsa: true,
      });
      world = await worldOf(sigstore, files.dir);
    });
    after(async () => {
      await sigstore[Symbol.asyncDispose]();
      await Promise.all(Object.values(registries).map(async (registry) => await registry[Symbol.asyncDispose]()));
      await files[Symbol.asyncDispose]();
    });

    for (const cell of cellsOf(log)) {
      it(`is verified by both cosigns and by us: ${cell.signer}, ${cell.layout}, referrers API: ${cell.api}`, async () => {
        const host = registries[cell.api].host;
        const repository = `${host}/${[cell.signer, cell.layout].join('-')}`;
        const digest = await pushImage(`${repository}:v1`, `${cell.signer} ${log} ${cell.layout} ${cell.api}`);

        const signed = await attest(cell, { repository, digest }, world, files.dir);
        assert.equal(signed.code, 0, signed.stdout + signed.stderr);
        for (const command of commandsFor(cell, world)) {
          const args = command.args.map((arg) => (arg === 'IMAGE' ? `${repository}@${digest}` : arg));
          const outcome = await judge(command.tool, args, command.env);
          assert.equal(outcome.code, 0, `${command.tool} ${args.join(' ')}: ${outcome.stdout}\n${outcome.stderr}`);
        }
        accepted.push(cell);
      });
    }
  });
}

describe('docs/verification.md', { skip: reason }, () => {
  it('is what the judges said', async () => {
    const text = pageOf(accepted);
    if (process.env['CHAINSMITH_WRITE_DOCS'] === '1') await writeFile(page, text);

    assert.equal(await readFile(page, 'utf8'), text, 'write it with CHAINSMITH_WRITE_DOCS=1 npm test -- sigstore-matrix');
  });
});

async function worldOf(sigstore: Sigstore, dir: string): Promise<World> {
  const { rekor, fulcio, tsa, issuer } = sigstore;
  if (fulcio === undefined || tsa === undefined || issuer === undefined) return assert.fail('no Fulcio, no authority or no issuer');
  const inDir = async (name: string, text: string): Promise<string> => {
    await writeFile(path.join(dir, name), text);
    return path.join(dir, name);
  };
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await mkdir(path.join(dir, 'keys'));
  await inDir('keys/x509.pem', pem(privateKey));
  const logKey = rekor === undefined ? '' : rekor.publicKeyPem;
  return {
    keys: path.join(dir, 'keys'),
    keyFile: await inDir('cosign.pub', pem(publicKey)),
    trustedRoot: sigstore.trustedRootFile,
    logUrl: rekor?.url ?? '',
    timestampUrl: tsa.url,
    timestampChain: tsa.chainFile,
    fulcioUrl: fulcio.url,
    caFile: await inDir('fulcio.pem', fulcio.chainPem),
    logKeyFile: await inDir('rekor.pub', logKey),
    tokenFile: await inDir('token', issuer.token({ kubernetes: { namespace: 'tekton-chains', serviceAccount: 'controller' } })),
    identity: 'https://kubernetes.io/namespaces/tekton-chains/serviceaccounts/controller',
    issuer: issuer.url,
  };
}

function pem(key: KeyObject): string {
  return key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }).toString();
}

async function attest(
  cell: Cell,
  image: { readonly repository: string; readonly digest: string },
  world: World,
  dir: string,
): Promise<Outcome> {
  const name = `${cell.log}-${cell.signer}-${cell.layout}-${cell.api}`.replaceAll(' ', '-').toLowerCase();
  const folder = path.join(dir, name);
  await mkdir(folder);
  await writeFile(path.join(folder, 'run.json'), JSON.stringify({ ...newTaskRun(name), ...succeeded(image) }));
  const keys: Readonly<Record<string, string>> = {
    'artifacts.taskrun.format': 'slsa/v2alpha4',
    'artifacts.taskrun.storage': 'oci',
    'journal.url': `sqlite://${path.join(folder, 'journal.db')}`,
    'storage.oci.layout': cell.layout,
    'trust.root': world.trustedRoot,
    ...signerKeys(cell, world),
    ...logKeys(cell.log, world),
    ...(cell.isStamped && { 'transparency.timestamp.url': world.timestampUrl }),
  };
  await writeFile(path.join(folder, 'chains-config.json'), JSON.stringify(keys));
  return await run(process.execPath, [cli, 'attest', '-f', 'run.json', '--config', 'chains-config.json'], { cwd: folder });
}

function signerKeys({ signer }: Cell, world: World): Readonly<Record<string, string>> {
  if (signer === 'key') return { 'signers.x509.directory': world.keys };
  return {
    'signers.x509.fulcio.enabled': 'true',
    'signers.x509.fulcio.address': world.fulcioUrl,
    'signers.x509.identity.token.file': world.tokenFile,
  };
}

function logKeys(log: Log, world: World): Readonly<Record<string, string>> {
  if (log === 'none') return {};
  return { 'transparency.enabled': 'true', 'transparency.url': world.logUrl, 'transparency.version': log === 'Rekor 1' ? '1' : '2' };
}

async function judge(
  tool: 'cosign 2' | 'cosign 3' | 'chainsmith',
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  if (tool === 'chainsmith') return await run(process.execPath, [cli, ...args], {});
  return await cosign(tool === 'cosign 2' ? 2 : 3, args, { env });
}
