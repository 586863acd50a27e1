import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import { inspect } from 'node:util';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { Agent } from 'undici';
import { codeOf, retryOf, TransientError } from '../../src/errors.ts';
import type { Context } from '../../src/observe/context.ts';
import type { Ambient } from '../../src/sign/tokens/provider.ts';
import { obtainToken, type TokenRequest } from '../../src/sign/tokens/providers.ts';
import { run } from '../servers/command.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { bodyOf, serveHttp, type HttpServer } from '../servers/http-server.ts';
import { scratch } from '../servers/scratch.ts';
import { startSpiffeAgent } from '../servers/spiffe-agent.ts';

/** Secrets of these tests; none may be in any error. */
const secrets = { access: 'canary-access-token', request: 'canary-request-token', signature: 'Y2FuYXJ5' };

const lines: string[] = [];
const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
const ctx: Context = { signal: new AbortController().signal, logger };

/** A token as an issuer makes it, but for its signature: only a certificate authority looks at that. */
function tokenFor(audience: string, sub = 'somebody'): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: 'https://issuer.example', aud: audience, exp: Math.floor(Date.now() / 1000) + 600, sub };
  return `${part({ alg: 'ES256' })}.${part(claims)}.${secrets.signature}`;
}

interface Wishes {
  readonly provider?: TokenRequest['provider'];
  readonly tokenFile?: string;
  readonly ambient?: Ambient;
  readonly audience?: string;
  readonly deadlineMs?: number;
}

/** Who the token is about, or else the error. */
async function obtained({ provider, tokenFile, ambient = {}, audience = 'sigstore', deadlineMs = 5_000 }: Wishes): Promise<string | Error> {
  await using stack = new AsyncDisposableStack();
  const agent = () => stack.adopt(new Agent(), async (one) => await one.destroy());
  const request = { provider, tokenFile, ambient, audience, deadlineMs, issuer: undefined, outward: agent(), direct: agent() };
  try {
    return (await obtainToken(request, Date.now, ctx)).challenge;
  } catch (error) {
    assert.equal(error instanceof Error, true);
    assert.equal(retryOf(error), 'later');
    const shown = inspect(error, { depth: 10, showHidden: true }) + lines.join('');
    for (const secret of Object.values(secrets)) assert.equal(shown.includes(secret), false, shown);
    return error as Error;
  }
}

interface Asked {
  readonly what: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface TokenService extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly asked: readonly Asked[];
}

/** Answers by `METHOD /path?query`; undefined is no such thing. */
async function tokenService(answer: (asked: Asked) => unknown): Promise<TokenService> {
  const asked: Asked[] = [];
  const server: HttpServer = await serveHttp((message, response) => {
    void bodyOf(message).then((body) => {
      const one = { what: `${message.method} ${message.url}`, headers: message.headers, body: body.toString() };
      asked.push(one);
      const said = answer(one);
      const text = typeof said === 'string' ? said : JSON.stringify(said);
      response.writeHead(said === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(text ?? secrets.access);
    });
  });
  const host = `127.0.0.1:${server.port}`;
  return { url: `http://${host}`, host, asked, [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose]() };
}

describe('a token file', () => {
  it('is read each time, as the kubelet renews it', async () => {
    await using folder = await scratch('token');
    const tokenFile = path.join(folder.dir, 'token');

    const found: (string | Error)[] = [];
    for (const who of ['first', 'second']) {
      await writeFile(tokenFile, `${tokenFor('sigstore', who)}\n`);
      found.push(await obtained({ tokenFile }));
    }

    assert.deepEqual(found, ['first', 'second']);
  });

  for (const provider of [undefined, 'filesystem', 'filesystem-custom-path'] as const) {
    it(`is what is configured when the provider is ${provider ?? 'not named'}, whatever else there is`, async () => {
      await using folder = await scratch('token');
      const tokenFile = path.join(folder.dir, 'token');
      await writeFile(tokenFile, tokenFor('sigstore', 'the file'));
      const ambient = { SIGSTORE_ID_TOKEN: tokenFor('sigstore', 'the environment') };

      assert.equal(await obtained({ tokenFile, ambient, ...(provider && { provider }) }), 'the file');
    });
  }

  it('is not read when another provider is named', async () => {
    const ambient = { SIGSTORE_ID_TOKEN: tokenFor('sigstore', 'the environment') };

    assert.equal(await obtained({ tokenFile: '/nowhere/token', ambient, provider: 'envvar' }), 'the environment');
  });

  it('that is not there is named, the usual one, too', async () => {
    await using folder = await scratch('token');
    const tokenFile = path.join(folder.dir, 'token');

    const [own, usual] = [await obtained({ tokenFile }), await obtained({ provider: 'filesystem' })];

    assert.equal(String(own), `TransientError: Cannot read the identity token file "${tokenFile}": ENOENT`);
    assert.equal(String(usual), 'TransientError: Cannot read the identity token file "/var/run/sigstore/cosign/oidc-token": ENOENT');
  });

  it('that holds something else is an error, never a reason to ask anybody else, or for a log-in', async () => {
    await using folder = await scratch('token');
    const tokenFile = path.join(folder.dir, 'token');
    const ambient = { SIGSTORE_ID_TOKEN: tokenFor('sigstore') };
    const pipe = path.join(folder.dir, 'pipe');
    assert.equal((await run('mkfifo', [pipe])).code, 0);

    const codes: string[] = [];
    for (const text of ['', ' \n', 'x'.repeat(200_000), tokenFor('vault')]) {
      await writeFile(tokenFile, text);
      codes.push(codeOf(await obtained({ tokenFile, ambient })));
    }
    for (const special of [folder.dir, pipe, '/dev/zero']) codes.push(codeOf(await obtained({ tokenFile: special, ambient })));

    assert.deepEqual(codes.slice(0, 4), ['sign.token-empty', 'sign.token-empty', 'sign.token-malformed', 'sign.token-audience']);
    assert.deepEqual(codes.slice(4), ['sign.token-file', 'sign.token-empty', 'sign.token-malformed']);
  });
});

describe('the environment', () => {
  it('gives its token', async () => {
    assert.equal(await obtained({ provider: 'envvar', ambient: { SIGSTORE_ID_TOKEN: tokenFor('sigstore', 'me') } }), 'me');
  });

  it('without a token is an error', async () => {
    assert.equal(codeOf(await obtained({ provider: 'envvar' })), 'sign.token-provider');
    assert.equal(codeOf(await obtained({ provider: 'envvar', ambient: { SIGSTORE_ID_TOKEN: '' } })), 'sign.token-provider');
  });
});

describe('a SPIFFE agent', () => {
  it('is asked for the audience, by its address or a plain path', async () => {
    await using agent = await startSpiffeAgent({ tokenFor: ([audience]) => tokenFor(audience ?? '', 'spiffe://example.test/chainsmith') });

    for (const address of [agent.address, agent.address.slice('unix://'.length)]) {
      const ambient = { SPIFFE_ENDPOINT_SOCKET: address };
      assert.equal(await obtained({ provider: 'spiffe', ambient, audience: 'own' }), 'spiffe://example.test/chainsmith');
      // Found without being named, as well.
      assert.equal(await obtained({ ambient, audience: 'own' }), 'spiffe://example.test/chainsmith');
    }
    assert.deepEqual(agent.asked, [['own'], ['own'], ['own'], ['own']]);
  });

  it('that does not know us, or is not there, is waited for', async () => {
    await using agent = await startSpiffeAgent({ tokenFor: () => undefined });

    const stranger = await obtained({ provider: 'spiffe', ambient: { SPIFFE_ENDPOINT_SOCKET: agent.address } });
    const absent = await obtained({ provider: 'spiffe' });
    const nonsense = await obtained({ provider: 'spiffe', ambient: { SPIFFE_ENDPOINT_SOCKET: 'http://127.0.0.1' } });

    assert.deepEqual([stranger, absent, nonsense].map(codeOf), ['sign.spiffe-refused', 'sign.spiffe-unreachable', 'sign.spiffe-address']);
    assert.match(String(absent), /"\/tmp\/spire-agent\/public\/api\.sock"/);
  });
});

// What is imitated: GitHub's documented request (`ACTIONS_ID_TOKEN_REQUEST_URL` with `&audience=`, bearer, `{"value"}`).
describe('the token service of GitHub Actions', () => {
  it('is asked with the token of the job, and keeps the query that its address has', async () => {
    await using service = await tokenService(() => ({ count: 1, value: tokenFor('a b', 'repo:o/r:ref:refs/heads/main') }));
    const ambient = {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${service.url}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: secrets.request,
    };

    const who = await obtained({ provider: 'github-actions', ambient, audience: 'a b' });

    assert.equal(who, 'repo:o/r:ref:refs/heads/main');
    assert.deepEqual(
      service.asked.map(({ what, headers }) => [what, headers.authorization]),
      [['GET /token?api-version=2.0&audience=a%20b', `bearer ${secrets.request}`]],
    );
  });

  it('is tried again when it stumbles, and named when it stays down', async () => {
    await using service = await tokenService(() => ({ value: tokenFor('sigstore', 'me') }));
    await using proxy = await startFaultProxy(service.host);
    const wishes = {
      provider: 'github-actions',
      ambient: {
        ACTIONS_ID_TOKEN_REQUEST_URL: `${proxy.url}/token?key=${secrets.access}`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: secrets.request,
      },
    } as const;

    const found: unknown[] = [];
    for (const fault of [
      { kind: 'status', status: 503, body: secrets.access },
      { kind: 'status', status: 403, body: secrets.access },
      { kind: 'lie', body: '<html>' },
      { kind: 'lie', body: '{"value":7}' },
      { kind: 'refuse' },
      { kind: 'none' },
    ] as const) {
      await proxy.set(fault);
      const error = await obtained(wishes);
      found.push(error instanceof TransientError ? [error.code, error.dependency] : error);
    }

    const dependency = 'identity:github-actions';
    assert.deepEqual(found, [
      ['sign.token-refused', dependency],
      ['sign.token-refused', undefined],
      ['sign.token-answer', dependency],
      ['sign.token-answer', dependency],
      ['http.unreachable', dependency],
      'me',
    ]);
  });

  it('that never answers is given up after the deadline', async () => {
    await using service = await tokenService(() => ({}));
    await using proxy = await startFaultProxy(service.host);
    await proxy.set({ kind: 'hang' });
    const ambient = { ACTIONS_ID_TOKEN_REQUEST_URL: proxy.url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: secrets.request };

    const error = await obtained({ provider: 'github-actions', ambient, deadlineMs: 200 });

    assert.equal(codeOf(error), 'sign.token-timeout');
    assert.match(String(error), /provider "github-actions" gave none within 200 ms/);
  });

  it('is not asked when its variables are not set', async () => {
    const error = await obtained({ provider: 'github-actions', ambient: { ACTIONS_ID_TOKEN_REQUEST_TOKEN: secrets.request } });

    assert.equal(String(error), 'TransientError: Cannot get an identity token: ACTIONS_ID_TOKEN_REQUEST_URL is not set');
  });
});

// What is imitated: the OIDC call of buildkite/agent's `api/oidc.go`.
describe('the agent of Buildkite', () => {
  it('is asked for the job that runs', async () => {
    await using service = await tokenService(() => ({ token: tokenFor('sigstore', 'organization:o:pipeline:p') }));
    const ambient = {
      BUILDKITE_AGENT_ACCESS_TOKEN: secrets.request,
      BUILDKITE_AGENT_ENDPOINT: `${service.url}/v3/`,
      BUILDKITE_JOB_ID: 'job-1/../2',
    };

    assert.equal(await obtained({ provider: 'buildkite-agent', ambient }), 'organization:o:pipeline:p');
    assert.deepEqual(
      service.asked.map(({ what, headers, body }) => [what, headers.authorization, body]),
      [['POST /v3/jobs/job-1%2F..%2F2/oidc/tokens', `Token ${secrets.request}`, '{"audience":"sigstore"}']],
    );
  });
});

// What is imitated: `identity` and `token` of Google's metadata server, which demands its header, and IAM's `generateIdToken`.
describe('Google', () => {
  const prefix = 'GET /computeMetadata/v1/instance/service-accounts/default';
  const account = 'builder@project.iam.gserviceaccount.com';
  const impersonation = `POST /v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateIdToken`;
  const answer = ({ what, headers, body }: Asked): unknown => {
    if (what.startsWith('GET') && headers['metadata-flavor'] !== 'Google') return undefined;
    if (what === `${prefix}/identity?audience=sigstore&format=full`) return tokenFor('sigstore', 'the machine');
    if (what === `${prefix}/token`) return { access_token: secrets.access, expires_in: 3599, token_type: 'Bearer' };
    if (what === 'POST /oauth2/token' && body.startsWith('grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJ'))
      return { access_token: secrets.access, expires_in: 3599, token_type: 'Bearer' };
    if (what === 'POST /sts/token' && body.includes('subject_token=subject.jwt'))
      return { access_token: secrets.access, expires_in: 3599, token_type: 'Bearer' };
    const isAllowed = headers.authorization === `Bearer ${secrets.access}` && body === '{"audience":"sigstore","includeEmail":true}';
    return what === impersonation && isAllowed ? { token: tokenFor('sigstore', 'the builder') } : undefined;
  };

  it('gives the identity of the machine from the metadata server, named or found', async () => {
    await using service = await tokenService(answer);
    const ambient = { GCE_METADATA_HOST: service.host };

    assert.equal(await obtained({ provider: 'google-workload-identity', ambient }), 'the machine');
    assert.equal(await obtained({ ambient }), 'the machine');
  });

  it('gives the identity of another account, with the rights of the machine', async () => {
    await using service = await tokenService(answer);
    const ambient = {
      GCE_METADATA_HOST: service.host,
      GOOGLE_SERVICE_ACCOUNT_NAME: account,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: `${service.url}/`,
    };

    assert.equal(await obtained({ provider: 'google-impersonate', ambient }), 'the builder');
    assert.deepEqual(
      service.asked.map(({ what }) => what),
      [`${prefix}/token`, impersonation],
    );
  });

  it('gives the identity of another account, with the rights of a credentials file', async () => {
    await using service = await tokenService(answer);
    await using folder = await scratch('google');
    const file = path.join(folder.dir, 'credentials.json');
    const privateKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const credentials = (tokenUri: string) =>
      JSON.stringify({
        type: 'service_account',
        project_id: 'project',
        private_key_id: '1',
        private_key: privateKey,
        client_email: 'caller@project.iam.gserviceaccount.com',
        token_uri: tokenUri,
      });
    const ambient = {
      GOOGLE_APPLICATION_CREDENTIALS: file,
      GOOGLE_SERVICE_ACCOUNT_NAME: account,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: service.url,
    };
    const impersonated = async () => await obtained({ provider: 'google-impersonate', ambient });

    await writeFile(file, credentials(`${service.url}/oauth2/token`));
    const good = await impersonated();
    await writeFile(file, credentials(`${service.url}/elsewhere`));
    const refused = await impersonated();
    await writeFile(file, secrets.access);
    const nonsense = await impersonated();
    await writeFile(file, JSON.stringify({ type: 'authorized_user', refresh_token: secrets.access }));
    const person = await impersonated();

    assert.equal(good, 'the builder');
    assert.equal(String(refused), `TransientError: Cannot get an identity token from ${service.url}/elsewhere: status 404`);
    assert.equal(String(nonsense), `TransientError: Cannot get an access token with "${file}": it is not JSON`);
    assert.equal(codeOf(person), 'sign.google-credentials');
  });

  it('gives the identity of another account, with the rights of a federated identity', async () => {
    await using service = await tokenService(answer);
    await using folder = await scratch('google');
    const [file, subject] = [path.join(folder.dir, 'credentials.json'), path.join(folder.dir, 'subject')];
    await writeFile(subject, 'subject.jwt');
    const ambient = {
      GOOGLE_APPLICATION_CREDENTIALS: file,
      GOOGLE_SERVICE_ACCOUNT_NAME: account,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: service.url,
    };
    const impersonated = async (tokenUrl: string) => {
      const config = {
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: tokenUrl,
        credential_source: { file: subject },
      };
      await writeFile(file, JSON.stringify(config));
      return await obtained({ provider: 'google-impersonate', ambient });
    };

    assert.equal(await impersonated(`${service.url}/sts/token`), 'the builder');
    assert.equal(String(await impersonated(`${service.url}/nowhere`)), `TransientError: Cannot get an access token with "${file}": 404`);
  });
});

describe('without a named provider', () => {
  it('whoever can be asked is asked, in turn, until one gives a token that will do', async () => {
    await using service = await tokenService(() => ({ value: tokenFor('somebody else') }));
    const ambient = {
      ACTIONS_ID_TOKEN_REQUEST_URL: service.url,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: secrets.request,
      SIGSTORE_ID_TOKEN: tokenFor('sigstore', 'the environment'),
    };

    assert.equal(await obtained({ ambient }), 'the environment');
    assert.equal(service.asked.length, 1);
  });

  it('every failure is told when none does', async () => {
    await using service = await tokenService(() => ({ value: tokenFor('somebody else') }));
    const ambient = {
      ACTIONS_ID_TOKEN_REQUEST_URL: service.url,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: secrets.request,
      SIGSTORE_ID_TOKEN: 'no token',
    };

    const error = await obtained({ ambient });

    assert.deepEqual(error instanceof AggregateError ? error.errors.map(codeOf) : error, ['sign.token-audience', 'sign.token-malformed']);
  });

  it('says what each one lacks when nobody can be asked', async () => {
    const error = await obtained({});

    assert.equal(codeOf(error), 'sign.token-provider');
    assert.match(String(error), /filesystem: no file "\/var\/run\/sigstore\/cosign\/oidc-token"; google-workload-identity: not a machine/);
  });
});
