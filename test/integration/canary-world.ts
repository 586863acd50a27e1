import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { request } from 'undici';
import { bodyOf } from '../servers/http-server.ts';
import type { Registry } from '../servers/registry.ts';

/** Texts of places where no secret may be, by the names of the places. */
export type Said = Readonly<Record<string, string>>;

/** Which secrets came out where; each in every form that it may have. */
export function leaksIn(said: Said, secrets: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => {
    if (secret.length < 12) throw new Error(`Cannot look for "${name}": so short a text is found by chance`);
    const forms = formsOf(secret);
    return Object.entries(said).flatMap(([where, text]) => (forms.some((form) => text.includes(form)) ? [`${name} in ${where}`] : []));
  });
}

/** As it is, in URLs and JSON, as hex, and inside of a text that is base64 once or twice, as payloads and annotations are. */
function formsOf(secret: string): readonly string[] {
  const once = insideBase64(secret);
  const json = JSON.stringify(secret).slice(1, -1);
  const hex = Buffer.from(secret).toString('hex');
  return [...new Set([secret, encodeURIComponent(secret), json, hex, hex.toUpperCase(), ...once, ...once.flatMap(insideBase64)])];
}

/** What base64 of any text with `secret` in it must hold: it depends on the place in the text, modulo 3, and the ends on what stands beside. */
function insideBase64(secret: string): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
    // Whole groups of three bytes that are all of the secret's.
    const whole = bytes.subarray(before === 0 ? 0 : 3, bytes.length - (bytes.length % 3));
    return [whole.toString('base64'), whole.toString('base64url')];
  });
}

/** Says everything back that it is told, as an error of whatever service it is taken for, a proxy included. */
export async function startEcho(): Promise<
  AsyncDisposable & { readonly host: string; readonly url: string; readonly heard: () => string }
> {
  let heard = '';
  const hear = ({ url, headers }: IncomingMessage, body: string): string => {
    const text = `${url} ${JSON.stringify(headers)} ${body}`;
    heard += text;
    return text;
  };
  const server = createServer((message, response) => {
    void (async () => {
      const text = hear(message, (await bodyOf(message)).toString());
      // A registry asks for credentials first.
      const isAsking = message.url?.startsWith('/v2/') === true && message.headers.authorization === undefined;
      response.writeHead(isAsking ? 401 : 403, {
        'content-type': 'application/json',
        ...(isAsking && { 'www-authenticate': 'Basic realm="echo"' }),
        'x-echo': encodeURIComponent(text).slice(0, 4_000),
      });
      const errors = [text];
      response.end(JSON.stringify({ __type: 'AccessDeniedException', message: text, error: text, errors, code: 7, details: errors }));
    })().catch(() => response.destroy());
  });
  server.on('connect', (message, socket) => {
    const text = hear(message, '');
    socket.end(`HTTP/1.1 407 ${text.replaceAll(/[^ -~]/g, ' ')}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Cannot echo: the socket has no port');
  const host = `127.0.0.1:${address.port}`;
  return {
    host,
    url: `http://${host}`,
    heard: () => heard,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

const accept = ['manifest', 'index']
  .map((kind) => `application/vnd.oci.image.${kind}.v1+json`)
  .concat('application/vnd.docker.distribution.manifest.v2+json')
  .join(', ');

/** Every manifest and blob that a registry with a password has. */
export async function storedIn({ url, username, password }: Registry): Promise<string> {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const get = async (where: string): Promise<string> => {
    const { body } = await request(`${url}/v2/${where}`, { headers: { authorization, accept } });
    return Buffer.from(await body.arrayBuffer()).toString('latin1');
  };
  const texts: string[] = [];
  const { repositories } = JSON.parse(await get('_catalog')) as { readonly repositories: readonly string[] };
  for (const repository of repositories) {
    const { tags } = JSON.parse(await get(`${repository}/tags/list`)) as { readonly tags: readonly string[] | null };
    const names = [...(tags ?? [])];
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const manifest = await get(`${repository}/manifests/${name}`);
      texts.push(manifest);
      const digests = manifest.match(/sha256:[0-9a-f]{64}/g) ?? [];
      if (manifest.includes('"manifests"')) names.push(...digests);
      else for (const digest of digests) texts.push(await get(`${repository}/blobs/${digest}`));
    }
  }
  return texts.join('\n');
}

/** All files below a folder whose names hold `part`, one after the other; empty text when there is no such folder. */
export async function filesIn(folder: string, part = ''): Promise<string> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = found.filter((entry) => entry.isFile() && entry.name.includes(part));
  return (await Promise.all(files.map(async ({ parentPath, name }) => await readFile(path.join(parentPath, name), 'latin1')))).join('\n');
}
