import { memberFrom } from './answer.ts';
import { lacking, required, type TokenProvider } from './provider.ts';

/** The token service of a GitHub Actions job (cosign `pkg/providers/github`): the address has a query of its own already. */
export const github: TokenProvider = {
  async lacks(source) {
    return await Promise.resolve(lacking(['ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'ACTIONS_ID_TOKEN_REQUEST_URL'], source));
  },
  async fetch(source, ctx) {
    const base = required('ACTIONS_ID_TOKEN_REQUEST_URL', source);
    const url = `${base}${base.includes('?') ? '&' : '?'}audience=${encodeURIComponent(source.audience)}`;
    const headers = { authorization: `bearer ${required('ACTIONS_ID_TOKEN_REQUEST_TOKEN', source)}`, accept: 'application/json' };
    return await memberFrom(
      { method: 'GET', url, headers, dependency: 'identity:github-actions', dispatcher: source.outward },
      'value',
      ctx,
    );
  },
};
