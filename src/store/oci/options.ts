import { z } from 'zod';
import { TerminalError } from '../../errors.ts';
import type { Image } from '../../model/artifact.ts';
import { parseRepository, shownRepository } from './reference.ts';

export const OciOptions = z.strictObject({
  /** `registry/repository` that takes everything, instead of the image's own (`storage.oci.repository`). */
  repository: z.string().refine(isRepository, 'want registry/repository, without tag and digest').optional(),
  insecure: z.boolean().default(false),
  /** An OCI image-layout folder instead of registries. */
  directory: z.string().min(1).optional(),
  /** Docker configuration: the file, or the folder that has it. Nothing else is looked at. */
  dockerConfig: z.string().min(1).optional(),
  caFile: z.string().min(1).optional(),
  /** Layers of cosign's tags, Sigstore bundles as OCI 1.1 referrers, or both. */
  layout: z.enum(['tags', 'referrers', 'both']).default('tags'),
  maxResponseBytes: z
    .int()
    .positive()
    .default(32 * 1024 * 1024),
  proxy: z.strictObject({ http: z.string().optional(), https: z.string().optional(), except: z.string().optional() }).optional(),
});
export type OciOptions = z.output<typeof OciOptions>;

/** The repository that keeps what is about this image: its own unless one is configured; empty text for what is about none. */
export function targetOf(image: Image | undefined, options: OciOptions): string {
  if (image === undefined) return '';
  return shownRepository(parseRepository(options.repository ?? image.repository));
}

function isRepository(text: string): boolean {
  try {
    parseRepository(text);
    return true;
  } catch (error) {
    if (error instanceof TerminalError) return false;
    throw error;
  }
}
