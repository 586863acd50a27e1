import type { Dispatcher } from 'undici';
import { send, type Answer, type Call } from '../../http/http.ts';
import { openOutward, readCaFile, type Proxy } from '../../http/outward.ts';
import type { Context } from '../../observe/context.ts';
import { openAuthorizer, type Access } from './auth.ts';
import type { Credentials } from './credentials.ts';
import { openEndpoints } from './endpoint.ts';
import { keyedMutex } from './mutex.ts';
import { parseRepository, shownRepository, type RepositoryName } from './reference.ts';
import type { Ask } from './line.ts';
import { registryRepository } from './registry.ts';
import type { Actions, Repositories } from './repository.ts';

export interface RegistryOptions {
  readonly credentials: Credentials;
  /** Certificates are not verified, and plain http is tried where https fails. */
  readonly insecure: boolean;
  /** PEM file with authorities to trust beside the well-known ones. */
  readonly caFile: string | undefined;
  readonly maxBytes: number;
  /** Proxies, as the environment of most programs names them. Without it connections are direct. */
  readonly proxy: Proxy | undefined;
}

/** Parallel connections to one registry; more only waits there instead of here. */
const connections = 32;

/** Blobs are redirected to object stores, which redirect between regions. */
const maxRedirects = 5;

/** A client with sockets, tokens and credentials of its own, for any number of registries. Throws `oci.ca-file`. */
export async function openRegistries(options: RegistryOptions, ctx: Context): Promise<Repositories> {
  const dispatcher = await openDispatcher(options, ctx);
  const endpoints = openEndpoints(options.insecure, dispatcher);
  const authorizer = openAuthorizer({ credentials: options.credentials, dispatcher, now: Date.now });
  const tags = keyedMutex();

  const speak = async (name: RepositoryName, actions: Actions, request: Ask, ctx: Context): Promise<Answer> => {
    const access: Access = { name, actions, base: await endpoints.of(name.registry, ctx) };
    const url = new URL(request.to, `${access.base}/v2/${name.path}/`);
    const isOurs = url.origin === new URL(access.base).origin;
    const call = callOf(request, url.href, { dispatcher, name, maxBytes: options.maxBytes });
    if (!isOurs) return await send(call, ctx);
    const sent = await authorizer.header(access, ctx);
    const answer = await send(withHeader(call, sent), ctx);
    // A 401 from where we were redirected to is not the registry's, and must not learn our credentials.
    if (answer.status !== 401 || new URL(answer.url).origin !== url.origin) return answer;
    const better = await authorizer.answer(access, answer.headers['www-authenticate'] ?? '', sent, ctx);
    return better === undefined ? answer : await send(withHeader(call, better), ctx);
  };

  return {
    prefix: '',
    repository(text, actions) {
      const name = parseRepository(text);
      const where = shownRepository(name);
      return registryRepository({
        where,
        dependency: `oci:${name.registry}`,
        maxBytes: options.maxBytes,
        exclusively: async (tag, work) => await tags.run(`${where}:${tag}`, work),
        speak: async (request, ctx) => await speak(name, actions, request, ctx),
      });
    },
    async [Symbol.asyncDispose]() {
      await dispatcher.close();
    },
  };
}

interface Line {
  readonly dispatcher: Dispatcher;
  readonly name: RepositoryName;
  readonly maxBytes: number;
}

function callOf({ to: _, ...rest }: Ask, url: string, { dispatcher, name, maxBytes }: Line): Call {
  const isReading = rest.method === 'GET' || rest.method === 'HEAD';
  // Nothing is ever decompressed (`demandPlain`).
  const headers = { 'accept-encoding': 'identity', ...rest.headers };
  return { maxBytes, ...rest, headers, url, dispatcher, dependency: `oci:${name.registry}`, redirects: isReading ? maxRedirects : 0 };
}

function withHeader(call: Call, authorization: string | undefined): Call {
  return authorization === undefined ? call : { ...call, headers: { ...call.headers, authorization } };
}

async function openDispatcher({ insecure, caFile, proxy }: RegistryOptions, ctx: Context): Promise<Dispatcher> {
  const fix = 'point storage.oci.ca-file to a PEM file with certificates';
  const ca = caFile === undefined ? undefined : await readCaFile(caFile, { code: 'oci.ca-file', fix });
  if (insecure) ctx.logger.warn({ store: 'oci' }, 'certificates of registries are not verified, and plain http is allowed');
  return openOutward({ ca, insecure, proxy, connections });
}
