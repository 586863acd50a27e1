import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Agent } from 'undici';
import { codeOf, TransientError } from '../../src/errors.ts';
import { openAuthorizer, type Access, type Authorizer } from '../../src/store/oci/auth.ts';
import type { Credential } from '../../src/store/oci/docker-config.ts';
import { parseRepository } from '../../src/store/oci/reference.ts';
import { standIn, type Reply, type Seen } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

const json = { 'content-type': 'application/json' };
const basic: Credential = { kind: 'basic', username: 'me', password: 'hunter2' };
const basicHeader = `Basic ${Buffer.from('me:hunter2').toString('base64')}`;
const access: Access = { name: parseRepository('r.example/app'), actions: 'pull,push', base: 'http://r.example' };

interface Scene extends AsyncDisposable {
  readonly authorizer: Authorizer;
  /** The token server's URL, and what it was asked. */
  readonly realm: string;
  readonly seen: readonly Seen[];
  credential: Credential | undefined;
  now: number;
}

async function sceneOf(reply: (request: Seen, count: number) => Reply): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  let count = 0;
  const server = stack.use(await standIn((request) => reply(request, (count += 1))));
  const dispatcher = stack.adopt(new Agent(), async (agent) => await agent.close());
  const credentials = { of: async () => await Promise.resolve(scene.credential) };
  const life = stack.move();
  const scene: Scene = {
    authorizer: openAuthorizer({ credentials, dispatcher, now: () => scene.now }),
    realm: `http://localhost:${server.host.split(':')[1]}/token`,
    seen: server.seen,
    credential: basic,
    now: 0,
    [Symbol.asyncDispose]: async () => await life.disposeAsync(),
  };
  return scene;
}

/** Tokens `t1`, `t2`, … good for 100 seconds. */
const counting = (_: Seen, count: number): Reply => ({ status: 200, headers: json, body: `{"token":"t${count}","expires_in":100}` });

describe('openAuthorizer', () => {
  it('says nothing before it is asked', async () => {
    await using scene = await sceneOf(counting);

    assert.equal(await scene.authorizer.header(access, ctx), undefined);
  });

  it('remembers that a registry wants Basic, for all its repositories', async () => {
    await using scene = await sceneOf(counting);

    const answered = await scene.authorizer.answer(access, 'Basic realm="x"', undefined, ctx);

    assert.equal(answered, basicHeader);
    assert.equal(await scene.authorizer.header({ ...access, name: parseRepository('r.example/other') }, ctx), basicHeader);
    assert.equal(await scene.authorizer.header({ ...access, base: 'http://other.example' }, ctx), undefined);
  });

  it('has nothing better when the same was refused, or nobody gave credentials', async () => {
    await using scene = await sceneOf(counting);

    const again = await scene.authorizer.answer(access, 'Basic realm="x"', basicHeader, ctx);
    scene.credential = undefined;
    const anonymous = await scene.authorizer.answer(access, 'Basic realm="x"', undefined, ctx);

    assert.deepEqual(
      [again, anonymous, await scene.authorizer.answer(access, 'Negotiate', undefined, ctx)],
      [undefined, undefined, undefined],
    );
  });

  it('looks a password up again when it was refused, otherwise after five minutes', async () => {
    await using scene = await sceneOf(counting);
    const header = async () => await scene.authorizer.header(access, ctx);
    const headerOf = (password: string) => `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;

    await scene.authorizer.answer(access, 'Basic', undefined, ctx);
    scene.credential = { ...basic, password: 'second' };
    const kept = await header();
    const mended = await scene.authorizer.answer(access, 'Basic', kept, ctx);
    scene.credential = { ...basic, password: 'third' };
    scene.now = 300_000;

    assert.deepEqual([kept, mended, await header()], [basicHeader, headerOf('second'), headerOf('third')]);
  });

  it('asks the realm for what it needs and what it was told, with credentials', async () => {
    await using scene = await sceneOf(counting);
    const challenge = `Bearer realm="${scene.realm}",service="r.example",scope="repository:app:pull repository:base:pull"`;

    const header = await scene.authorizer.answer(access, challenge, undefined, ctx);

    const query = 'service=r.example&scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull';
    assert.equal(header, 'Bearer t1');
    assert.deepEqual(scene.seen, [{ method: 'GET', url: `/token?${query}`, authorization: basicHeader, body: '' }]);
  });

  it('keeps a token by repository and actions until shortly before it ends', async () => {
    await using scene = await sceneOf(counting);
    const header = async (change: Partial<Access> = {}) => await scene.authorizer.header({ ...access, ...change }, ctx);

    const first = await scene.authorizer.answer(access, `Bearer realm="${scene.realm}"`, undefined, ctx);
    scene.now = 89_000;
    const kept = await Promise.all([header(), header(), header()]);
    const others = [await header({ actions: 'pull' }), await header({ name: parseRepository('r.example/other') })];
    scene.now = 90_000;
    const late = await Promise.all([header(), header(), header()]);

    assert.deepEqual(
      { first, kept, others, late },
      {
        first: 'Bearer t1',
        kept: ['Bearer t1', 'Bearer t1', 'Bearer t1'],
        others: ['Bearer t2', 'Bearer t3'],
        late: ['Bearer t4', 'Bearer t4', 'Bearer t4'],
      },
    );
  });

  it('fetches one new token when many are refused at the same time', async () => {
    await using scene = await sceneOf(counting);
    const answer = async () => await scene.authorizer.answer(access, `Bearer realm="${scene.realm}"`, 'Bearer old', ctx);

    assert.deepEqual(await Promise.all([answer(), answer(), answer()]), ['Bearer t1', 'Bearer t1', 'Bearer t1']);
  });

  it('is anonymous at the realm without credentials', async () => {
    await using scene = await sceneOf(() => ({ status: 200, headers: json, body: '{"access_token":"anonymous"}' }));
    scene.credential = undefined;

    const header = await scene.authorizer.answer(access, `Bearer realm="${scene.realm}"`, undefined, ctx);

    assert.deepEqual([header, scene.seen[0]?.authorization], ['Bearer anonymous', undefined]);
  });

  it('sends a registry token as it is', async () => {
    await using scene = await sceneOf(counting);
    scene.credential = { kind: 'registry-token', token: 'given' };

    assert.equal(await scene.authorizer.answer(access, `Bearer realm="${scene.realm}"`, undefined, ctx), 'Bearer given');
    assert.deepEqual(scene.seen, []);
  });

  it('exchanges an identity token by POST', async () => {
    await using scene = await sceneOf(counting);
    scene.credential = { kind: 'identity-token', username: '<token>', token: 'refresh' };

    const header = await scene.authorizer.answer(access, `Bearer realm="${scene.realm}",service="s"`, undefined, ctx);

    assert.equal(header, 'Bearer t1');
    assert.deepEqual(scene.seen, [
      {
        method: 'POST',
        url: '/token',
        authorization: undefined,
        body: 'grant_type=refresh_token&client_id=chainsmith&scope=repository%3Aapp%3Apull%2Cpush&service=s&refresh_token=refresh',
      },
    ]);
  });

  it('goes back to GET where the server knows no POST', async () => {
    await using scene = await sceneOf((request, count) => (request.method === 'POST' ? { status: 404 } : counting(request, count)));
    scene.credential = { kind: 'identity-token', username: 'me', token: 'refresh' };

    const header = await scene.authorizer.answer(access, `Bearer realm="${scene.realm}"`, undefined, ctx);

    const authorization = `Basic ${Buffer.from('me:refresh').toString('base64')}`;
    assert.deepEqual(
      [header, scene.seen.map((request) => [request.method, request.authorization])],
      [
        'Bearer t2',
        [
          ['POST', undefined],
          ['GET', authorization],
        ],
      ],
    );
  });

  const realms = [
    { name: 'plain http for an https registry', realm: 'http://auth.example/token', base: 'https://r.example' },
    { name: 'a private address', realm: 'https://10.0.0.1/token', base: 'https://r.example' },
    { name: 'the metadata service of a cloud', realm: 'http://169.254.169.254/token', base: 'http://r.example' },
    { name: 'loopback in another spelling', realm: 'http://0x7f.1/token', base: 'http://r.example' },
    { name: 'another port of the same private address', realm: 'http://127.0.0.1:1/token', base: 'http://127.0.0.1:5000' },
    { name: 'a file', realm: 'file:///etc/passwd', base: 'http://r.example' },
    { name: 'what is no URL', realm: '/token', base: 'http://r.example' },
  ];
  for (const { name, realm, base } of realms) {
    it(`gives no credentials to a realm that is ${name}`, async () => {
      await using scene = await sceneOf(counting);

      const answered = scene.authorizer.answer({ ...access, base }, `Bearer realm="${realm}"`, undefined, ctx);

      await assert.rejects(answered, { name: 'TerminalError', code: 'oci.realm' });
      assert.equal(await scene.authorizer.header({ ...access, base }, ctx), undefined);
    });
  }

  it('trusts a private realm that is the registry itself', async () => {
    await using scene = await sceneOf(counting);
    const base = new URL(scene.realm.replace('localhost', '127.0.0.1')).origin;

    assert.equal(await scene.authorizer.answer({ ...access, base }, `Bearer realm="${base}/token"`, undefined, ctx), 'Bearer t1');
  });

  const failures = [
    { name: 'refuses credentials', reply: { status: 401, body: 'hunter2' }, want: { name: 'TerminalError', code: 'oci.denied' } },
    { name: 'does not like the request', reply: { status: 400 }, want: { name: 'TerminalError', code: 'oci.denied' } },
    { name: 'is down', reply: { status: 503 }, want: { name: 'TransientError', code: 'oci.unavailable', dependency: 'oci:r.example' } },
    { name: 'gives a page', reply: { status: 200, body: '<html>hunter2' }, want: { name: 'TransientError', code: 'oci.protocol' } },
    { name: 'gives no token', reply: { status: 200, body: '{}' }, want: { name: 'TransientError', code: 'oci.protocol' } },
    {
      name: 'gives a header of its own',
      reply: { status: 200, body: '{"token":"a\\r\\nx: y"}' },
      want: { name: 'TransientError', code: 'oci.protocol' },
    },
  ];
  for (const { name, reply, want } of failures) {
    it(`throws when the token server ${name}, without showing what it said`, async () => {
      await using scene = await sceneOf(() => reply);

      await assert.rejects(scene.authorizer.answer(access, `Bearer realm="${scene.realm}"`, undefined, ctx), (error: Error) => {
        assert.doesNotMatch(error.message, /hunter2/);
        const dependency = error instanceof TransientError && error.dependency !== undefined ? { dependency: error.dependency } : {};
        assert.deepEqual({ name: error.name, code: codeOf(error), ...dependency }, want);
        return true;
      });
    });
  }
});
