import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import { Option, type Command } from 'commander';
import type { Config } from '../config/config.ts';
import { formats, formatOf } from '../format/formats.ts';
import type { LintOptions, Report } from '../lint/finding.ts';
import { fix } from '../lint/fix.ts';
import { lint } from '../lint/lint.ts';
import { ruleOf } from '../lint/rules.ts';
import { sourceOf, type Source } from '../lint/source.ts';
import { listRunFiles } from '../watch/run-listing.ts';
import { newCommand, plain, type ExitCode, type Io } from './io.ts';
import { jsonReport, sarifReport, textReport } from './lint-report.ts';
import { configOfLayers, givenLayers, withConfigFlags, type ConfigFlags } from './settings.ts';

interface Flags extends ConfigFlags {
  readonly file: readonly string[];
  readonly fix: boolean;
  readonly format: 'text' | 'json' | 'sarif';
  readonly deepInspection: boolean;
}

const reports = { text: textReport, json: jsonReport, sarif: sarifReport } as const;

/** `chainsmith lint`: 0 nothing found, or only notes; 1 something, which a broken file is too; 2 bad usage or configuration. */
export function lintCommand(io: Io): Command {
  const command = newCommand(io, 'lint')
    .description('say what of Tasks, Pipelines and runs would be a subject or a material, what nearly is one, and how to mend it')
    .requiredOption('-f, --file <path...>', 'files or folders with Tekton objects (YAML or JSON), seen together; - is the standard input')
    .option('--fix', 'print the changed files, comments kept; what is left is said on stderr', false)
    .addOption(new Option('--format <format>', 'how findings are told').choices(Object.keys(reports)).default('text'))
    .option('--deep-inspection', 'as artifacts.pipelinerun.enable-deep-inspection=true', false);
  return withConfigFlags(command).action(async (flags: Flags) => {
    const { environment, layers } = await givenLayers(flags, io);
    const options = optionsOf(configOfLayers(layers, environment, io), flags);
    const sources = await readSources(flags.file);
    if (flags.fix) {
      const fixed = fix(sources, options);
      writeFixed(sources, fixed.sources, io);
      io.stderr.write(reports[flags.format](fixed.report, io.stderr, io));
      io.end(codeOf(fixed.report));
      return;
    }
    const report = lint(sources, options);
    if (report.judged.length === 0) io.stderr.write('there are no Tekton objects to look at\n');
    io.stdout.write(reports[flags.format](report, io.stdout, io));
    io.end(codeOf(report));
  });
}

/** A note asks for nothing to be done. */
function codeOf({ findings }: Report): ExitCode {
  return findings.every(({ rule }) => ruleOf(rule).level === 'note') ? 0 : 1;
}

function optionsOf({ artifacts, format: { deepInspection, hints, nativeArtifacts }, redact }: Config, flags: Flags): LintOptions {
  const isStrict = (name: string): boolean => formatOf(name) === formats['provenance-v1-steps'];
  return {
    deepInspection: deepInspection || flags.deepInspection,
    strict: { TaskRun: isStrict(artifacts.taskrun.format), PipelineRun: isStrict(artifacts.pipelinerun.format) },
    hints,
    nativeArtifacts,
    hidden: [...redact.params, ...redact.results],
  };
}

/** Of one file its text, changed or not; of several those that changed, each behind a line with its name. */
function writeFixed(before: readonly Source[], after: readonly Source[], io: Io): void {
  if (after.length === 1) {
    io.stdout.write(after[0]?.text ?? '');
    return;
  }
  for (const [index, { file, text }] of after.entries()) {
    if (text === before[index]?.text) continue;
    io.stdout.write(`${/^---\s/.test(text) ? '' : '---\n'}# ${plain(file)}\n${text}${text.endsWith('\n') ? '' : '\n'}`);
  }
}

/** The parser takes some 400 times a document's size; a file holds several. */
const maxFileBytes = 32 * 1024 ** 2;

/** What cannot be read is a source with a problem, so that it is told like everything else. */
async function readSources(paths: readonly string[]): Promise<readonly Source[]> {
  const sources: Source[] = [];
  for (const path of paths) {
    if (path === '-') {
      sources.push(sourceOfBytes('-', await readAll(process.stdin)));
      continue;
    }
    const { files, unknown } = await listRunFiles(path);
    const named = (file: string): string => (isAbsolute(path) ? file : relative(process.cwd(), file));
    for (const { path: file, reason } of unknown) sources.push(broken(named(file), reason));
    for (const { path: file } of files) {
      try {
        const isLarge = (await stat(file)).size > maxFileBytes;
        sources.push(isLarge ? broken(named(file), tooLarge) : sourceOfBytes(named(file), await readFile(file)));
      } catch (error) {
        sources.push(broken(named(file), error instanceof Error ? error.message : String(error)));
      }
    }
  }
  return sources;
}

const tooLarge = `it is larger than ${maxFileBytes / 1024 ** 2} MiB`;

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxFileBytes) return undefined;
  }
  return Buffer.concat(chunks);
}

function sourceOfBytes(file: string, bytes: Uint8Array | undefined): Source {
  if (bytes === undefined) return broken(file, tooLarge);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.includes('\0') ? broken(file, 'it is no text in UTF-8') : sourceOf(file, text);
  } catch {
    return broken(file, 'it is no text in UTF-8');
  }
}

function broken(file: string, message: string): Source {
  return { file, text: '', objects: [], problems: [{ line: 1, column: 1, message }] };
}
