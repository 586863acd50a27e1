import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import { CodedError } from '../../src/errors.ts';
import { openRegistries, type RegistryOptions } from '../../src/store/oci/client.ts';
import { openCredentials } from '../../src/store/oci/credentials.ts';
import type { Repository } from '../../src/store/oci/repository.ts';
import { scratch } from '../servers/scratch.ts';
import type { Reply, Seen } from './registry-stand-in.ts';
import { ctx } from './store-world.ts';

export const mediaType = 'application/vnd.oci.image.manifest.v1+json';
export const json = { 'content-type': 'application/json' };
/** Our password there; `failureOf` sees that no error shows it. */
export const secret = 'hunter2';
export const digest = `sha256:${'0'.repeat(64)}`;

export interface Client extends AsyncDisposable {
  readonly repository: Repository;
}

/** A client with credentials for `host`, and a repository there. */
export async function clientOf(host: string, options: Partial<RegistryOptions> = {}): Promise<Client> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await scratch('faults'));
  const file = path.join(dir, 'config.json');
  await writeFile(file, JSON.stringify({ auths: { [host]: { username: 'me', password: secret } } }));
  const registries = stack.use(
    await openRegistries(
      { credentials: openCredentials(file), insecure: false, caFile: undefined, maxBytes: 1024 * 1024, proxy: undefined, ...options },
      ctx,
    ),
  );
  const life = stack.move();
  return { repository: registries.repository(`${host}/app`, 'pull,push'), [Symbol.asyncDispose]: async () => await life.disposeAsync() };
}

type Answering = (request: Seen, headers: IncomingHttpHeaders) => Reply | undefined;

/** Basic authentication before everything, then `reply` for what is below `/v2/app/`. */
export function guarded(reply: Answering): Answering {
  return (request, headers) => {
    if (request.authorization === undefined) return { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
    return reply(request, headers);
  };
}

export async function failureOf(work: Promise<unknown>): Promise<CodedError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CodedError, String(error));
  assert.doesNotMatch(`${error.message} ${error.fix}`, new RegExp(secret));
  return error;
}

/** Class and code. */
export const short = (error: CodedError): string => `${error.name} ${error.code}`;
