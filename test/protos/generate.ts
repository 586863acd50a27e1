import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { output } from '../servers/command.ts';

const root = path.resolve(import.meta.dirname, '../..');
const protos = path.join(root, 'src/format/protos');
const target = path.join(protos, 'in-toto.ts');

/** In the order in which the generated file has them. */
const files = [
  'in_toto_attestation/v1/resource_descriptor',
  'in_toto_attestation/v1/statement',
  'in_toto_attestation/predicates/provenance/v1/provenance',
];
/** What is fetched when this is run, and only then: 128 MB, so no dependency of the project. */
const tools = ['@bufbuild/buf@1.75.0', '@bufbuild/protoc-gen-es@2.17.0'];

const header = `// Written by \`node test/protos/generate.ts\` from the .proto files beside it (in-toto/attestation v1.2.0, Apache-2.0). Do not edit.
import type { JsonObject } from '../../model/json.ts';

/** RFC 3339, UTC, with 0, 3, 6 or 9 digits of a second. */
type TimestampJson = string;
type StructJson = JsonObject;
`;

/**
 * Runs buf with protoc-gen-es, and keeps of its output the types of the messages' JSON: with them a wrong member is a type error, and
 * nothing of the protobuf runtime is needed. Lists and members become readonly.
 */
async function generate(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'chainsmith-protos-'));
  try {
    await cp(protos, path.join(folder, 'protos'), { recursive: true, filter: (file) => !file.endsWith('.ts') });
    await writeFile(path.join(folder, 'buf.yaml'), 'version: v2\nmodules: [{ path: protos }]\n');
    const plugin = '{ local: protoc-gen-es, out: gen, opt: [target=ts, import_extension=ts, json_types=true] }';
    await writeFile(path.join(folder, 'buf.gen.yaml'), `version: v2\nplugins: [${plugin}]\n`);
    await output('npx', ['--yes', ...tools.flatMap((tool) => ['-p', tool]), 'buf', 'generate'], { cwd: folder, timeoutMs: 600_000 });
    const made = await Promise.all(files.map(async (file) => await readFile(path.join(folder, 'gen', `${file}_pb.ts`), 'utf8')));
    await writeFile(path.join(folder, 'in-toto.ts'), header + made.map(jsonTypesOf).join(''));
    const format = [path.join(root, 'node_modules/oxfmt/bin/oxfmt'), '-c', path.join(root, '.oxfmtrc.json'), 'in-toto.ts'];
    await output(process.execPath, format, { cwd: folder });
    return await readFile(path.join(folder, 'in-toto.ts'), 'utf8');
  } finally {
    await rm(folder, { recursive: true });
  }
}

function jsonTypesOf(text: string): string {
  const types = [...text.matchAll(/^\/\*\*\n(?: \*.*\n)*? \*\/\nexport type \w+Json = \{\n[^]*?^\};\n/gm)].map(([type]) => type);
  return types
    .map((type) => {
      const readonly = type
        .replace(/^ {2}(\w+\??): (.+)\[\];$/gm, '  $1: readonly $2[];')
        .replace(/^ {2}(\w+\??): \{ \[key: string\]/gm, '  $1: { readonly [key: string]')
        .replace(/^ {2}(\w+\??: )/gm, '  readonly $1');
      return `\n${readonly}`;
    })
    .join('');
}

const made = await generate();
const isCheck = process.argv.includes('--check');
const isSame = (await readFile(target, 'utf8').catch(() => '')) === made;
if (!isCheck) await writeFile(target, made);
if (isCheck && !isSame) {
  process.stderr.write(`${target} is not what the .proto files say. Fix: run "node test/protos/generate.ts"\n`);
  process.exitCode = 1;
}
