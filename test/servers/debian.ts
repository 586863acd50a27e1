import { output, run } from './command.ts';

/** A program from Debian's packages that tests need. */
export interface DebianPackages {
  readonly what: string;
  readonly packages: readonly string[];
  readonly isThere: () => Promise<boolean>;
}

/** Whether this process could install packages. */
async function mayInstall(): Promise<boolean> {
  return process.getuid?.() === 0 && (await run('apt-get', ['--version']).catch(() => undefined))?.code === 0;
}

/** Installs what is not there, when we may; a machine that cannot is left to the tests, which say why they are skipped. */
export async function installDebian({ what, packages, isThere }: DebianPackages, say: (text: string) => void): Promise<void> {
  if ((await isThere()) || !(await mayInstall())) return;
  say(`Installing ${what} …`);
  const options = { timeoutMs: 300_000, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  try {
    await output('apt-get', ['update'], options);
    await output('apt-get', ['install', '-y', '--no-install-recommends', ...packages], options);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
}

/** A Python that can make virtual environments, which Debian has in a package of its own. */
export const python: DebianPackages = {
  what: 'Python',
  packages: ['python3', 'python3-venv'],
  isThere: async () => (await run('python3', ['-c', 'import venv, ensurepip']).catch(() => undefined))?.code === 0,
};
