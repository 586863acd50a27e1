import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { Agent, request } from 'undici';
import { startApiServer } from './apiserver.ts';
import { makeCa, makeServerCertificate } from './certificates.ts';
import { output, run } from './command.ts';
import { cosign, emptyTrustedRoot } from './cosign.ts';
import { crane, pushImage } from './crane.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { hold, isAlive } from './lock.ts';
import { startServer, until } from './process.ts';
import { startOciRegistry, startRegistry } from './registry.ts';
import { scratch } from './scratch.ts';
import { missing } from './tools.ts';

const noRegistry = await missing('registry', 'ociregistry', 'crane');
const noCluster = await missing('etcd', 'kube-apiserver');
const noGo = (await run('go', ['version']).catch(() => undefined)) === undefined && 'Go is missing';
const noJudges = await missing('cosign2', 'cosign3', 'registry', 'crane');

describe('startRegistry', { skip: noRegistry }, () => {
  it('takes an image from anybody, has no referrers API, and is gone afterwards', async () => {
    let pid = 0;
    {
      await using registry = await startRegistry();
      pid = registry.pid;

      const digest = await pushImage(`${registry.host}/t/app:v1`, 'hello');

      const seen = await crane(['digest', `${registry.host}/t/app:v1`]);
      assert.deepEqual(seen, { code: 0, stdout: `${digest}\n`, stderr: '' });
      assert.equal((await request(`${registry.url}/v2/t/app/referrers/${digest}`)).statusCode, 404);
    }
    assert.equal(isAlive(pid), false);
  });

  for (const auth of ['basic', 'token'] as const) {
    it(`asks for ${auth} authentication and takes the credentials it gives`, async () => {
      await using registry = await startRegistry({ auth });
      const reference = `${registry.host}/t/app:v1`;
      const env = { DOCKER_CONFIG: registry.dockerConfigDir ?? '' };

      await pushImage(reference, 'hello', { env });

      assert.equal((await crane(['manifest', reference], { env })).code, 0);
      assert.match((await crane(['manifest', reference])).stderr, /UNAUTHORIZED|unauthorized/);
      assert.equal((registry.tokensGiven?.() ?? 0) > 0, auth === 'token');
    });
  }

  it('lets a stranger pull below public/ with a token, and push nowhere', async () => {
    await using registry = await startRegistry({ auth: 'token' });
    const reference = `${registry.host}/public/app:v1`;
    await pushImage(reference, 'hello', { env: { DOCKER_CONFIG: registry.dockerConfigDir ?? '' } });

    assert.equal((await crane(['manifest', reference])).code, 0);
    await assert.rejects(pushImage(reference, 'other'), /unauthorized/i);
  });

  it('speaks TLS with a certificate of its own CA', async () => {
    await using registry = await startRegistry({ tls: true });
    await using agent = disposable(new Agent({ connect: { ca: await readFile(registry.caFile ?? '', 'utf8') } }));

    assert.equal((await request(`${registry.url}/v2/`, { dispatcher: agent.value })).statusCode, 200);
    await assert.rejects(request(`${registry.url}/v2/`), /unable to verify|self-signed/);
  });
});

describe('startOciRegistry', { skip: noRegistry }, () => {
  it('has the referrers API', async () => {
    await using registry = await startOciRegistry();
    const digest = await pushImage(`${registry.host}/t/app:v1`, 'hello');

    const answer = await request(`${registry.url}/v2/t/app/referrers/${digest}`);

    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers['content-type'], 'application/vnd.oci.image.index.v1+json');
  });
});

describe('startApiServer', { skip: noCluster }, () => {
  it('serves the run kinds under RBAC, survives a restart, writes its audit log, and is gone afterwards', async () => {
    let pids: readonly number[] = [];
    {
      await using cluster = await startApiServer({ auditLog: true });
      const runs = '/apis/tekton.dev/v1/namespaces/default/taskruns';
      await cluster.call('POST', runs, { apiVersion: 'tekton.dev/v1', kind: 'TaskRun', metadata: { name: 'a' }, spec: { any: [1] } });
      await cluster.call('PATCH', `${runs}/a/status`, { status: { completionTime: '2026-01-01T00:00:00Z' } });

      await cluster.restart();

      pids = cluster.pids();
      const { body } = await cluster.call('GET', `${runs}/a`);
      const { spec, status } = body as { readonly spec: unknown; readonly status: unknown };
      assert.deepEqual({ spec, status }, { spec: { any: [1] }, status: { completionTime: '2026-01-01T00:00:00Z' } });
      assert.equal(await statusFor(cluster, await cluster.serviceAccountToken('team', 'nobody'), runs), 403);
      assert.equal(await statusFor(cluster, 'wrong', runs), 401);
      assert.match(await readFile(cluster.auditLogPath ?? '', 'utf8'), /"verb":"patch"/);
    }
    assert.deepEqual(pids.map(isAlive), [false, false]);
  });
});

describe('cosign', { skip: noJudges }, () => {
  for (const version of [2, 3] as const) {
    it(`${version} signs and verifies offline with a key`, async () => {
      await using registry = await startRegistry();
      await using work = await scratch('cosign');
      const image = `${registry.host}/t/app@${await pushImage(`${registry.host}/t/app:v1`, 'hello')}`;
      const options = { cwd: work.dir };
      assert.equal((await cosign(version, ['generate-key-pair', '--output-key-prefix', 'k'], options)).code, 0);
      const legacy = version === 3 ? ['--use-signing-config=false', '--new-bundle-format=false'] : [];

      const signed = await cosign(version, ['sign', '--key', 'k.key', '-y', '--tlog-upload=false', ...legacy, image], options);

      assert.equal(signed.code, 0, signed.stderr);
      const trust = ['--insecure-ignore-tlog', '--trusted-root', await emptyTrustedRoot(work.dir)];
      const verified = await cosign(version, ['verify', '--key', 'k.pub', ...trust, image], options);
      assert.equal(verified.code, 0, verified.stderr);
      const stranger = await pushImage(`${registry.host}/t/other:v1`, 'other');
      assert.equal(
        (await cosign(version, ['verify', '--key', 'k.pub', ...trust, `${registry.host}/t/other@${stranger}`], options)).code,
        10,
      );
    });
  }
});

describe('startFaultProxy', { skip: noRegistry }, () => {
  const answers = [
    { fault: { kind: 'none' }, expected: { status: 200, body: '{}' } },
    { fault: { kind: 'status', status: 429, retryAfter: 7 }, expected: { status: 429, body: '', retryAfter: '7' } },
    { fault: { kind: 'status', status: 500, body: 'oops' }, expected: { status: 500, body: 'oops' } },
    { fault: { kind: 'lie', body: '<html>' }, expected: { status: 200, body: '<html>' } },
    { fault: { kind: 'drip', bytes: 50, everyMs: 5 }, expected: { status: 200, body: '{}' } },
  ] as const;
  const failures = [
    { fault: { kind: 'refuse' }, error: /ECONNREFUSED/ },
    { fault: { kind: 'hang' }, error: /timeout|aborted/i },
    { fault: { kind: 'truncate', bytes: 40 }, error: /closed|hang up|Parse Error/i },
  ] as const;

  it('does what it is told, one fault after the other, to the same port', async () => {
    await using registry = await startRegistry();
    await using proxy = await startFaultProxy(registry.host);

    for (const { fault, expected } of answers) {
      await proxy.set(fault);
      assert.deepEqual(await ask(proxy), expected, fault.kind);
    }
    for (const { fault, error } of failures) {
      await proxy.set(fault);
      await assert.rejects(ask(proxy), error, fault.kind);
    }
    await proxy.set({ kind: 'none' });
    assert.equal((await ask(proxy)).status, 200);
  });

  it('speaks TLS on both sides when it has a certificate', async () => {
    await using work = await scratch('proxy');
    await using registry = await startRegistry({ tls: true });
    const ca = await makeCa(work.dir, 'proxy-ca');
    await using proxy = await startFaultProxy(registry.host, await makeServerCertificate(work.dir, 'proxy', ca));
    await using agent = disposable(new Agent({ connect: { ca: await readFile(ca.certFile, 'utf8') } }));

    assert.equal((await request(`${proxy.url}/v2/`, { dispatcher: agent.value })).statusCode, 200);
    await proxy.set({ kind: 'status', status: 503 });
    assert.equal((await request(`${proxy.url}/v2/`, { dispatcher: agent.value })).statusCode, 503);
  });
});

describe('startServer', () => {
  it('says what the program said when it ends before it is ready', async () => {
    const spec = { name: 'broken', file: '/bin/sh', ports: 1, readyUrl: () => 'http://127.0.0.1:1/', isReady: () => true };

    await assert.rejects(startServer({ ...spec, args: () => ['-c', 'echo no such flag >&2; exit 3'] }), {
      message: 'Cannot start broken: exit 3\nno such flag\n',
    });
  });

  it('ends the server when this process is killed', { skip: noRegistry }, async () => {
    await using work = await scratch('orphan');
    const script = path.join(work.dir, 'parent.ts');
    const module = path.join(import.meta.dirname, 'registry.ts');
    await writeFile(
      script,
      `import { startOciRegistry } from ${JSON.stringify(module)};\nconsole.log((await startOciRegistry()).pid);\nsetInterval(() => {}, 1000);\n`,
    );
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    const server = Number(said.toString());
    assert.equal(isAlive(server), true);

    parent.kill('SIGKILL');

    await until('the orphan to end', 5_000, () => !isAlive(server));
  });
});

describe('findTool', () => {
  it('prefers the folder given in the environment', async () => {
    await using work = await scratch('given');
    const file = path.join(work.dir, 'crane');
    await writeFile(file, '#!/bin/sh\n', { mode: 0o755 });

    assert.equal(await inOtherEnvironment({ CHAINSMITH_TEST_BIN: work.dir }, "findTool('crane')"), file);
  });

  it('finds etcd where envtest keeps it', async () => {
    await using work = await scratch('given');
    const file = path.join(work.dir, 'etcd');
    await writeFile(file, '#!/bin/sh\n', { mode: 0o755 });

    assert.equal(await inOtherEnvironment({ KUBEBUILDER_ASSETS: work.dir }, "findTool('etcd')"), file);
  });

  it('builds what is nowhere into the cache folder', { skip: noGo }, async () => {
    await using work = await scratch('cache');

    // Go's own cache must stay where it is, or everything is compiled anew.
    const GOCACHE = (await output('go', ['env', 'GOCACHE'])).trim();

    const file = await inOtherEnvironment({ XDG_CACHE_HOME: work.dir, GOCACHE }, "findTool('ociregistry')");

    assert.equal(file.startsWith(path.join(work.dir, 'chainsmith', 'servers', 'ociregistry-')), true);
    await access(file);
  });

  it('says what to do where there is no Go and nothing built', async () => {
    await using work = await scratch('cache');
    const environment = { XDG_CACHE_HOME: work.dir, PATH: work.dir };

    assert.match(
      await inOtherEnvironment(environment, "missing('etcd', 'crane')"),
      /^etcd, crane: not built, and Go is missing \(install Go/,
    );
    assert.match(
      await inOtherEnvironment(environment, "findTool('etcd').catch((error) => error.message)"),
      /^Cannot build "etcd": Go is missing/,
    );
  });
});

describe('hold', () => {
  it('lets one at a time in, and buries an owner that died', async () => {
    await using work = await scratch('lock');
    const lock = path.join(work.dir, 'lock');
    await mkdir(lock);
    const dead = spawn('/bin/true');
    await once(dead, 'exit');
    await writeFile(path.join(lock, 'owner'), `${hostname()}.${dead.pid}.abcd`);
    const seen: string[] = [];
    const enter = async (name: string): Promise<void> => {
      await using _held = await hold(lock);
      seen.push(`${name} in`);
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(`${name} out`);
    };

    await Promise.all(['a', 'b', 'c'].map(enter));

    assert.equal(seen.length, 6);
    for (let at = 0; at < seen.length; at += 2) assert.equal(seen[at]?.slice(0, 1), seen[at + 1]?.slice(0, 1), seen.join());
    await assert.rejects(access(lock));
  });
});

/** `expression` over tools.ts, in a process with these variables on top of ours. */
async function inOtherEnvironment(env: Readonly<Record<string, string>>, expression: string): Promise<string> {
  const module = path.join(import.meta.dirname, 'tools.ts');
  const script = `import { findTool, missing } from ${JSON.stringify(module)};\nprocess.stdout.write(String(await ${expression}));`;
  const outcome = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...env },
    timeoutMs: 120_000,
  });
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.stdout;
}

async function statusFor(cluster: { readonly url: string; readonly caPem: string }, token: string, where: string): Promise<number> {
  await using agent = disposable(new Agent({ connect: { ca: cluster.caPem } }));
  const answer = await request(cluster.url + where, { dispatcher: agent.value, headers: { authorization: `Bearer ${token}` } });
  await answer.body.dump();
  return answer.statusCode;
}

async function ask(proxy: FaultProxy): Promise<{ readonly status: number; readonly body: string; readonly retryAfter?: string }> {
  await using agent = disposable(new Agent());
  const answer = await request(`${proxy.url}/v2/`, { dispatcher: agent.value, signal: AbortSignal.timeout(1_000) });
  const retryAfter = answer.headers['retry-after'];
  const body = await answer.body.text();
  return { status: answer.statusCode, body, ...(typeof retryAfter === 'string' && { retryAfter }) };
}

/** undici's agents have no `asyncDispose`. */
function disposable(value: Agent): AsyncDisposable & { readonly value: Agent } {
  return {
    value,
    async [Symbol.asyncDispose]() {
      await value.destroy();
    },
  };
}
