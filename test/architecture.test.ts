import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { describe, it } from 'node:test';
import { journals } from '../src/journal/journals.ts';
import { signers } from '../src/sign/signers.ts';
import { stores } from '../src/store/stores.ts';
import { logs } from '../src/tlog/logs.ts';

const root = path.resolve(import.meta.dirname, '..');
const rooms = ['watch', 'extract', 'format', 'sign', 'tlog', 'store', 'verify', 'record', 'journal'];
const tools = ['kube', 'http', 'observe', 'trust'];

/** Which areas of `src` an area may import, besides itself and errors.ts. Root files, serve and cli see everything. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  model: [],
  ...Object.fromEntries(tools.map((tool) => [tool, ['model', ...tools]])),
  ...Object.fromEntries(rooms.map((room) => [room, ['model', ...tools]])),
  // Pure: values in, values out.
  extract: ['model'],
  format: ['model', 'extract'],
  lint: ['model', 'extract'],
  config: ['model', ...tools, ...rooms],
};
/** Files directly under src that decide, and do nothing: they may see what is pure. */
const pureFiles = ['decide.ts', 'plan.ts', 'per-image.ts', 'signing-rules.ts', 'outcome.ts', 'breakers.ts', 'errors.ts'];
const pureAreas = ['model', 'extract', 'format', 'lint'];
/** The only modules of Node in pure code: hashing and parsing keys are functions of values. */
const pureModules = ['node:crypto', 'node:util'];

interface Source {
  /** From the root, with slashes. */
  readonly file: string;
  /** The folder under src, or the file name for a file directly in it. */
  readonly area: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources = globSync('src/**/*.ts', { cwd: root }).map(sourceOf);
const production = sources.filter(({ file }) => !file.endsWith('.test.ts'));
const everything = [...sources, ...globSync(['test/**/*.ts', 'bench/**/*.ts'], { cwd: root }).map(sourceOf)];

describe('arrows', () => {
  it('go from rooms to tools to the model, and never from room to room', () => {
    const wrong = production.flatMap(({ file, area, imports }) => {
      const allowed = arrows[area];
      if (allowed === undefined) return [];
      return targets(file, imports).flatMap(({ to, target }) =>
        to === area || to === 'errors.ts' || allowed.includes(to) ? [] : [`${file} imports ${target}: ${area} may not know ${to}`],
      );
    });

    assert.deepEqual(wrong, []);
  });

  it('are known for every folder', () => {
    const areas = new Set(production.map(({ area }) => area));

    assert.deepEqual([...areas].filter((area) => !area.endsWith('.ts') && arrows[area] === undefined).sort(), ['cli', 'serve']);
  });

  it('lead from what decides to nothing that does', () => {
    const pure = [...pureFiles, ...pureAreas];
    const wrong = production
      .filter(({ area }) => pure.includes(area))
      .flatMap(({ file, imports }) => [
        ...targets(file, imports).flatMap(({ to, target }) => (pure.includes(to) ? [] : [`${file} imports ${target}`])),
        ...imports.filter((name) => isBuiltin(name) && !pureModules.includes(name)).map((name) => `${file} imports ${name}`),
      ]);

    assert.deepEqual(wrong, []);
  });

  it('never lead from the product to its tests', () => {
    const wrong = production.flatMap(({ file, imports }) =>
      targets(file, imports).flatMap(({ target }) =>
        !target.startsWith('src/') || target.endsWith('.test.ts') ? [`${file} imports ${target}`] : [],
      ),
    );

    assert.deepEqual(wrong, []);
  });
});

describe('files', () => {
  const rules: readonly { readonly name: string; readonly where: readonly Source[]; readonly refused: RegExp; readonly except?: RegExp }[] =
    [
      {
        name: 'read the environment only in config and in the entries',
        where: production,
        refused: /\bprocess\.env\b/,
        except: /^src\/(config|cli)\/|^src\/main\.ts$/,
      },
      { name: 'have no default exports', where: everything, refused: /^export default\b|\bas default\b/m },
      { name: 'have no barrels', where: everything, refused: /^export \* /m },
      { name: 'keep no state of the module', where: production, refused: /^(export )?(let|var) /m },
      { name: 'are imported with their ending', where: everything, refused: /\b(from|import) ?\(?'\.{1,2}\/[^']*(?<!\.ts|\.json)'/ },
      {
        name: 'suppress nothing without a reason',
        where: everything,
        refused: /(@ts-(ignore|expect-error|nocheck)|(oxlint|eslint)-disable[\w-]*( [\w/-]+)?)\s*(\*\/)?$/m,
      },
      {
        name: 'leave no work behind',
        where: everything,
        refused: /\b(TODO|FIXME|XXX)\b(?!.*#\d)/,
        except: /^test\/architecture\.test\.ts$/,
      },
      {
        name: 'skip no test for good',
        where: everything,
        refused: /\b(it|describe|test)\.(skip|only|todo)\(|skip: true|only: true/,
        except: /^test\/architecture\.test\.ts$/,
      },
    ];
  for (const { name, where, refused, except } of rules) {
    it(name, () => {
      const wrong = where.filter(({ file, text }) => refused.test(text) && except?.test(file) !== true);

      assert.deepEqual(
        wrong.map(({ file }) => file),
        [],
      );
    });
  }

  it('stay small', (context) => {
    const sizes = production.map(({ file, text }) => ({ file, lines: text.split('\n').length - 1 }));

    for (const { file, lines } of sizes) if (lines > 200) context.diagnostic(`${file} has ${lines} lines: more than 200`);
    assert.deepEqual(
      sizes.filter(({ lines }) => lines > 400),
      [],
    );
  });
});

describe('tables', () => {
  const tables = [
    { folder: 'src/store', names: Object.keys(stores), kind: 'StoreKind', table: 'stores.ts' },
    { folder: 'src/sign', names: Object.keys(signers), kind: 'SignerKind', table: 'signers.ts' },
    { folder: 'src/tlog', names: Object.keys(logs), kind: 'LogKind', table: 'logs.ts' },
    { folder: 'src/journal', names: Object.keys(journals), kind: 'JournalKind', table: 'journals.ts' },
  ];
  for (const { folder, names, kind, table } of tables) {
    it(`${table} has a row for each ${kind} in ${folder}, and nothing else`, () => {
      const kinds = production.filter(
        ({ file, text }) => file.startsWith(`${folder}/`) && new RegExp(`(satisfies|:) ${kind}\\b`).test(text),
      );
      const expected = kinds.map(({ file }) => path.basename(file, '.ts')).sort();

      assert.deepEqual([...names].sort(), expected);
      for (const { file } of kinds) {
        const name = path.basename(file, '.ts');
        assert.match(file, new RegExp(`^${folder}/(${name}/)?${name}\\.ts$`));
      }
    });
  }

  it('formats.ts imports every file of src/format that has a Format', () => {
    const files = production.filter(({ file, text }) => file.startsWith('src/format/') && /^export const \w+: Format\b/m.test(text));
    const table = sourceOf('src/format/formats.ts');

    assert.deepEqual(
      files.map(({ file }) => `./${path.basename(file)}`).sort(),
      table.imports.filter((name) => name !== './format.ts').sort(),
    );
  });
});

describe('docs/architecture.md', () => {
  const text = readFileSync(path.join(root, 'docs/architecture.md'), 'utf8');
  const parts = [...rooms.map((room) => `src/${room}/`), 'src/main.ts', 'src/decide.ts', 'src/attest.ts', 'src/cli/', 'src/serve/'];
  for (const part of parts) {
    it(`names ${part}`, () => {
      assert.equal(text.includes(part), true);
    });
  }

  it('names no file of src that is not there', () => {
    const named = [...new Set(text.match(/\bsrc\/[\w/-]+\.ts\b/g))];
    const files = new Set(sources.map(({ file }) => file));

    assert.deepEqual(
      named.filter((file) => !files.has(file)),
      [],
    );
  });
});

function sourceOf(name: string): Source {
  const file = name.split(path.sep).join('/');
  const text = readFileSync(path.join(root, file), 'utf8');
  const imports = [...text.matchAll(/^(?:import|export)\b[^'"]*?from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm)].map(
    ([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? '',
  );
  return { file, area: file.split('/')[1] ?? file, text, imports };
}

/** The relative imports of a file: the area of `src` that each is in, and its path from the root. */
function targets(file: string, imports: readonly string[]): readonly { readonly to: string; readonly target: string }[] {
  return imports
    .filter((name) => name.startsWith('.'))
    .map((name) => path.posix.join(path.posix.dirname(file), name))
    .map((target) => ({ to: target.split('/')[1] ?? target, target }));
}
