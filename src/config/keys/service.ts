import type { Key } from '../key.ts';
import { bool, count, duration, namespaces, size, type ValueType } from '../values.ts';

const second = 1000;
const hour = 3_600_000;
const year = 8766 * hour;
const mebibyte = 1024 ** 2;
const tebibyte = 1024 ** 4;

/** `sqlite:` and a path, absolute with `///` or relative to the working directory; kept as given, made absolute when the configuration is put together. */
const journalUrl: ValueType<string> = {
  allowed: 'sqlite:///absolute/path or sqlite:relative/path (later: postgres://…)',
  parse(given) {
    if (/^postgres(ql)?:/i.test(given)) return { kind: 'later', what: 'a PostgreSQL journal' };
    if (/^sqlite:(\/\/\/)?[^/?#\s][^?#]*$/.test(given)) return { kind: 'value', value: given };
    return {
      kind: 'wrong',
      reason: given.startsWith('sqlite:') ? 'after "sqlite:" comes one path, absolute with three slashes' : 'it is no journal URL',
    };
  },
};

function ours<T>(type: ValueType<T>, ordinary: string, doc: string) {
  return { type, default: ordinary, doc, from: 'Chainsmith', status: 'used' } as const satisfies Key<T>;
}

export const serviceKeys = {
  namespace: ours(namespaces, '', 'Namespaces whose runs are watched; empty: all'),
  concurrency: ours(count({ min: 1, max: 256 }), '32', 'How many runs are worked on at once; more than 32 only adds waiting'),
  'journal.url': {
    ...ours(journalUrl, 'sqlite:///var/lib/chainsmith/journal.db', 'Where the journal of what is done is kept'),
    secret: 'url',
  },
  'journal.keep': ours(duration({ min: hour, max: 10 * year }), '720h', 'How long a finished run stays in the journal'),
  'journal.max-bytes': ours(
    size({ min: 16 * mebibyte, max: tebibyte }),
    '1Gi',
    'Largest size of the journal; the oldest finished runs go first',
  ),
  'proof.read-back': ours(bool, 'true', 'A run is marked signed only after every store gave the bytes back and they verified'),
  'retry.budget': ours(duration({ min: second, max: year }), '168h', 'How long a run is tried again before it is marked failed'),
  'retry.max-delay': ours(duration({ min: second, max: 24 * hour }), '5m', 'Longest wait between two tries'),
  'finalizer.enabled': ours(bool, 'true', 'Hold a run with a finalizer until its snapshot is in the journal'),
  'finalizer.hold': ours(duration({ min: 0, max: hour }), '30s', 'Longest time that the finalizer delays a deletion'),
  'lanes.backfill.since': ours(
    duration({ min: 0, max: 10 * year }),
    '168h',
    'How old a completed, unmarked run may be to be signed at start-up',
  ),
  'limits.payload-bytes': ours(size({ min: 1024, max: 1024 * mebibyte }), '16Mi', 'Largest payload that is signed'),
  'limits.subjects': ours(count({ min: 1, max: 1_000_000 }), '1024', 'Most subjects of one payload'),
  'limits.response-bytes': ours(size({ min: 65_536, max: 1024 * mebibyte }), '32Mi', 'Largest answer that is read from a server'),
} as const satisfies Record<string, Key>;
