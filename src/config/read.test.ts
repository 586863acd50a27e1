import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { journals } from '../journal/journals.ts';
import { signers } from '../sign/signers.ts';
import { stores } from '../store/stores.ts';
import { configPage } from './docs.ts';
import { sentenceOfFinding } from './finding.ts';
import { dataLayer, environmentLayer, fileLayer, flagLayer } from './layers.ts';
import { readConfig, type Result } from './read.ts';
import { keyNames, rowOf, variableOf } from './schema.ts';

const surroundings = { directory: '/srv', dockerConfig: undefined, proxy: undefined };
const read = (data: Record<string, unknown>): Result => readConfig([dataLayer('ConfigMap', data)], surroundings);

function configFrom(result: Result) {
  assert.ok(result.kind === 'good', result.kind === 'refused' ? result.problems.map(sentenceOfFinding).join('\n') : '');
  return result.config;
}

function problemsFrom(result: Result): readonly string[] {
  assert.equal(result.kind, 'refused');
  return result.kind === 'refused' ? result.problems.map(sentenceOfFinding) : [];
}

const warningsFrom = (result: Result) => result.warnings.map(sentenceOfFinding);

describe('the schema', () => {
  for (const name of keyNames) {
    it(`reads the default of ${name}`, () => assert.equal(rowOf(name).type.parse(rowOf(name).default).kind, 'value'));
  }

  it('gives every key a variable of its own', () => {
    assert.equal(new Set(keyNames.map(variableOf)).size, keyNames.length);
  });

  it('says why a key has no effect', () => {
    assert.deepEqual(
      keyNames.filter((name) => rowOf(name).status === 'no effect' && rowOf(name).why === undefined),
      [],
    );
  });

  it('is what docs/config.md says', async () => {
    assert.equal(await readFile(new URL('../../docs/config.md', import.meta.url), 'utf8'), configPage());
  });
});

describe('readConfig', () => {
  it('gives the defaults of Chains and ours for an empty ConfigMap', () => {
    const result = readConfig([dataLayer('ConfigMap', undefined)], surroundings);

    assert.deepEqual(warningsFrom(result), []);
    assert.deepEqual(configFrom(result), {
      artifacts: {
        taskrun: { format: 'in-toto', signers: ['x509'], stores: ['tekton'] },
        pipelinerun: { format: 'in-toto', signers: ['x509'], stores: ['tekton'] },
        oci: { format: 'simplesigning', signers: ['x509'], stores: ['oci'] },
      },
      format: {
        builderId: 'https://tekton.dev/chains/v2',
        buildType: 'https://tekton.dev/chains/v2/slsa',
        deepInspection: false,
        nativeArtifacts: false,
        hints: [],
      },
      perImage: { provenance: false, recursive: false, signSubjects: false },
      onDropped: 'record',
      redact: { params: [], results: [], tokenShapes: true, salt: '' },
      stores: { oci: { layout: 'tags', maxResponseBytes: 33_554_432, insecure: false }, tekton: {} },
      signers: new Map([['x509', { kind: 'x509', options: { directory: '/etc/signing-secrets' } }]]),
      rules: [],
      preflight: false,
      layout: 'tags',
      transparency: 'off',
      log: {
        url: 'https://rekor.sigstore.dev',
        version: 'auto',
        signingConfig: undefined,
        readUrl: undefined,
        perSecond: undefined,
        timestamps: [],
        caFile: undefined,
        proxy: undefined,
      },
      trust: { file: undefined, mirror: undefined, tufRoot: undefined, cache: '/var/lib/chainsmith/tuf', fulcio: undefined },
      journal: { url: 'sqlite:///var/lib/chainsmith/journal.db', keepMs: 2_592_000_000, maxBytes: 1_073_741_824 },
      retry: { budgetMs: 604_800_000, maxDelayMs: 300_000 },
      finalizer: { enabled: true, holdMs: 30_000 },
      backfillSinceMs: 604_800_000,
      limits: { payloadBytes: 16_777_216, subjects: 1024, responseBytes: 33_554_432 },
      proof: { readBack: true },
      filter: { managedBy: new Set() },
      concurrency: 32,
      namespaces: new Set(),
    });
  });

  it('reads the embedded defaults of npm start without a warning', async () => {
    const text = await readFile(new URL('../../config/embedded.yaml', import.meta.url), 'utf8');

    const result = readConfig([fileLayer('config/embedded.yaml', text)], { ...surroundings, directory: '/home/someone/chainsmith' });

    assert.deepEqual(warningsFrom(result), []);
    const { artifacts, stores: options, signers: keys, journal } = configFrom(result);
    assert.deepEqual(artifacts, {
      taskrun: { format: 'slsa/v2alpha4', signers: ['x509'], stores: ['oci'] },
      pipelinerun: { format: 'slsa/v2alpha4', signers: ['x509'], stores: ['oci'] },
      oci: { format: 'simplesigning', signers: ['x509'], stores: ['oci'] },
    });
    assert.deepEqual(options.oci, { layout: 'tags', maxResponseBytes: 33_554_432, directory: '/home/someone/chainsmith/.chainsmith/oci' });
    assert.deepEqual([...keys], [['x509', { kind: 'x509', options: { directory: '/home/someone/chainsmith/.chainsmith/keys' } }]]);
    assert.equal(journal.url, 'sqlite:///home/someone/chainsmith/.chainsmith/journal.db');
  });

  // chains-controller 2.2 and 8.6
  const accepted = [
    {
      name: 'a set of two',
      data: { 'artifacts.taskrun.storage': 'tekton,oci' },
      pick: (result: Result) => configFrom(result).artifacts.taskrun.stores,
      want: ['oci', 'tekton'],
    },
    {
      name: 'a set with blanks and a repetition',
      data: { 'artifacts.taskrun.storage': ' tekton , oci,tekton' },
      pick: (result: Result) => configFrom(result).artifacts.taskrun.stores,
      want: ['oci', 'tekton'],
    },
    {
      name: 'an empty set as an artifact that is off',
      data: { 'artifacts.taskrun.storage': '' },
      pick: (result: Result) => configFrom(result).artifacts.taskrun.stores,
      want: [],
    },
    {
      name: 'the signer none',
      data: { 'artifacts.oci.signer': 'none' },
      pick: (result: Result) => configFrom(result).artifacts.oci.signers,
      want: [],
    },
    {
      name: 'managers with blanks',
      data: { 'filter.managed-by': ' a , b ' },
      pick: (result: Result) => configFrom(result).filter.managedBy,
      want: new Set(['a', 'b']),
    },
    {
      name: 'the other build type',
      data: { 'builddefinition.buildtype': 'https://tekton.dev/chains/v2/slsa-tekton' },
      pick: (result: Result) => configFrom(result).format.buildType,
      want: 'https://tekton.dev/chains/v2/slsa-tekton',
    },
    {
      name: 'an empty string over a default',
      data: { 'builder.id': '' },
      pick: (result: Result) => configFrom(result).format.builderId,
      want: '',
    },
    {
      name: 'a string with its blanks',
      data: { 'builder.id': ' x ' },
      pick: (result: Result) => configFrom(result).format.builderId,
      want: ' x ',
    },
    {
      name: 'a bool of Go',
      data: { 'artifacts.pipelinerun.enable-deep-inspection': 'T' },
      pick: (result: Result) => configFrom(result).format.deepInspection,
      want: true,
    },
    {
      name: 'namespaces',
      data: { namespace: 'a, b' },
      pick: (result: Result) => configFrom(result).namespaces,
      want: new Set(['a', 'b']),
    },
    {
      name: 'a key that only documents the ConfigMap',
      data: { _example: 'anything' },
      pick: warningsFrom,
      want: [],
    },
    {
      name: 'several signers',
      data: { 'artifacts.taskrun.signer': 'x509, team', 'signers.named': 'team: { kind: x509, secret: keys/team }' },
      pick: (result: Result) => [configFrom(result).artifacts.taskrun.signers, configFrom(result).signers.get('team')],
      want: [['x509', 'team'], { kind: 'x509', options: { secret: { namespace: 'keys', name: 'team' } } }],
    },
    {
      name: 'a key in a Secret by its URI',
      data: { 'artifacts.taskrun.signer': 'kms', 'signers.kms.kmsref': 'k8s://keys/team' },
      pick: (result: Result) => configFrom(result).signers.get('kms'),
      want: { kind: 'x509', options: { secret: { namespace: 'keys', name: 'team' } } },
    },
    {
      name: 'rules',
      data: { 'signers.rules': '- namespaces: [pay-*]\n  labels: { team: pay }\n  signers: [x509]' },
      pick: (result: Result) => configFrom(result).rules,
      want: [{ namespaces: ['pay-*'], labels: { team: 'pay' }, signers: ['x509'] }],
    },
    {
      name: "the layout by Chains' key",
      data: { 'storage.oci.encoding-format': 'sigstore-bundle' },
      pick: (result: Result) => [configFrom(result).layout, configFrom(result).stores.oci.layout],
      want: ['referrers', 'referrers'],
    },
    {
      name: 'the layout by our key before that of Chains',
      data: { 'storage.oci.encoding-format': 'sigstore-bundle', 'storage.oci.layout': 'both' },
      pick: (result: Result) => configFrom(result).layout,
      want: 'both',
    },
    {
      name: 'a log on request',
      data: { 'transparency.enabled': 'manual', 'transparency.rate': '0.5', 'transparency.timestamp.url': 'http://a, http://b' },
      pick: (result: Result) => {
        const { transparency, log } = configFrom(result);
        return [transparency, log.version, log.perSecond, log.timestamps];
      },
      want: ['manual', 'auto', 0.5, ['http://a', 'http://b']],
    },
    {
      name: 'a trusted root by file',
      data: { 'trust.root': 'root.json' },
      pick: (result: Result) => configFrom(result).trust,
      want: { file: '/srv/root.json', mirror: undefined, tufRoot: undefined, cache: '/var/lib/chainsmith/tuf', fulcio: undefined },
    },
    {
      name: 'a trusted root by mirror, and a keyless signer',
      data: { 'trust.root': 'https://tuf.example', 'signers.x509.fulcio.enabled': 'true', 'transparency.enabled': 'true' },
      pick: (result: Result) => configFrom(result).trust,
      want: {
        file: undefined,
        mirror: 'https://tuf.example',
        tufRoot: undefined,
        cache: '/var/lib/chainsmith/tuf',
        fulcio: 'https://fulcio.sigstore.dev',
      },
    },
  ];
  it('passes on what is made for each image', () => {
    const data = { 'artifacts.oci.provenance': 'true', 'artifacts.oci.recursive': 'true', 'artifacts.oci.sign-subjects': 'true' };

    assert.deepEqual(configFrom(read(data)).perImage, { provenance: true, recursive: true, signSubjects: true });
  });

  for (const { name, data, pick, want } of accepted) {
    it(`accepts ${name}`, () => assert.deepEqual(pick(read(data)), want));
  }

  const warned = [
    {
      name: 'an unknown key, without its value',
      data: { foo: 'hunter2' },
      want: ['foo (ConfigMap): there is no such key, so it is ignored'],
    },
    {
      name: 'a key with a slip',
      data: { 'artifacts.taskrun.formt': 'x' },
      want: ['artifacts.taskrun.formt (ConfigMap): there is no such key, so it is ignored; did you mean "artifacts.taskrun.format"?'],
    },
    {
      name: 'a key in another case',
      data: { 'Artifacts.TaskRun.Format': 'x' },
      want: ['Artifacts.TaskRun.Format (ConfigMap): there is no such key, so it is ignored; did you mean "artifacts.taskrun.format"?'],
    },
    {
      name: 'a bool that is none',
      data: { 'signers.x509.fulcio.enabled': 'tr' },
      want: [
        'signers.x509.fulcio.enabled = "tr" (ConfigMap): it is neither true nor false, so it is ignored, as in Tekton Chains; ' +
          'allowed: true or false (also 1 t T TRUE True, 0 f F FALSE False)',
      ],
    },
    {
      name: 'transparency that looks on and is off',
      data: { 'transparency.enabled': 'True' },
      want: ['transparency.enabled = "True" (ConfigMap): only "true" and "manual" switch it on, so it is off'],
    },
    {
      name: 'a key without effect, its password hidden',
      data: { 'storage.docdb.mongo-server-url': 'mongodb://root:hunter2@db/x?authSource=hunter2' },
      want: [
        'storage.docdb.mongo-server-url = "mongodb://***@db/x?***" (ConfigMap): it has no effect: it belongs to the store "docdb", ' +
          'which comes with a later version',
      ],
    },
    {
      name: 'a configuration that signs nothing',
      data: { 'artifacts.taskrun.storage': '', 'artifacts.pipelinerun.signer': 'none', 'artifacts.oci.storage': '' },
      want: [
        'artifacts.taskrun.storage = "" (ConfigMap): no artifact has both a store and a signer, so nothing will be signed; name a store',
      ],
    },
    {
      name: 'children of indexes in a folder',
      data: { 'artifacts.oci.recursive': 'true', 'storage.oci.directory': 'x' },
      want: [
        'artifacts.oci.recursive = "true" (ConfigMap): storage.oci.directory is a folder, which has no indexes to look into; ' +
          'store in registries, or set it to "false"',
      ],
    },
    {
      name: 'children of indexes that no store takes',
      data: { 'artifacts.oci.recursive': 'true', 'artifacts.oci.storage': 'tekton' },
      want: [
        'artifacts.oci.recursive = "true" (ConfigMap): nothing goes to the store "oci", and no other takes what is about a child; ' +
          'store in registries, or set it to "false"',
      ],
    },
  ];
  for (const { name, data, want } of warned) {
    it(`warns about ${name}`, () => {
      const result = read(data);

      assert.equal(result.kind, 'good');
      assert.deepEqual(warningsFrom(result), want);
    });
  }

  const refused = [
    { key: 'artifacts.taskrun.format', value: 'tekton', reason: /"tekton" is not one of them; allowed: in-toto, slsa\/v1/ },
    { key: 'artifacts.taskrun.format', value: '', reason: /an empty name is not allowed/ },
    { key: 'artifacts.taskrun.format', value: 'In-Toto', reason: /not one of them/ },
    { key: 'artifacts.taskrun.storage', value: 'tekton,', reason: /an empty name is not allowed/ },
    { key: 'artifacts.taskrun.storage', value: 'gcs', reason: /"gcs", which comes with a later version/ },
    { key: 'artifacts.taskrun.storage', value: 'tekton,kafka', reason: /"kafka", which comes with a later version/ },
    { key: 'artifacts.pipelinerun.storage', value: 'kafka', reason: /"kafka" is not one of them/ },
    { key: 'artifacts.taskrun.signer', value: 'kms', reason: /the signer "kms" needs a key/ },
    { key: 'artifacts.taskrun.signer', value: 'team', reason: /there is no signer "team"/ },
    { key: 'artifacts.taskrun.signer', value: 'none,x509', reason: /"none" cannot stand beside others/ },
    { key: 'artifacts.taskrun.signer', value: '', reason: /an empty name/ },
    { key: 'artifacts.oci.format', value: 'in-toto', reason: /not one of them/ },
    { key: 'builddefinition.buildtype', value: 'x', reason: /not one of them/ },
    { key: 'storage.oci.repository', value: 'https://r.example/x', reason: /want registry\/repository/ },
    { key: 'storage.oci.repository', value: 'r.example/x:tag', reason: /want registry\/repository/ },
    { key: 'storage.oci.layout', value: 'flat', reason: /not one of them/ },
    { key: 'transparency.url', value: 'https://user:pass@log.example', reason: /a user, a query or a fragment/ },
    { key: 'transparency.rate', value: '0', reason: /no number above 0/ },
    { key: 'transparency.timestamp.url', value: 'http://a,b', reason: /not allowed/ },
    { key: 'signers.x509.secret', value: 'only-a-name', reason: /want namespace\/name/ },
    { key: 'signers.kms.key-version', value: '0', reason: /no whole number from 1/ },
    { key: 'signers.rules', value: '- signers: [x509]', reason: /namespaces/ },
    { key: 'signers.rules', value: '- { namespaces: [], signers: [x509] }', reason: /0\.namespaces/ },
    { key: 'signers.rules', value: '- { namespaces: [a], signers: [none] }', reason: /there is no signer "none"/ },
    { key: 'signers.rules', value: '[', reason: /no YAML/ },
    { key: 'journal.url', value: 'postgres://db/x', reason: /a PostgreSQL journal, which comes with a later version/ },
    { key: 'journal.url', value: 'sqlite://journal.db', reason: /three slashes/ },
    { key: 'journal.url', value: 'journal.db', reason: /no journal URL/ },
    { key: 'retry.budget', value: '7d', reason: /write "168h"/ },
    { key: 'retry.budget', value: '0', reason: /less than 1s/ },
    { key: 'limits.payload-bytes', value: '16MB', reason: /write "Mi"/ },
    { key: 'concurrency', value: '0', reason: /less than 1/ },
    { key: 'concurrency', value: 'many', reason: /no whole number/ },
    { key: 'namespace', value: 'a,,b', reason: /no namespace's name/ },
    { key: 'namespace', value: 'A', reason: /no namespace's name/ },
  ];
  for (const { key, value, reason } of refused) {
    it(`refuses ${key} = "${value}"`, () => {
      const [problem = '', ...more] = problemsFrom(read({ [key]: value }));

      assert.deepEqual(more, []);
      assert.ok(problem.startsWith(`${key} = `), problem);
      assert.match(problem, reason);
    });
  }

  const conflicting: readonly { readonly name: string; readonly data: Record<string, string>; readonly blamed: string }[] = [
    { name: 'a delay longer than the budget', data: { 'retry.max-delay': '2h', 'retry.budget': '1h' }, blamed: 'retry.max-delay' },
    { name: 'a finalizer for no time', data: { 'finalizer.hold': '0' }, blamed: 'finalizer.hold' },
    { name: 'answers smaller than payloads', data: { 'limits.response-bytes': '16Mi' }, blamed: 'limits.response-bytes' },
    { name: 'a journal smaller than a payload', data: { 'journal.max-bytes': '16Mi' }, blamed: 'journal.max-bytes' },
    {
      name: 'a repository and a folder',
      data: { 'storage.oci.repository': 'r.example/x', 'storage.oci.directory': 'x' },
      blamed: 'storage.oci.repository',
    },
    {
      name: 'an authority that is not looked at',
      data: { 'storage.oci.repository.insecure': 'true', 'storage.oci.ca-file': 'ca.pem' },
      blamed: 'storage.oci.repository.insecure',
    },
    {
      name: 'a Rekor 2 without a timestamp authority',
      data: { 'transparency.enabled': 'true', 'transparency.version': '2', 'trust.root': 'root.json' },
      blamed: 'transparency.version',
    },
    {
      name: 'a private Rekor 2 without a trusted root',
      data: {
        'transparency.enabled': 'true',
        'transparency.version': '2',
        'transparency.url': 'https://log.example',
        'transparency.timestamp.url': 'https://tsa.example',
      },
      blamed: 'trust.root',
    },
    { name: 'a log without a URL', data: { 'transparency.enabled': 'true', 'transparency.url': '' }, blamed: 'transparency.url' },
    { name: 'a first root of no mirror', data: { 'trust.tuf-root': 'root.json' }, blamed: 'trust.tuf-root' },
    { name: 'a signer without a key', data: { 'signers.x509.directory': '' }, blamed: 'signers.x509.directory' },
  ];
  for (const { name, data, blamed } of conflicting) {
    it(`refuses ${name}`, () => {
      const result = read(data);

      assert.deepEqual(result.kind === 'refused' && result.problems.map(({ key }) => key), [blamed]);
    });
  }

  it('gives the store of images what was set, and the credentials and proxy of its surroundings', () => {
    const data = { 'storage.oci.repository': 'r.example/x', 'storage.oci.ca-file': 'ca.pem', 'storage.oci.repository.insecure': 'f' };
    const proxy = { https: 'http://proxy.example' };

    const result = readConfig([dataLayer('ConfigMap', data)], { directory: '/srv', dockerConfig: '/home/x/.docker', proxy });

    const want = {
      layout: 'tags',
      maxResponseBytes: 33_554_432,
      insecure: false,
      repository: 'r.example/x',
      caFile: '/srv/ca.pem',
      proxy,
    };
    assert.deepEqual(configFrom(result).stores.oci, { ...want, dockerConfig: '/home/x/.docker' });
  });

  it('gives every room options that it accepts', () => {
    const named = 'team: { kind: fulcio, token-file: token, provider: filesystem }';
    const data = { 'signers.named': named, 'signers.kms.kmsref': 'hashivault://key', 'signers.kms.key-version': '2' };
    const { stores: options, signers: keys, journal } = configFrom(read(data));

    for (const [name, kind] of Object.entries(stores))
      assert.ok(kind.options.safeParse(options[name as keyof typeof options]).success, name);
    assert.deepEqual([...keys.values()].map(({ kind }) => kind).toSorted(), Object.keys(signers).toSorted());
    for (const { kind, options } of keys.values()) assert.ok(signers[kind].options.safeParse(options).success, kind);
    assert.ok(journals.sqlite.options.safeParse({ url: journal.url, maxBytes: journal.maxBytes }).success);
  });

  it('says every problem at once, each with its source', () => {
    const layers = [
      dataLayer('ConfigMap', { 'artifacts.oci.format': 'x', 'retry.budget': 'long', concurrency: 5 }),
      environmentLayer({ CHAINSMITH_FINALIZER_HOLD: 'short' }),
      flagLayer(['limits.subjects=few', 'nonsense']),
    ];

    const result = readConfig(layers, surroundings);

    assert.deepEqual(result.kind === 'refused' && result.problems.map(({ key, source }) => [key, source]), [
      ['concurrency', 'ConfigMap'],
      [undefined, '--set'],
      ['artifacts.oci.format', 'ConfigMap'],
      ['retry.budget', 'ConfigMap'],
      ['finalizer.hold', 'environment'],
      ['limits.subjects', '--set'],
    ]);
  });

  it('does not blame a conflict on a value that was refused', () => {
    const result = read({ 'retry.budget': 'long', 'retry.max-delay': '20h' });

    assert.deepEqual(result.kind === 'refused' && result.problems.map(({ key }) => key), ['retry.budget']);
  });

  it('lets later layers win, and says where each value came from', () => {
    const layers = [
      dataLayer('ConfigMap', { 'builder.id': 'low', 'retry.budget': '1h', 'proof.read-back': 'false' }),
      environmentLayer({ CHAINSMITH_BUILDER_ID: 'middle', CHAINSMITH_PROOF_READ_BACK: 'maybe' }),
      flagLayer(['builder.id=first', 'builder.id=a=b']),
    ];

    const result = readConfig(layers, surroundings);

    const config = configFrom(result);
    assert.deepEqual([config.format.builderId, config.retry.budgetMs, config.proof.readBack], ['a=b', 3_600_000, false]);
    const sources = result.kind === 'good' ? result.settings.filter(({ source }) => source !== 'default') : [];
    assert.deepEqual(sources, [
      { key: 'builder.id', text: 'a=b', source: '--set' },
      { key: 'proof.read-back', text: 'false', source: 'ConfigMap' },
      { key: 'retry.budget', text: '1h', source: 'ConfigMap' },
    ]);
  });

  const wrongNamed = [
    { named: 'team: { kind: kms, kmsref: hunter2, extra: hunter2 }', reason: /^signers\.named = .*: team: Unrecognized key: .*extra/ },
    { named: 'team: { kind: kms, kmsref: "awskms://user:hunter2@host/x" }', reason: /team\.kmsref/ },
    { named: 'team: { kind: pkcs11, pin: hunter2 }', reason: /team\.kind/ },
    { named: 'team: [hunter2', reason: /no YAML/ },
    { named: 'x509: { kind: x509, directory: hunter2 }', reason: /x509/ },
  ];
  for (const { named, reason } of wrongNamed) {
    it(`says what is wrong with signers.named, and shows nothing of it: ${named}`, () => {
      const [problem = ''] = problemsFrom(read({ 'signers.named': named }));

      assert.match(problem, reason);
      assert.equal(problem.includes('hunter2'), false, problem);
    });
  }

  it('never shows a secret', () => {
    const secret = 'hunter2hunter2';
    const urls = keyNames.filter((name) => rowOf(name).secret === 'url');
    const wrong = { ...Object.fromEntries(urls.map((name) => [name, `postgres://user:${secret}@host/x?token=${secret}`])), [secret]: 'x' };

    const result = read({ ...wrong, 'signers.kms.auth.token': secret, concurrency: '0' });

    // An unknown key is shown, or nobody could find it; no value is.
    const said = [...problemsFrom(result), ...warningsFrom(result)].filter((line) => !line.startsWith(secret));
    assert.ok(said.length >= 8, said.join('\n'));
    assert.deepEqual(
      said.filter((line) => line.includes(secret)),
      [],
    );
  });
});
