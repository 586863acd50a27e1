import { ensureBlob, putBlob, readBlob } from './blobs.ts';
import type { Line } from './line.ts';
import { describeManifest, readManifest, resolveTag } from './manifests.ts';
import { attach, listReferrers } from './referrers.ts';
import type { Repository } from './repository.ts';
import { updateTag } from './tags.ts';

/** A repository over the distribution API (sigstore-wire 3.7, 3.8). */
export function registryRepository(line: Line): Repository {
  return {
    manifest: async (reference, ctx) => await readManifest(line, reference, ctx),
    describe: async (reference, ctx) => await describeManifest(line, reference, ctx),
    resolve: async (tag, ctx) => await resolveTag(line, tag, ctx),
    blob: async (layer, ctx) => await readBlob(line, layer, ctx),
    putBlob: async (bytes, ctx) => await putBlob(line, bytes, ctx),
    ensureBlob: async (bytes, ctx) => await ensureBlob(line, bytes, ctx),
    async update(tag, change, ctx) {
      await line.exclusively(tag, async () => await updateTag(line, tag, change, ctx));
    },
    attach: async (referrer, ctx) => await attach(line, referrer, ctx),
    referrers: async (subject, ctx) => await listReferrers(line, subject, ctx),
  };
}
