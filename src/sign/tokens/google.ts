import { readFile } from 'node:fs/promises';
import type { Context } from '../../observe/context.ts';
import { memberFrom, textFrom } from './answer.ts';
import { accessTokenOfFile } from './google-credentials.ts';
import { lacking, required, type TokenProvider, type TokenSource } from './provider.ts';

/** The identity of the machine, or of the pod with GKE's workload identity, from the metadata server. */
export const googleWorkload: TokenProvider = {
  async lacks({ ambient }) {
    if (ambient.GCE_METADATA_HOST) return undefined;
    // As Google's libraries look first; asking the network would cost every other machine some seconds.
    const product = await readFile('/sys/class/dmi/id/product_name', 'utf8').catch(() => '');
    return product.startsWith('Google') ? undefined : 'not a machine of Google';
  },
  async fetch(source, ctx) {
    const query = `audience=${encodeURIComponent(source.audience)}&format=full`;
    return await textFrom(metadataCall(`identity?${query}`, 'identity:google-workload-identity', source), ctx);
  },
};

/** The identity of another service account, which ours may create tokens for (roles/iam.serviceAccountOpenIdTokenCreator). */
export const googleImpersonate: TokenProvider = {
  async lacks(source) {
    return await Promise.resolve(lacking(['GOOGLE_SERVICE_ACCOUNT_NAME'], source));
  },
  async fetch(source, ctx) {
    const { ambient, audience, outward } = source;
    const account = required('GOOGLE_SERVICE_ACCOUNT_NAME', source);
    const base = (ambient.CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS || 'https://iamcredentials.googleapis.com').replace(/\/+$/, '');
    const accessToken = await accessTokenOf(source, ctx);
    const call = {
      method: 'POST',
      url: `${base}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateIdToken`,
      headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ audience, includeEmail: true }),
      dependency,
      dispatcher: outward,
      retries: 2,
    } as const;
    return await memberFrom(call, 'token', ctx);
  },
};

const dependency = 'identity:google-impersonate';

/** Ours: of the credentials file when there is one, else of the metadata server. */
async function accessTokenOf(source: TokenSource, ctx: Context): Promise<string> {
  const file = source.ambient.GOOGLE_APPLICATION_CREDENTIALS;
  if (file === undefined || file === '') return await memberFrom(metadataCall('token', dependency, source), 'access_token', ctx);
  return await accessTokenOfFile(file, source, ctx);
}

/** By address, as Google's Go library does it: a name server may be slow to say that it knows no such host. */
function metadataCall(what: string, dependency: string, { ambient, direct }: TokenSource) {
  const host = ambient.GCE_METADATA_HOST || '169.254.169.254';
  return {
    method: 'GET',
    url: `http://${host}/computeMetadata/v1/instance/service-accounts/default/${what}`,
    headers: { 'metadata-flavor': 'Google' },
    dependency,
    dispatcher: direct,
  } as const;
}
