import type { Context } from '../../observe/context.ts';
import { openRegistries } from './client.ts';
import { openCredentials } from './credentials.ts';
import { openLayout } from './layout.ts';
import type { OciOptions } from './options.ts';
import type { Repositories } from './repository.ts';

/** Registries, or the layout folder in their place. */
export async function openRepositories(options: OciOptions, ctx: Context): Promise<Repositories> {
  const { directory, insecure, caFile, proxy, maxResponseBytes: maxBytes } = options;
  if (directory !== undefined) return openLayout(directory, maxBytes);
  return await openRegistries({ credentials: openCredentials(options.dockerConfig), insecure, caFile, maxBytes, proxy }, ctx);
}
