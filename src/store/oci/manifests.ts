import type { Answer } from '../../http/http.ts';
import { parseSha256, sha256Of, type Sha256 } from '../../model/digest.ts';
import type { Context } from '../../observe/context.ts';
import { jsonOf, nonsense, refusal } from './answer.ts';
import { attemptOf, demandPlain, digestIn, mediaTypeOf, suffixOf, type Line } from './line.ts';
import { descriptorOf, manifestTypes, type Descriptor, type Manifest } from './repository.ts';

const accept = manifestTypes.join(', ');

export async function readManifest(line: Line, reference: string, ctx: Context): Promise<Manifest | undefined> {
  const attempt = attemptOf(line, 'read manifest', suffixOf(reference));
  const answer = await line.speak({ method: 'GET', to: `manifests/${reference}`, headers: { accept } }, ctx);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refusal(answer, attempt);
  demandPlain(answer, attempt);
  const digest = sha256Of(answer.body);
  const wanted = reference.startsWith('sha256:') ? parseSha256(reference) : digestIn(answer);
  if (jsonOf(answer.body) === undefined) throw nonsense(answer, attempt, 'the answer is not JSON');
  if (wanted !== undefined && wanted !== digest) throw nonsense(answer, attempt, `its digest is sha256:${digest}, want sha256:${wanted}`);
  const mediaType = mediaTypeOf(answer);
  if (!manifestTypes.includes(mediaType)) throw nonsense(answer, attempt, 'the answer is not a manifest');
  const etag = answer.headers['etag'];
  return { mediaType, digest, bytes: answer.body, ...(etag !== undefined && { etag }) };
}

/** By HEAD, and by reading it where the answer to that leaves something out. */
export async function describeManifest(line: Line, reference: string, ctx: Context): Promise<Descriptor | undefined> {
  const answer = await headOf(line, reference, ctx);
  if (answer === undefined) return undefined;
  const digest = reference.startsWith('sha256:') ? parseSha256(reference) : digestIn(answer);
  const [mediaType, size] = [mediaTypeOf(answer), Number(answer.headers['content-length'] ?? '')];
  if (digest !== undefined && manifestTypes.includes(mediaType) && Number.isSafeInteger(size) && size > 0)
    return { mediaType, digest, size };
  const manifest = await readManifest(line, reference, ctx);
  return manifest && descriptorOf(manifest);
}

export async function resolveTag(line: Line, tag: string, ctx: Context): Promise<Sha256 | undefined> {
  const answer = await headOf(line, tag, ctx);
  return answer && (digestIn(answer) ?? (await readManifest(line, tag, ctx))?.digest);
}

async function headOf(line: Line, reference: string, ctx: Context): Promise<Answer | undefined> {
  const answer = await line.speak({ method: 'HEAD', to: `manifests/${reference}`, headers: { accept } }, ctx);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refusal(answer, attemptOf(line, 'look for manifest', suffixOf(reference)));
  return answer;
}
