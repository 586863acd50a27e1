import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { keyNames, rowOf, variableOf, type KeyName } from './schema.ts';

const introduction = `# Configuration

<!-- Written by \`node src/config/docs.ts\` from the schema in src/config. Change the schema, not this page. -->

One ConfigMap, \`chains-config\`, holds the configuration; every value is text. Sources, later wins: the defaults below, the ConfigMap (or
\`--config FILE\`), the environment, \`--set key=value\`. The variable of a key is \`CHAINSMITH_\` and the key in upper case with dots and dashes
as underscores: \`${variableOf('artifacts.taskrun.format')}\`. \`chainsmith config check\` reads a configuration as the controller would.

A wrong value refuses the whole configuration, with every error at once; the last good one stays. An unknown key warns. A bool that is neither
true nor false is ignored with a warning. Relative paths start at the working directory.

Every key of Tekton Chains is known. A value that asks for what only a later version does is refused, with a message, rather than
passed over in silence; such values are marked "later". Keys marked "no effect" are accepted with a warning.
`;

const sections: readonly { readonly title: string; readonly prefixes: readonly string[] }[] = [
  { title: 'What is signed, and how', prefixes: ['artifacts.', 'builder.', 'builddefinition.', 'filter.', 'namespace'] },
  { title: 'What is read of a run, and what is kept back', prefixes: ['extract.', 'redact.'] },
  { title: 'Stores', prefixes: ['storage.'] },
  { title: 'Transparency and trust', prefixes: ['transparency.', 'trust.'] },
  { title: 'Signers', prefixes: ['signers.'] },
  { title: 'Service', prefixes: [''] },
];

/** The text of docs/config.md. */
export function configPage(): string {
  const written = new Set<KeyName>();
  const parts = sections.map(({ title, prefixes }) => {
    const names = keyNames.filter((name) => !written.has(name) && prefixes.some((prefix) => name.startsWith(prefix)));
    for (const name of names) written.add(name);
    return `## ${title}\n\n| Key | Default | Meaning | Allowed | From |\n|---|---|---|---|---|\n${names.map(lineOf).join('')}`;
  });
  return [introduction, ...parts].join('\n');
}

/** One line for each key, for `--help`. */
export function helpLines(): readonly string[] {
  const width = Math.max(...keyNames.map((name) => name.length));
  return keyNames.map((name) => {
    const row = rowOf(name);
    return `  ${name.padEnd(width)}  ${row.doc} (default ${row.default === '' ? 'empty' : row.default})${notice(name)}`;
  });
}

function lineOf(name: KeyName): string {
  const row = rowOf(name);
  const cells = [`\`${name}\``, row.default === '' ? '–' : `\`${row.default}\``, `${row.doc}${notice(name)}`, row.type.allowed, row.from];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
}

function notice(name: KeyName): string {
  const { status, why } = rowOf(name);
  return status === 'no effect' ? `. **No effect**: ${why ?? 'nothing reads it'}` : '';
}

if (import.meta.main) {
  const page = new URL('../../docs/config.md', import.meta.url);
  const isCheck = process.argv.includes('--check');
  const isSame = (await readFile(page, 'utf8').catch(() => '')) === configPage();
  if (!isCheck) await writeFile(page, configPage());
  if (isCheck && !isSame) {
    process.stderr.write(`${fileURLToPath(page)} is not what the schema says. Fix: run "node src/config/docs.ts"\n`);
    process.exitCode = 1;
  }
}
