import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseSha256 } from '../../src/model/digest.ts';
import { attestationOf, newKey, ociWorld, signatureOf } from '../contract/store-world.ts';
import { cosign, emptyTrustedRoot } from '../servers/cosign.ts';
import { pushImage } from '../servers/crane.ts';
import { startRegistry, type Registry } from '../servers/registry.ts';
import { scratch, type Scratch } from '../servers/scratch.ts';
import { missing } from '../servers/tools.ts';

const keys = [newKey(), newKey()];
const stranger = newKey();

describe('what the oci store keeps', { skip: await missing('registry', 'crane', 'cosign2', 'cosign3') }, () => {
  let registry: Registry;
  let files: Scratch;
  let image: string;
  before(async () => {
    files = await scratch('cosign-tags');
    registry = await startRegistry();
    const repository = `${registry.host}/app`;
    const digest = await pushImage(`${repository}:v1`, 'hello');
    image = `${repository}@${digest}`;
    await using world = await ociWorld(registry.host, {});
    const subject = { repository, digest: parseSha256(digest) };
    // By two keys, so that two layers of `.sig` have the same content and differ in their annotations only.
    for (const [index, key] of keys.entries()) {
      await world.put(attestationOf([subject], `run-${index}`, key));
      await world.put(signatureOf(subject, key));
    }
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  const judge = async (version: 2 | 3, publicKey: string, command: readonly string[]): Promise<number> => {
    const file = path.join(files.dir, 'key.pub');
    await writeFile(file, publicKey);
    const flags = ['--key', file, '--insecure-ignore-tlog', '--trusted-root', await emptyTrustedRoot(files.dir)];
    return (await cosign(version, [...command, ...flags, image])).code;
  };

  for (const version of [2, 3] as const) {
    for (const command of [['verify'], ['verify-attestation', '--type', 'slsaprovenance1']]) {
      it(`is accepted by cosign ${version} ${command[0]} for every key that signed, and for no other`, async () => {
        const codes = [];
        for (const { publicKey } of [...keys, stranger]) codes.push((await judge(version, publicKey, command)) === 0);

        assert.deepEqual(codes, [true, true, false]);
      });
    }
  }
});
