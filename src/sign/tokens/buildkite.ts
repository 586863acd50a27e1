import { memberFrom } from './answer.ts';
import { lacking, required, type TokenProvider } from './provider.ts';

/** The agent API of a Buildkite job (buildkite/agent `api/oidc.go`). */
export const buildkite: TokenProvider = {
  async lacks(source) {
    return await Promise.resolve(lacking(['BUILDKITE_AGENT_ACCESS_TOKEN'], source));
  },
  async fetch(source, ctx) {
    const endpoint = (source.ambient.BUILDKITE_AGENT_ENDPOINT || 'https://agent.buildkite.com/v3').replace(/\/+$/, '');
    const token = required('BUILDKITE_AGENT_ACCESS_TOKEN', source);
    const call = {
      method: 'POST',
      url: `${endpoint}/jobs/${encodeURIComponent(required('BUILDKITE_JOB_ID', source))}/oidc/tokens`,
      headers: { authorization: `Token ${token}`, 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ audience: source.audience }),
      dependency: 'identity:buildkite-agent',
      dispatcher: source.outward,
      // Asking twice gives two tokens, which harms nobody.
      retries: 2,
    } as const;
    return await memberFrom(call, 'token', ctx);
  },
};
