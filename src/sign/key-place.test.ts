import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { makeCa, type KeyPair } from '../../test/servers/certificates.ts';
import { scratch } from '../../test/servers/scratch.ts';
import { codeOf, TerminalError, TransientError } from '../errors.ts';
import { keyRingJsonOf, ringKeyOf } from '../model/key-ring.ts';
import { isSignedBy, parsePublicKey, publicKeyOf } from '../model/public-key.ts';
import type { Context } from '../observe/context.ts';
import type { SignerMeans } from './signer.ts';
import { x509 } from './x509.ts';

const ctx: Context = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const notAskedFor = async (): Promise<never> => await Promise.reject(new Error('not asked for'));
const means: SignerMeans = { trust: notAskedFor, secret: notAskedFor };

const newKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const open = async (directory: string): ReturnType<typeof x509.open> => await x509.open({ directory }, means, ctx);

/**
 * A folder as the kubelet mounts a Secret: each file a link into `..data`, which is a link to the folder of the moment. `renew` does what the
 * kubelet does: a new folder, one rename of `..data`, then the old folder goes (pkg/volume/util/atomic_writer.go).
 */
async function mountedSecret(
  dir: string,
  first: Files,
): Promise<{ readonly mount: string; readonly renew: (files: Files) => Promise<void> }> {
  const mount = path.join(dir, 'mount');
  const at = (name: string): string => path.join(mount, name);
  let generation = 0;
  const renew = async (files: Files): Promise<void> => {
    const [old, next] = [`..2026_01_01.${generation}`, `..2026_01_01.${(generation += 1)}`];
    await mkdir(at(next));
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(at(next), name), text);
    await symlink(next, at('..data_tmp'));
    await rename(at('..data_tmp'), at('..data'));
    await rm(at(old), { recursive: true, force: true });
  };
  await mkdir(mount);
  await renew(first);
  for (const name of Object.keys(first)) await symlink(path.join('..data', name), at(name));
  return { mount, renew };
}

type Files = Readonly<Record<'x509.pem' | 'cert.pem', string>>;

async function filesOf({ keyFile, certFile }: KeyPair): Promise<Files> {
  return { 'x509.pem': await readFile(keyFile, 'utf8'), 'cert.pem': await readFile(certFile, 'utf8') };
}

/** The signer of the moment, kept as the rooms of a configuration keep it: what cannot be opened again lets the last one go on. */
async function keeper(directory: string): Promise<() => Promise<Awaited<ReturnType<typeof open>>>> {
  let current = await open(directory);
  return async () => {
    if (!(await current.isCurrent(ctx))) current = await open(directory).catch(() => current);
    return current;
  };
}

describe('a mounted Secret', () => {
  it('is taken up when the kubelet renews it under load; no signature fails, and each is by the key that it names', async () => {
    await using work = await scratch('swap');
    const pairs = await Promise.all(Array.from({ length: 12 }, async (_, index) => await makeCa(work.dir, `ca-${index}`)));
    const [first, ...others] = await Promise.all(pairs.map(filesOf));
    assert.ok(first);
    const certificates = new Map([first, ...others].map((files) => [publicKeyIn(files), files['cert.pem']]));
    const { mount, renew } = await mountedSecret(work.dir, first);
    const signer = await keeper(mount);
    let isOver = false;
    const named = new Set<string>();
    let count = 0;
    const signing = Array.from({ length: 16 }, async () => {
      while (!isOver) {
        const bytes = Buffer.from(`payload ${(count += 1)}`);
        const signed = await (await signer()).sign(bytes, ctx);
        assert.equal(isSignedBy(parsePublicKey(signed.publicKey), bytes, signed.signature), true);
        assert.equal(signed.certificate, certificates.get(signed.publicKey));
        named.add(signed.publicKey);
      }
    });

    for (const next of others) {
      await renew(next);
      // Each generation signs some before the next one comes.
      for (const goal = count + 64; count < goal;) await new Promise((resolve) => setImmediate(resolve));
    }
    isOver = true;
    await Promise.all(signing);

    assert.equal((await signer()).publicKey, [...certificates.keys()].at(-1));
    assert.deepEqual(named, new Set(certificates.keys()));
  });

  it('is not opened half renewed: the old key goes on', async () => {
    await using work = await scratch('half');
    const [one, two] = [await makeCa(work.dir, 'one'), await makeCa(work.dir, 'two')];
    const folder = path.join(work.dir, 'keys');
    await mkdir(folder);
    const at = (name: string): string => path.join(folder, name);
    await copyFile(one.keyFile, at('x509.pem'));
    await copyFile(one.certFile, at('cert.pem'));
    await using old = await open(folder);

    await copyFile(two.keyFile, at('x509.pem'));

    assert.equal(await old.isCurrent(ctx), false);
    await assert.rejects(open(folder), { code: 'sign.certificate-mismatch' });
    assert.equal((await old.sign(Buffer.from('x'), ctx)).publicKey, old.publicKey);

    await copyFile(two.certFile, at('cert.pem'));

    await using next = await open(folder);
    assert.notEqual(next.publicKey, old.publicKey);
    assert.deepEqual([await next.isCurrent(ctx), await old.isCurrent(ctx)], [true, false]);
    assert.equal((await old.sign(Buffer.from('x'), ctx)).publicKey, old.publicKey);
  });
});

describe('isCurrent', () => {
  const changes: readonly { readonly name: string; readonly is: boolean; readonly change: (folder: string) => Promise<void> }[] = [
    { name: 'nothing happens', is: true, change: async () => {} },
    { name: 'the file is touched', is: true, change: async (folder) => await utimes(path.join(folder, 'x509.pem'), 1, 1) },
    { name: 'a file of another name comes', is: true, change: async (folder) => await writeFile(path.join(folder, 'note'), 'x') },
    { name: 'the key is another one', is: false, change: async (folder) => await writeFile(path.join(folder, 'x509.pem'), newKey()) },
    {
      name: 'the key is half there',
      is: false,
      change: async (folder) => await writeFile(path.join(folder, 'x509.pem'), newKey().slice(0, 60)),
    },
    { name: 'the key is gone', is: false, change: async (folder) => await rm(path.join(folder, 'x509.pem')) },
    { name: 'the folder is gone', is: false, change: async (folder) => await rm(folder, { recursive: true }) },
    {
      name: 'a certificate comes beside the key',
      is: false,
      change: async (folder) => await writeFile(path.join(folder, 'cert.pem'), 'x'),
    },
  ];
  for (const { name, is, change } of changes) {
    it(`is ${is} when ${name}`, async () => {
      await using work = await scratch('current');
      const folder = path.join(work.dir, 'keys');
      await mkdir(folder);
      await writeFile(path.join(folder, 'x509.pem'), newKey());
      await using signer = await open(folder);

      await change(folder);

      assert.deepEqual([await signer.isCurrent(ctx), await signer.isCurrent(ctx)], [is, is]);
      assert.equal((await signer.sign(Buffer.from('x'), ctx)).publicKey, signer.publicKey);
    });
  }

  it('is true again when the old key is back', async () => {
    await using work = await scratch('current');
    const [file, key] = [path.join(work.dir, 'x509.pem'), newKey()];
    await writeFile(file, key);
    await using signer = await open(work.dir);

    await writeFile(file, newKey());
    const away = await signer.isCurrent(ctx);
    await writeFile(file, key);

    assert.deepEqual([away, await signer.isCurrent(ctx)], [false, true]);
  });

  it('stops when it is told to', async () => {
    await using work = await scratch('current');
    await writeFile(path.join(work.dir, 'x509.pem'), newKey());
    await using signer = await open(work.dir);
    await writeFile(path.join(work.dir, 'x509.pem'), newKey());
    const reason = new Error('stop');

    await assert.rejects(signer.isCurrent({ ...ctx, signal: AbortSignal.abort(reason) }), reason);
  });
});

describe('owns', () => {
  it('is true of the own key and of those in the ring beside it', async () => {
    await using work = await scratch('ring');
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [before, stranger] = [newPublicKey(), newPublicKey()];
    await writeFile(path.join(work.dir, 'x509.pem'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const ring = [ringKeyOf(before, 'x509', { start: new Date(0), end: new Date(1) })];
    await writeFile(path.join(work.dir, 'keys.json'), keyRingJsonOf(ring));
    await using signer = await open(work.dir);

    const owned = [signer.publicKey, before, stranger].map(async (publicKey) => await signer.owns({ publicKey, certificate: '' }, ctx));

    assert.deepEqual(await Promise.all(owned), [true, true, false]);
    assert.equal(signer.publicKey, publicKeyOf(keys.publicKey).pem);
  });

  it('cannot be asked of a signer whose ring is damaged: it does not open', async () => {
    await using work = await scratch('ring');
    await writeFile(path.join(work.dir, 'x509.pem'), newKey());
    await writeFile(path.join(work.dir, 'keys.json'), '{"keys":');

    await assert.rejects(
      open(work.dir),
      (error) => error instanceof TerminalError && error.code === 'key.ring' && /keys\.json/.test(error.message),
    );
  });
});

describe('a Secret read through the API server', () => {
  const options = { secret: { namespace: 'ci', name: 'key' } };
  const data = (text: string): Readonly<Record<string, Uint8Array>> => ({ 'x509.pem': Buffer.from(text) });

  it('is looked at by its version, and read again only when that changes', async () => {
    const secret = { resourceVersion: '1', data: data(newKey()) };
    const asked: string[] = [];
    const kube: SignerMeans = {
      trust: notAskedFor,
      secret: async (namespace, name) => {
        asked.push(`${namespace}/${name}`);
        return secret;
      },
    };
    await using signer = await x509.open(options, kube, ctx);

    assert.equal(await signer.isCurrent(ctx), true);
    secret.resourceVersion = '2';
    assert.equal(await signer.isCurrent(ctx), true);
    assert.equal(await signer.isCurrent(ctx), true);
    Object.assign(secret, { resourceVersion: '3', data: data(newKey()) });
    assert.equal(await signer.isCurrent(ctx), false);

    assert.deepEqual([asked.length, new Set(asked)], [7, new Set(['ci/key'])]);
  });

  it('goes on when the API server cannot be asked, and not when the answer is no', async () => {
    const answers: (() => Promise<undefined>)[] = [
      async () => await Promise.reject(new TransientError('kube.unavailable', 'down')),
      async () => await Promise.reject(new TerminalError('kube.forbidden', 'no')),
      async () => undefined,
    ];
    let isOpen = false;
    const kube: SignerMeans = {
      trust: notAskedFor,
      secret: async () => {
        if (isOpen) return await answers.shift()?.();
        isOpen = true;
        return { resourceVersion: '1', data: data(newKey()) };
      },
    };
    await using signer = await x509.open(options, kube, ctx);

    assert.deepEqual([await signer.isCurrent(ctx), await signer.isCurrent(ctx), await signer.isCurrent(ctx)], [true, false, false]);
  });

  const refused = [
    { name: 'no such Secret', answer: async () => undefined, code: 'sign.no-key', fix: /keys generate --k8s ci\/key/ },
    {
      name: 'a Secret without a key',
      answer: async () => ({ resourceVersion: '1', data: { other: Buffer.from('x'), key: Buffer.from(newKey()) } }),
      code: 'sign.no-key',
      fix: /keys generate/,
    },
    {
      name: 'a Secret that it may not read',
      answer: async () => await Promise.reject(new TerminalError('kube.forbidden', 'no')),
      code: 'sign.secret-forbidden',
      fix: /Role in "ci" .*resourceNames: \["key"\], verbs: \["get"\]/,
    },
    {
      name: 'a damaged key',
      answer: async () => ({ resourceVersion: '1', data: { 'x509.pem': Buffer.from('hunter2') } }),
      code: 'sign.key-format',
      fix: /keys generate/,
    },
  ];
  for (const { name, answer, code, fix } of refused) {
    it(`refuses ${name} with ${code}`, async () => {
      await assert.rejects(x509.open(options, { trust: notAskedFor, secret: answer }, ctx), (error) => {
        assert.ok(error instanceof TerminalError);
        assert.equal(codeOf(error), code);
        assert.match(error.message, /ci\/key/);
        assert.match(error.fix ?? '', fix);
        assert.equal(error.message.includes('hunter2'), false);
        return true;
      });
    });
  }
});

function newPublicKey(): string {
  return publicKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey).pem;
}

function publicKeyIn(files: Files): string {
  return publicKeyOf(createPrivateKey(files['x509.pem'])).pem;
}
