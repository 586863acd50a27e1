import { codeOf, CodedError, TerminalError, TransientError } from '../errors.ts';
import type { SecretData } from '../kube/objects.ts';
import { within, type Context } from '../observe/context.ts';
import { memberNames, partsOf, type KeyParts, type KeyPlace } from './key-place.ts';
import type { SignerMeans } from './signer.ts';

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** One attempt of the client has 30 s; a look every few seconds must not wait as long. */
const deadlineMs = 10_000;

/**
 * A Secret that is read through the API server, its members named as the files of a mounted one. It is got by its name and not watched:
 * that needs only the verb `get` on one `resourceNames`, and the resourceVersion says what has changed. Throws `sign.no-key` when there is no
 * such Secret, `sign.secret-forbidden`, `sign.secret-slow` (transient), and what the client throws.
 */
export function secretPlace({ namespace, name }: SecretName, means: SignerMeans): KeyPlace {
  const get = async (ctx: Context): Promise<SecretData> => {
    const secret = await within(deadlineMs, ctx, async (limited) => await means.secret(namespace, name, limited)).catch(
      (error: unknown) => {
        if (codeOf(error) === 'kube.forbidden') throw forbidden({ namespace, name }, error);
        ctx.signal.throwIfAborted();
        throw error instanceof CodedError ? error : slow({ namespace, name }, error);
      },
    );
    if (secret !== undefined) return secret;
    throw new TerminalError('sign.no-key', `Cannot find the Secret "${namespace}/${name}": there is none`, {
      fix: `make it with "chainsmith keys generate --k8s ${namespace}/${name}"`,
    });
  };
  return {
    mark: async (ctx) => (await get(ctx)).resourceVersion,
    async read(ctx) {
      return partsOfSecret({ namespace, name }, await get(ctx));
    },
  };
}

/** The members of a Secret that belong to a key. */
export function partsOfSecret({ namespace, name }: SecretName, { data, resourceVersion }: SecretData): KeyParts {
  const parts = memberNames.map((member) => {
    const bytes = Object.hasOwn(data, member) ? data[member] : undefined;
    return [member, bytes && { file: `k8s://${namespace}/${name}/${member}`, bytes: Buffer.from(bytes) }] as const;
  });
  return partsOf(new Map(parts), resourceVersion);
}

function forbidden({ namespace, name }: SecretName, cause: unknown): TerminalError {
  return new TerminalError('sign.secret-forbidden', `Cannot read the Secret "${namespace}/${name}": our account may not`, {
    cause,
    fix: `give it a Role in "${namespace}" with apiGroups: [""], resources: ["secrets"], resourceNames: ["${name}"], verbs: ["get"]`,
  });
}

function slow({ namespace, name }: SecretName, cause: unknown): TransientError {
  return new TransientError('sign.secret-slow', `Cannot read the Secret "${namespace}/${name}": no answer within ${deadlineMs} ms`, {
    cause,
    dependency: 'kube',
  });
}
