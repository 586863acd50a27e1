import { Option } from 'commander';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { openKubeClient } from '../kube/client.ts';
import { openKubeconfig } from '../kube/kubeconfig.ts';
import { openLogger, logLevels } from '../observe/logger.ts';
import { attestCommand } from './attest.ts';
import { configCommand } from './config.ts';
import { controllerCommand } from './controller.ts';
import { newCommand, runProgram } from './io.ts';
import { explainCommand } from './explain.ts';
import { keysCommand } from './keys.ts';
import type { OpenKube } from './keys-world.ts';
import { lintCommand } from './lint.ts';
import { processIo } from './process-io.ts';
import { startCommand } from './start.ts';
import { trustCommand } from './trust.ts';
import { verifyCommand } from './verify.ts';

const LogLevel = z.enum(logLevels);

/** How `keys generate --k8s` reaches a cluster: as kubectl would. */
const openKube: OpenKube = async (ctx) => {
  const path = process.env['KUBECONFIG'] ?? (process.env['HOME'] === undefined ? undefined : `${process.env['HOME']}/.kube/config`);
  if (path === undefined)
    throw new TerminalError('kube.config', 'Cannot find a kubeconfig: neither KUBECONFIG nor HOME is set', { fix: 'set KUBECONFIG' });
  return openKubeClient({ access: await openKubeconfig({ path }, ctx) });
};

// A service tells its story; the other commands speak for themselves and log only what someone should look at.
const defaultLevel = process.argv.includes('controller') ? 'info' : 'warn';
await using io = processIo(() => openLogger(LogLevel.parse(program.opts()['logLevel']), 2));
const program = newCommand(io, 'chainsmith')
  .description('Signed and proven provenance for everything that Tekton builds')
  .addOption(new Option('--log-level <level>', 'what is logged on stderr').choices(logLevels).default(defaultLevel))
  .addCommand(controllerCommand(io))
  .addCommand(attestCommand(io))
  .addCommand(lintCommand(io))
  .addCommand(verifyCommand(io))
  .addCommand(explainCommand(io))
  .addCommand(keysCommand(io, openKube))
  .addCommand(trustCommand(io))
  .addCommand(configCommand(io))
  .addCommand(startCommand(io));
await runProgram(program, process.argv.slice(2), io);
