import { TerminalError } from '../errors.ts';

/**
 * Loads a package that is installed on request only (`optionalDependencies`): throws `sign.package-missing` when it is not there, with the
 * command that mends it. `load` is `async () => await import('name')`, so that its type is known.
 */
export async function optionalPackage<T>(name: string, purpose: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new TerminalError('sign.package-missing', `Cannot ${purpose}: the optional package "${name}" is not installed`, {
      cause: error,
      fix: `install it with the others: "npm ci" without "--omit=optional"`,
    });
  }
}
