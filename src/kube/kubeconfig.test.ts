import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { makeCa } from '../../test/servers/certificates.ts';
import { scratch } from '../../test/servers/scratch.ts';
import { openKubeconfig } from './kubeconfig.ts';

const ctx = { signal: new AbortController().signal, logger: pino({ level: 'silent' }) };
const secret = 'canary-token';

function config(cluster: object, user: object, more: object = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: 'https://k.example:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'ns' } }],
    'current-context': 'x',
    ...more,
  });
}

describe('openKubeconfig', () => {
  it('takes server, namespace, CA and token', async () => {
    await using folder = await scratch('kubeconfig');
    const { certFile } = await makeCa(folder.dir, 'ca');
    const file = path.join(folder.dir, 'config');
    await writeFile(
      file,
      config({ 'certificate-authority': path.basename(certFile), 'tls-server-name': 'k8s' }, { token: secret, as: 'jo' }),
    );

    const access = await openKubeconfig({ path: file }, ctx);
    const { headers, tls } = await access.credentials(false, ctx);

    assert.deepEqual([access.server, access.namespace], ['https://k.example:6443', 'ns']);
    assert.deepEqual(headers, { authorization: `Bearer ${secret}`, 'impersonate-user': 'jo' });
    assert.equal(tls.servername, 'k8s');
    assert.match(String(tls.ca), /BEGIN CERTIFICATE/);
  });

  it('asks an exec plugin, and again when its credential was refused', async () => {
    await using folder = await scratch('kubeconfig');
    const plugin = path.join(folder.dir, 'plugin');
    const counter = path.join(folder.dir, 'count');
    await writeFile(plugin, `#!/bin/sh\necho x >> ${counter}\nprintf '{"status":{"token":"t%d"}}' $(wc -l < ${counter})\n`);
    await chmod(plugin, 0o700);
    const file = path.join(folder.dir, 'config');
    await writeFile(file, config({}, { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: plugin } }));
    const access = await openKubeconfig({ path: file }, ctx);

    const tokens = [await access.credentials(false, ctx), await access.credentials(false, ctx), await access.credentials(true, ctx)];

    assert.deepEqual(
      tokens.map(({ headers }) => headers['authorization']),
      ['Bearer t1', 'Bearer t1', 'Bearer t2'],
    );
  });

  it('reads a token file beside it, as kubectl does, and basic credentials', async () => {
    await using folder = await scratch('kubeconfig');
    const [one, two] = [path.join(folder.dir, 'one'), path.join(folder.dir, 'two')];
    await writeFile(path.join(folder.dir, 'tok'), `${secret}\n`);
    await writeFile(one, config({}, { tokenFile: 'tok' }));
    await writeFile(two, config({}, { username: 'a', password: 'b' }, { 'current-context': 'y' }));

    const byFile = await (await openKubeconfig({ path: one + path.delimiter + two }, ctx)).credentials(false, ctx);
    const basic = await (await openKubeconfig({ path: two, context: 'x' }, ctx)).credentials(false, ctx);

    assert.deepEqual(byFile.headers, { authorization: `Bearer ${secret}` });
    assert.deepEqual(basic.headers, { authorization: 'Basic YTpi' });
  });

  const garbage = Buffer.from('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n').toString('base64');
  const refused: readonly { name: string; text: string; reason: RegExp }[] = [
    { name: 'broken YAML', text: `users:\n- name: "${secret}\n  x: [`, reason: /: line \d+ is not YAML \(\w+\)$/ },
    { name: 'no mapping', text: secret, reason: /no list "clusters"/ },
    { name: 'a cluster without a server', text: config({ server: '' }, {}), reason: /clusters\[0\]\.cluster\.server is missing$/ },
    { name: 'no current context', text: config({}, {}, { 'current-context': '' }), reason: /it has no current-context$/ },
    { name: 'a missing context', text: config({}, {}, { 'current-context': 'z' }), reason: /it has no context "z"$/ },
    { name: 'a missing cluster', text: config({}, {}, { clusters: [] }), reason: /names the cluster "c", which is not there$/ },
    { name: 'a missing user', text: config({}, {}, { users: [] }), reason: /names the user "u", which is not there$/ },
    {
      name: 'a server that is no URL',
      text: config({ server: 'k.example' }, {}),
      reason: /server of cluster "c" is not an http or https URL$/,
    },
    {
      name: 'a CA file that is missing',
      text: config({ 'certificate-authority': 'ca.pem' }, {}),
      reason: /ca\.pem", which it names: there is no such file$/,
    },
    {
      name: 'a CA that is no PEM',
      text: config({ 'certificate-authority-data': 'AAAA' }, {}),
      reason: /authority of its cluster is not PEM$/,
    },
    {
      name: 'a client certificate that does not parse',
      text: config({}, { 'client-certificate-data': garbage, 'client-key-data': garbage }),
      reason: /client certificate or client key does not parse/,
    },
    {
      name: 'a plugin that is not there',
      text: config({}, { exec: { command: 'chainsmith-no-such-plugin' } }),
      reason: /exec plugin "chainsmith-no-such-plugin" cannot be started: there is no such file$/,
    },
    { name: 'a SOCKS proxy', text: config({ 'proxy-url': 'socks5://p' }, {}), reason: /proxy-url of cluster "c"/ },
    { name: 'plain http', text: config({ server: 'http://k.example' }, {}), reason: /http without insecure-skip-tls-verify$/ },
  ];
  for (const { name, text, reason } of refused) {
    it(`refuses ${name}, and shows no credential`, async () => {
      await using folder = await scratch('kubeconfig');
      const file = path.join(folder.dir, 'config');
      await writeFile(file, text);

      await assert.rejects(openKubeconfig({ path: file }, ctx), (error: Error & { code?: string; fix?: string }) => {
        assert.equal(error.code, 'kube.config');
        assert.match(error.message, reason);
        assert.ok(error.message.includes(folder.dir) && error.fix !== undefined, error.message);
        assert.ok(!`${error.message} ${String(error.cause)}`.includes(secret));
        return true;
      });
    });
  }

  it('refuses a missing file', async () => {
    await assert.rejects(openKubeconfig({ path: '/nowhere/config' }, ctx), {
      code: 'kube.config',
      message: 'Cannot read kubeconfig "/nowhere/config": there is no such file',
    });
  });

  it('says nothing of what a failing plugin prints, and may try it again', async () => {
    await using folder = await scratch('kubeconfig');
    const file = path.join(folder.dir, 'config');
    await writeFile(file, config({}, { exec: { command: 'sh', args: ['-c', `echo ${secret} >&2; exit 1`] } }));

    await assert.rejects(openKubeconfig({ path: file }, ctx), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'kube.credentials');
      assert.ok(!`${error.message} ${String(error.cause)}`.includes(secret));
      return true;
    });
  });
});
