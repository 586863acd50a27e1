import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { parseSha256, type Sha256 } from '../model/digest.ts';
import type { Stored } from '../model/receipt.ts';
import type { Context } from '../observe/context.ts';
import { OciOptions } from '../store/oci/options.ts';
import { openReader, type Reader } from '../store/oci/reader.ts';
import type { Blob } from '../verify/policy.ts';
import type { Io } from './io.ts';

/** The image that was asked for. `repository` is undefined when only a digest was given. */
export interface Asked {
  readonly digest: Sha256;
  readonly repository: string | undefined;
}

export interface Found {
  /** What the findings must speak about; undefined for a file alone. */
  readonly image: Asked | undefined;
  readonly blob?: Blob | undefined;
  readonly stored: readonly Stored[];
}

export interface LookUpOptions {
  readonly layout?: string;
  readonly repository?: string;
  readonly ca?: string;
  readonly insecureRegistry: boolean;
  readonly env: Io['env'];
}

/**
 * Every attestation and signature of an image, from a registry or a layout folder. A tag is resolved first. A digest alone is looked for
 * in all repositories of a layout; a registry cannot be asked that. Throws `cli.usage`, `cli.unreadable`, and what the reader throws.
 */
export async function lookUp(reference: string, options: LookUpOptions, ctx: Context): Promise<Found> {
  await using reader = await openReader(ociOptionsOf(options), ctx);
  if (!/^sha256:[0-9a-f]{64}$/.test(reference)) {
    const image = await reader.resolve(reference, ctx);
    return { image, stored: await reader.list(image, ctx) };
  }
  if (options.layout === undefined) {
    throw new TerminalError('cli.usage', `Cannot look up "${reference}": a digest alone does not say in which registry`, {
      fix: 'write registry/repository@sha256:…, or say with --layout in which folder to look',
    });
  }
  const digest = parseSha256(reference);
  return { image: { digest, repository: undefined }, stored: await listEverywhere(digest, options.layout, reader, ctx) };
}

function ociOptionsOf({ layout, ca, insecureRegistry, env, ...options }: LookUpOptions): OciOptions {
  const home = env['HOME'];
  const given = {
    insecure: insecureRegistry,
    repository: options.repository ?? present(env['COSIGN_REPOSITORY']),
    directory: layout,
    caFile: ca,
    dockerConfig: present(env['DOCKER_CONFIG']) ?? (home === undefined ? undefined : join(home, '.docker')),
    proxy: {
      http: env['HTTP_PROXY'] ?? env['http_proxy'],
      https: env['HTTPS_PROXY'] ?? env['https_proxy'],
      except: env['NO_PROXY'] ?? env['no_proxy'],
    },
  };
  const parsed = OciOptions.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new TerminalError(
    'cli.usage',
    `Cannot look up images: ${parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
  );
}

/** Image-spec, image layout: the tags of all repositories are annotations in one index; ours are `<repository>:<tag>`. */
const Index = z.object({
  manifests: z.array(z.object({ annotations: z.object({ 'org.opencontainers.image.ref.name': z.string().optional() }).optional() })),
});

async function listEverywhere(digest: Sha256, layout: string, reader: Reader, ctx: Context): Promise<readonly Stored[]> {
  const tag = new RegExp(`^(.+):sha256-${digest}\\.(?:att|sig)$`);
  const names = (await readIndex(layout)).manifests.map(({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] ?? '');
  const repositories = new Set(names.flatMap((name) => tag.exec(name)?.[1] ?? []));
  // A bundle belongs to the digest and to no repository: whatever is asked for finds it, but once is enough.
  const found = new Map<string, Stored>();
  for (const repository of repositories.size > 0 ? repositories : ['any']) {
    for (const stored of await reader.list({ repository, digest }, ctx)) {
      const { address } = stored.place;
      const key = stored.kind === 'bundle' ? address.slice(address.lastIndexOf('@')) : address;
      if (!found.has(key)) found.set(key, stored);
    }
  }
  return [...found.values()];
}

async function readIndex(layout: string): Promise<z.output<typeof Index>> {
  const file = join(layout, 'index.json');
  try {
    return Index.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    throw new TerminalError('cli.unreadable', `Cannot read "${file}": it is not the index of an OCI image layout`, {
      cause: error,
      fix: 'give the folder that has oci-layout and index.json',
    });
  }
}

function present(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
