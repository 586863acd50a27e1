import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { scratch } from '../../test/servers/scratch.ts';
import { openInCluster } from './auth.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };

describe('openInCluster', () => {
  it('gives server, namespace, token and CA, and reads them again when it is told to', async () => {
    await using folder = await scratch('auth');
    const write = async (name: string, text: string): Promise<void> => await writeFile(path.join(folder.dir, name), text);
    await Promise.all([write('token', 't1\n'), write('ca.crt', 'CA1'), write('namespace', 'tekton-chains')]);
    const access = await openInCluster({ host: '::1', port: '6443', serviceAccountDir: folder.dir }, ctx);
    const first = await access.credentials(false, ctx);
    await write('token', 't2');

    const kept = await access.credentials(false, ctx);
    const fresh = await access.credentials(true, ctx);
    await rm(path.join(folder.dir, 'token'));
    const last = await access.credentials(true, ctx);

    assert.deepEqual([access.server, access.namespace], ['https://[::1]:6443', 'tekton-chains']);
    assert.deepEqual(first, { headers: { authorization: 'Bearer t1' }, tls: { ca: 'CA1' } });
    assert.deepEqual(kept, first);
    assert.deepEqual(fresh, { headers: { authorization: 'Bearer t2' }, tls: { ca: 'CA1' } });
    assert.deepEqual(last, fresh, 'a file that is being replaced must not stop anything');
  });

  it('names the file that is missing', async () => {
    await using folder = await scratch('auth');
    const options = { host: '10.0.0.1', port: '443', serviceAccountDir: folder.dir };

    await assert.rejects(openInCluster(options, ctx), {
      name: 'TerminalError',
      code: 'kube.config',
      message: /^Cannot read ".*\/(token|ca\.crt)": there is no such file$/,
    });
  });
});
