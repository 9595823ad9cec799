import { describe, expect, it } from 'vitest';
import { kinds } from '../../src/credentials/index.ts';
import { openTargetMark } from '../../src/credentials/target-mark.ts';
import * as s from '../../src/lib/schema/index.ts';
import { type Entry, faultsOf } from '../contracts/kind.ts';

const admin = { store: 'vars', name: 'ADMIN' };
const otherAdmin = { store: 'elsewhere', name: 'other' };
const host = 'db.example.com';

function markFor(entry: Entry) {
  const plugIn = kinds.find(({ name }) => name === entry.kind);
  const places = plugIn?.places?.(s.parse(plugIn.schema as s.Schema, entry));
  if (places === undefined) throw new Error(`${entry.kind} says no place`);
  return openTargetMark(entry.kind, places);
}

const rules = ['~orders:*', '+@read'];
const [vault, key] = [{ kind: 'vault', role: 'hallpass', path: 'database/creds/orders' }, admin] as const;
const address = 'https://bao.example.com';
const github = {
  kind: 'github-token',
  app: '1',
  key,
  installation: '2',
  repositories: 'all',
  permissions: { contents: 'read' },
};

/** An entry; what may become of it while its leases live; what makes it name another target. */
const entries: readonly (readonly [
  Entry,
  same: readonly Record<string, unknown>[],
  other: readonly Record<string, unknown>[],
])[] = [
  [
    { kind: 'postgres', host, database: 'orders', admin, role: 'orders_rw' },
    [
      { port: 5432 },
      { host: 'DB.example.com' },
      { host: 'db.example.com.' },
      { database: 'other' },
      { admin: otherAdmin },
      { role: 'other_rw' },
      { tls: 'verify' },
      { pool: { size: 5 } },
      { pool: { size: 9 }, pooler: { host: 'pooler.example.com', port: 6432 } },
      { iterations: 1, ttl: '5m' },
      { formerly: [{ host: 'other.example.com' }] },
    ],
    [{ host: 'db2.example.com' }, { port: 5433 }],
  ],
  [
    { kind: 'mysql', host, database: 'orders', admin, role: 'orders_rw' },
    [{ database: 'other' }, { admin: otherAdmin }, { role: 'other_rw' }, { from: '10.0.0.%' }, { share: {} }],
    [{ host: 'db2.example.com' }, { port: 3307 }],
  ],
  [
    { kind: 'redis', host, admin, rules },
    [{ database: 3 }, { admin: otherAdmin }, { rules: ['~other:*', '+@read'] }, { ttl: '5m' }],
    [{ host: 'db2.example.com' }, { port: 6380 }],
  ],
  [
    { ...vault, address },
    [
      { path: 'database/creds/other' },
      { role: 'other' },
      { auth: 'k8s' },
      { audience: 'bao' },
      { address: `${address}/` },
    ],
    [{ address: 'https://bao2.example.com' }, { namespace: 'team' }],
  ],
  [
    github,
    [{ app: '9' }, { installation: '9' }, { permissions: { issues: 'read' } }, { api: 'https://api.github.com' }],
    [{ api: 'https://github.example.com/api/v3' }],
  ],
];

describe.each(entries)('the mark of $kind', (entry, same, other) => {
  const { text } = markFor(entry);

  it('is short, of its own form, and shows no address', () => {
    expect(text).toMatch(/^target:[A-Za-z0-9_-]{22}$/);
  });

  it.each(same)('stays with %o', (more) => {
    expect(faultsOf({ ...entry, ...more })).toEqual([]);
    expect(markFor({ ...entry, ...more }).isOther(text)).toBe(false);
  });

  it.each(other)('is another with %o, until that is said to be the same one', (more) => {
    const moved = { ...entry, ...more };
    expect(faultsOf(moved)).toEqual([]);
    expect(markFor(moved).isOther(text)).toBe(true);
    if (entry.kind === 'github-token') return;
    const members = entry.kind === 'vault' ? ['address', 'namespace'] : ['host', 'port'];
    const was = Object.fromEntries(members.flatMap((name) => (name in entry ? [[name, entry[name]]] : [])));
    const formerly = [{ ...was, ...('host' in was ? { host: host.toUpperCase() } : {}) }];
    expect(faultsOf({ ...moved, formerly })).toEqual([]);
    expect(markFor({ ...moved, formerly }).isOther(text)).toBe(false);
  });
});

it('tells kinds apart that one address has', () => {
  const [one, other] = (['postgres', 'mysql'] as const).map(
    (kind) => markFor({ kind, host, port: 5432, database: 'orders', admin, role: 'orders_rw' }).text,
  );
  expect(one).not.toBe(other);
});

it('knows nothing of a lease without a mark, nor of one with the version of a stored value', () => {
  const mark = openTargetMark('postgres', { now: { host, port: 5432 }, formerly: [] });
  for (const version of [undefined, '3', 'kv1', 'a-version:of-something']) expect(mark.isOther(version)).toBe(false);
  expect(mark.isOther('target:AAAAAAAAAAAAAAAAAAAAAA')).toBe(true);
});

it('stays what it was: the leases of another version of Hallpass are told by it', () => {
  expect(openTargetMark('postgres', { now: { host, port: 5432 }, formerly: [] }).text).toBe(
    'target:rLj0mPVI2eJnKfNm3N3uGQ',
  );
  expect(openTargetMark('vault', { now: { address, namespace: undefined }, formerly: [] }).text).toBe(
    'target:faubtI_mN5F418HM_tZS9g',
  );
});
