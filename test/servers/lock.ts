import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const heartbeatMs = 5_000;
const staleMs = 60_000;

/**
 * Holds the folder `lock` while the result lives; waits for whoever holds it, and takes it from the dead.
 * The folder appears with its owner inside by one rename, and a dead owner's folder is moved to a name that only it can have:
 * of two processes that want to bury the same owner, the second one's rename fails, so nobody buries the living.
 */
export async function hold(lock: string, onWait: (owner: string) => void = () => undefined): Promise<AsyncDisposable> {
  const token = `${hostname()}.${process.pid}.${randomUUID().slice(0, 8)}`;
  const own = `${lock}.${token}`;
  await mkdir(own, { recursive: true });
  await writeFile(path.join(own, 'owner'), token);
  for (let waited = false; ; waited = true) {
    try {
      await rename(own, lock);
      break;
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
    const owner = await deadOrAlive(lock);
    if (owner === undefined) continue;
    if (owner.dead) await rename(lock, `${lock}.${owner.token}`).catch(() => undefined);
    else {
      if (!waited) onWait(owner.token);
      await sleep(200);
    }
  }
  const heartbeat = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => undefined), heartbeatMs).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat);
      await rename(lock, own);
      await rm(own, { recursive: true });
    },
  };
}

async function deadOrAlive(lock: string): Promise<{ readonly token: string; readonly dead: boolean } | undefined> {
  try {
    const token = await readFile(path.join(lock, 'owner'), 'utf8');
    const { mtimeMs } = await stat(lock);
    const pid = Number(token.split('.').at(-2));
    const here = token.startsWith(`${hostname()}.`);
    return { token, dead: Date.now() - mtimeMs > staleMs || (here && !isAlive(pid)) };
  } catch {
    return undefined;
  }
}

/** Whether a process of this machine with this id runs (also one that we may not signal). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST');
}
