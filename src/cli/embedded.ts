import { fileURLToPath } from 'node:url';
import type { Layer } from '../config/layers.ts';
import { layerOfFile } from './settings.ts';

/** Relative to this file in a checkout and in an image alike. */
const file = fileURLToPath(new URL('../../config/embedded.yaml', import.meta.url));

/**
 * What a command outside of a cluster begins with. `all`: everything, for `start`. `places`: only where things are, so that what is made is
 * what the same configuration makes in a cluster.
 */
export async function embeddedLayer(which: 'all' | 'places'): Promise<Layer> {
  const layer = { ...(await layerOfFile(file)), name: 'embedded' };
  if (which === 'all') return layer;
  return { ...layer, entries: new Map([...layer.entries].filter(([key]) => !key.endsWith('.format'))) };
}
