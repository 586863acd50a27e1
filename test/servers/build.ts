import { stat } from 'node:fs/promises';
import { obtainTool, toolNames } from './tools.ts';

/** `npm run servers`: builds every server and judge that the tests use, one after the other, small ones first. */
async function buildAll(): Promise<void> {
  for (const name of toolNames) {
    const { file, builtMs } = await obtainTool(name);
    const megabytes = Math.round((await stat(file)).size / 1e6);
    const how = builtMs === undefined ? 'there' : `built in ${Math.round(builtMs / 1000)} s`;
    process.stdout.write(`${name.padEnd(20)} ${String(megabytes).padStart(4)} MB  ${how.padEnd(16)} ${file}\n`);
  }
}

await buildAll().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
