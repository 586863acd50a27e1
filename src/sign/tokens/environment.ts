import { lacking, required, type TokenProvider } from './provider.ts';

/** A token that somebody else got; it is not renewed, so it serves for tests and single commands. */
export const environment: TokenProvider = {
  async lacks(source) {
    return await Promise.resolve(lacking(['SIGSTORE_ID_TOKEN'], source));
  },
  async fetch(source) {
    return await Promise.resolve(required('SIGSTORE_ID_TOKEN', source));
  },
};
