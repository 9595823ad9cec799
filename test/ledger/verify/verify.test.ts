import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectSqliteLedger } from '../../../src/ledger/drivers/sqlite/inspect.ts';
import type { Ledger, LogReader } from '../../../src/ledger/ledger.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { deriveTables } from '../../../src/ledger/verify/derive.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { sha256, toHex } from '../../../src/lib/bytes.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, digest, scribe, soon } from '../fixtures.ts';

const clock = clockAt(Date.now());
const write = scribe(clock);
let folder: string;
let ledger: Ledger;
let older: string;
let openIntent: string;
/** Revoked, and not known to be gone; and known to be. */
let owed: string;
let gone: string;

/** A log with something of everything, 300 entries: more than one tile. */
async function fill(): Promise<void> {
  openIntent = write.id();
  owed = write.id();
  gone = write.id();
  const [done, failed, revoked] = [write.id(), write.id(), write.id()];
  const once = digest('o');
  const append = (...entries: Parameters<typeof asking>) => ledger.append(asking(...entries), soon());
  await append(write.intent(openIntent), write.intent(done, { once }), write.intent(failed));
  await append(write.issuance(done, { once }));
  await append(write.failure(failed));
  await append(write.issuance(revoked, { kind: 'secret' }));
  await append(write.revocation(revoked));
  for (const id of [owed, gone]) {
    await ledger.append({ ...asking(write.intent(id)), max: { holder: digest('h'), most: 2 } }, soon());
    await append(write.issuance(id));
    await append(write.revocation(id));
    await append(write.revocation(id, { reason: 'unrevoked' }));
  }
  await append(write.revocation(gone, { reason: 'done' }));
  await append(...Array.from({ length: 250 }, () => write.denial()));
  older = (await ledger.reader?.checkpoint(soon())) as string;
  await append(write.lockdown('add', 'issuer', 1, { issuer: 'shop' }));
  await ledger.append({ ...asking(write.issuance(write.id(), { epoch: 1, kind: 'secret' })), epoch: 1 }, soon());
  await append(...Array.from({ length: 50 }, () => write.denial()));
}

beforeEach(async () => {
  clock.at = Date.now();
  folder = newFolder();
  ledger = await openIn(folder);
  await fill();
});
afterEach(async () => {
  await ledger.close();
  removeFolder(folder);
});

async function verify(since?: string, path = 'ledger.db') {
  const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path }, folder);
  try {
    return await verifyLog(source, { needIntent: new Set(['postgres']), since });
  } finally {
    await close();
  }
}

function indexOf(where: string): number {
  const database = new Database(join(folder, 'ledger.db'));
  const row = database.prepare(`SELECT idx FROM entries WHERE ${where}`).get([]) as { idx: number };
  database.close();
  return row.idx;
}

const digestOf = (path: string) => toHex(sha256(readFileSync(path)));

async function tamper(...statements: string[]) {
  await ledger.close();
  const database = new Database(join(folder, 'ledger.db'));
  for (const sql of statements) database.exec(sql);
  database.close();
}

describe('verify', () => {
  it('finds nothing in an honest log, beside a running server, and tells the open intents', async () => {
    const report = await verify(older);
    expect(report.findings).toEqual([]);
    expect(report.open.map(({ issuance }) => issuance)).toEqual([openIntent]);
    expect(report.size).toBeGreaterThan(300);
  });

  it('finds nothing while the log grows under it', async () => {
    let going = true;
    let appended = 0;
    const load = (async () => {
      while (going) {
        const id = write.id();
        const entries = [write.intent(id, { epoch: 1 }), write.denial({ epoch: 1 })];
        await ledger.append({ ...asking(...entries), epoch: 1 }, soon());
        const ends = [write.failure(id, { reason: 'abandoned' }), write.revocation(id, { reason: 'done' })];
        if (appended % 2 === 0) await ledger.append(asking(...ends), soon());
        if (appended === 5) await ledger.append(asking(write.revocation(owed, { reason: 'done' })), soon());
        appended++;
      }
    })();
    for (let many = 0; many < 5; many++) {
      const before = appended;
      expect((await verify()).findings).toEqual([]);
      while (appended === before) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    going = false;
    await load;
  });

  it('takes an erased disclosure for what it is', async () => {
    await tamper("UPDATE entries SET disclosure = NULL WHERE type <> 'lockdown'");
    expect((await verify()).findings).toEqual([]);
  });

  it('finds that what a lockdown in force stops was erased, and not that of one that is over', async () => {
    const lockdown = async (op: 'add' | 'lift', target: string, epoch: number, facts = {}) => {
      const record = write.lockdown(op, target, epoch, { issuer: 'ci' }, facts);
      await ledger.append({ ...asking(record), epoch: epoch - 1 }, soon());
      return parseRecord(record.record).id;
    };
    await lockdown('add', 'issuer', 2, { until: '2020-01-01T00:00:00.000Z' });
    await lockdown('lift', await lockdown('add', 'issuer', 3), 4);
    await tamper('UPDATE entries SET disclosure = NULL');
    const [finding, ...others] = (await verify()).findings;
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      code: 'lockdown_erased',
      index: indexOf("type = 'lockdown' ORDER BY idx LIMIT 1"),
    });
  });

  it('finds nothing where a lockdown is lifted while it reads', async () => {
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const [added] = await (ledger.reader as LogReader).list({ type: 'lockdown', limit: 1 }, soon());
    const { id } = parseRecord(added?.record as string);
    const lift = { ...asking(write.denial({ epoch: 1 }), write.lockdown('lift', id, 2)), epoch: 1 };
    const lockdowns = async () => {
      await ledger.append(lift, soon());
      return (await source.tables?.lockdowns()) ?? [];
    };
    const tables = { ...source.tables, lockdowns } as NonNullable<typeof source.tables>;
    const report = await verifyLog({ ...source, tables }, { needIntent: new Set(['postgres']) });
    await close();
    expect(report.findings).toEqual([]);
  });

  it('finds nothing where a lockdown is over while it reads, and what it stopped is erased then', async () => {
    const until = new Date(Date.now() + 10_000).toISOString();
    const record = write.lockdown('add', 'issuer', 2, { issuer: 'ci' }, { until });
    const { receipts } = await ledger.append({ ...asking(record), epoch: 1 }, soon());
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const lockdowns = async () => {
      // As whoever erases says it first.
      clock.at = Date.parse(until);
      const erasure = write.write('erasure', { count: 1, epoch: 2 }, { name: 'ops', iss: 'x', subject: 'y' });
      await ledger.append({ ...asking(erasure), epoch: 2 }, soon());
      await ledger.erase?.([receipts[0]?.index as number], soon());
      return (await source.tables?.lockdowns()) ?? [];
    };
    const tables = { ...source.tables, lockdowns } as NonNullable<typeof source.tables>;
    const report = await verifyLog({ ...source, tables }, { needIntent: new Set(['postgres']) });
    await close();
    expect(report.findings).toEqual([]);
  });

  it('finds nothing in a log that was erased from, rolled and appended to', async () => {
    await ledger.erase?.([1, 2, 3], soon());
    await ledger.roll?.({}, soon());
    await ledger.append(asking(write.denial()), soon());
    expect((await verify(older)).findings).toEqual([]);
  });

  it('changes nothing in the files it reads', async () => {
    const bytes = () => ['', '-wal'].map((part) => digestOf(join(folder, `ledger.db${part}`)));
    const before = bytes();
    await verify();
    expect(bytes()).toEqual(before);
  });

  it('tells one wrong entry by the first checkpoint that differs and by how many more do, and has room for the next', async () => {
    for (let many = 0; many < 1_100; many++)
      await ledger.append({ ...asking(write.denial({ epoch: 1 })), epoch: 1 }, soon());
    const { size } = await verify();
    const changed = `record = replace(record, 'no_grant', 'no_grand')`;
    await tamper(
      `UPDATE entries SET ${changed} WHERE idx = 20`,
      `UPDATE entries SET ${changed} WHERE idx = ${size - 1}`,
    );
    const { findings } = await verify();
    const told = findings.map(({ index, code, message }) => `${index} ${code} ${message}`);
    const of = (code: string) => told.filter((line) => line.includes(` ${code} `));
    expect(of('leaf_differs').map((line) => line.split(' ')[0])).toEqual(['20', `${size - 1}`]);
    expect(of('root_differs')).toEqual([
      expect.stringMatching(/^\d+ root_differs the entries are not those signed at size \d+$/),
      expect.stringMatching(
        new RegExp(`^${size - 1} root_differs and so it is with 11\\d\\d more checkpoints, the last of size ${size}$`),
      ),
      `${size - 1} root_differs in the head, the entries are not those signed at size ${size}`,
    ]);
  });

  it('tells that the log is under another key, and not once for each checkpoint', async () => {
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const key = noteSigner('test.example/ledger', new Uint8Array(32)).vkey;
    const { findings } = await verifyLog(source, { needIntent: new Set(['postgres']), key });
    await close();
    expect(findings.filter(({ code }) => code === 'key_differs')).toHaveLength(1);
    const signatures = findings.filter(({ code }) => code === 'signature').map(({ message }) => message);
    expect(signatures).toEqual([
      expect.stringContaining('not_signed'),
      expect.stringMatching(/^and so it is with \d+ more checkpoints, the last of size \d+$/),
      expect.stringMatching(/^in the head, .*not_signed$/),
    ]);
  });

  it('says its progress', async () => {
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const said: number[] = [];
    const { size } = await verifyLog(source, { needIntent: new Set(), progress: (done) => said.push(done) });
    await close();
    expect(said.at(-1)).toBe(size);
  });

  const last = '(SELECT max(idx) FROM entries)';
  it.each([
    [
      'a flipped character',
      ["UPDATE entries SET record = replace(record, 'no_grant', 'no_grand') WHERE idx = 20"],
      'leaf_differs',
    ],
    [
      'a flipped character under its own new hash',
      ["UPDATE entries SET record = replace(record, 'no_grant', 'no_grand'), leaf = zeroblob(32) WHERE idx = 20"],
      'root_differs',
    ],
    ['a record that is none', ["UPDATE entries SET record = '{}' WHERE idx = 20"], 'record_malformed'],
    ['a deleted entry', ['DELETE FROM entries WHERE idx = 20'], 'entry_missing'],
    [
      'two swapped entries',
      [
        'UPDATE entries SET idx = -1 WHERE idx = 20',
        'UPDATE entries SET idx = 20 WHERE idx = 21',
        'UPDATE entries SET idx = 21 WHERE idx = -1',
      ],
      'root_differs',
    ],
    [
      'an inserted entry',
      [
        `INSERT INTO entries SELECT ${last} + 1, '01jd9m0000000000000000000z', type, NULL, writer, record, disclosure, leaf, tree
           FROM entries WHERE idx = 20`,
      ],
      'entry_unknown',
    ],
    [
      'an inserted entry under a moved head',
      [
        `INSERT INTO entries SELECT ${last} + 1, '01jd9m0000000000000000000z', type, NULL, writer, record, disclosure, leaf, tree + 1
           FROM entries WHERE idx = ${last}`,
        'UPDATE head SET size = size + 1',
      ],
      'head_differs',
    ],
    ...['-7', `${last} + 9`].map((index): [string, string[], string] => [
      `an entry inserted at ${index}, where nothing counts it`,
      [
        `INSERT INTO entries SELECT ${index}, '01jd9m0000000000000000000z', type, NULL, writer, record, disclosure, leaf, tree
           FROM entries WHERE idx = 20`,
      ],
      'entry_unknown',
    ]),
    [
      'an open intent given an outcome that is not there',
      ['UPDATE issuances SET outcome = 1000000'],
      'issuances_differs',
    ],
    ['a replay key put in far beyond the head', ["INSERT INTO spent VALUES ('abc', 1000000)"], 'spent_differs'],
    [
      'bytes that are no text in a record',
      ["UPDATE entries SET record = CAST(x'ff' || record AS TEXT) WHERE idx = 20"],
      'leaf_differs',
    ],
    ['a record turned into another type', ["UPDATE entries SET record = x'7b7d' WHERE idx = 20"], 'leaf_differs'],
    ['a disclosure that is no text', ["UPDATE entries SET disclosure = x'ff' WHERE idx = 20"], 'disclosure_differs'],
    [
      'what separates values when they are read, in a record',
      ['UPDATE entries SET record = record || char(31) WHERE idx = 20'],
      'leaf_differs',
    ],
    [
      'what separates values when they are read, as a disclosure',
      ['UPDATE entries SET disclosure = char(31) WHERE idx = 20'],
      'disclosure_differs',
    ],
    [
      'a stored hash that is text, and none',
      ["UPDATE entries SET leaf = CAST(x'ff' AS TEXT) WHERE idx = 20"],
      'leaf_differs',
    ],
    [
      'a tree that is text, and none',
      ["UPDATE entries SET tree = CAST(x'ff' AS TEXT) WHERE idx = 20"],
      'checkpoint_missing',
    ],
    ['a tree that is no number', ["UPDATE entries SET tree = 'x' WHERE idx = 20"], 'checkpoint_missing'],
    ['a stored hash that is no hash', ['UPDATE entries SET leaf = hex(leaf) WHERE idx = 20'], 'leaf_differs'],
    ['a replay key that is no text', ["UPDATE spent SET key = CAST(x'ff7d' AS TEXT)"], 'spent_differs'],
    ['a head that claims a size nobody can count to', ['UPDATE head SET size = 9007199254740990'], 'entry_missing'],
    ['a head whose own hashes were changed', ["UPDATE head SET compact = 'x'"], 'head_differs'],
    ['a changed epoch', ['UPDATE head SET epoch = 0'], 'epoch_differs'],
    ['a replay key taken out', ['DELETE FROM spent'], 'spent_differs'],
    ['a replay key put in', ["INSERT INTO spent VALUES ('abc', 1)"], 'spent_differs'],
    ['a replay key changed', ["UPDATE spent SET key = 'abc'"], 'spent_differs'],
    [
      'an outcome undone in its table',
      ['UPDATE issuances SET outcome = NULL WHERE outcome IS NOT NULL'],
      'issuances_differs',
    ],
    ['an issuance forgotten', ['DELETE FROM issuances'], 'issuances_differs'],
    ['a lease that is still there forgotten', ['DELETE FROM unrevoked'], 'issuances_differs'],
    [
      'a lease that is gone put back among those still there',
      [
        'INSERT INTO unrevoked SELECT id, ended, NULL FROM issuances WHERE ended IS NOT NULL AND id NOT IN (SELECT id FROM unrevoked)',
      ],
      'issuances_differs',
    ],
    ['a lockdown lifted in its table', ['DELETE FROM lockdowns'], 'lockdowns_differs'],
    ['a policy forgotten', ['DELETE FROM seen'], 'seen_differs'],
    [
      'a changed disclosure',
      ["UPDATE entries SET disclosure = 'WyJh' || substr(disclosure, 5) WHERE idx = 20"],
      'disclosure_differs',
    ],
    ['a column that lies', ["UPDATE entries SET type = 'issuance' WHERE idx = 20"], 'columns_differ'],
    [
      'a checkpoint gone',
      ['DELETE FROM checkpoints WHERE size = (SELECT min(size) FROM checkpoints)'],
      'checkpoint_missing',
    ],
    [
      'a checkpoint changed',
      ["UPDATE checkpoints SET note = replace(note, '\u2014 pass', '\u2014 past')"],
      'signature',
    ],
    ['a stored tile hash changed', ['UPDATE subtrees SET hash = zeroblob(32)'], 'subtree_differs'],
    ['a stored tile hash gone', ['DELETE FROM subtrees'], 'subtree_differs'],
    ...['id', 'type', 'issuance', 'writer', 'record', 'disclosure'].map((name): [string, string[], string] => [
      `the same bytes in another type, which no look-up finds, as the ${name} of an entry`,
      [`UPDATE entries SET ${name} = CAST(${name} AS BLOB) WHERE idx = 3`],
      'type_differs',
    ]),
    ...[
      ['issuances', 'writer'],
      ['issuances', 'once'],
      ['held', 'holder'],
      ['held', 'credential'],
      ['checkpoints', 'note'],
      ['head', 'checkpoint'],
      ['texts', 'text'],
    ].map(([table, name]): [string, string[], string] => [
      `the same bytes in another type as the ${name} of ${table}`,
      ["INSERT INTO texts VALUES ('name', 'text')", `UPDATE ${table} SET ${name} = CAST(${name} AS BLOB)`],
      'type_differs',
    ]),
    ['a head that counts in text', ["UPDATE head SET size = CAST(size AS TEXT) || 'x'"], 'head_differs'],
    ['a head that counts in what is no text', ["UPDATE head SET epoch = CAST(x'ff' AS TEXT)"], 'head_differs'],
    ['an index of a replay key that is no text', ["UPDATE spent SET idx = CAST(x'ff' AS TEXT)"], 'type_differs'],
    [
      'a second head',
      [
        'PRAGMA ignore_check_constraints = ON',
        'INSERT INTO head SELECT 2, vkey, size, compact, root, epoch, checkpoint, 1, 0 FROM head',
      ],
      'head_differs',
    ],
    [
      'a checkpoint where the log is still to come',
      ["INSERT INTO checkpoints VALUES (1000000, 'x')"],
      'checkpoints_differs',
    ],
    [
      'a tile hash where the log is still to come',
      ['INSERT INTO subtrees VALUES (0, 1, 7, zeroblob(32))'],
      'subtrees_differs',
    ],
    [
      'a lease that is still there, of no issuance',
      ["INSERT INTO unrevoked VALUES ('none', 1, NULL)"],
      'unrevoked_differs',
    ],
    [
      'a lease that counts, of no issuance',
      ["INSERT INTO held VALUES ('none', 'orders-db', 'h', 9999999999999)"],
      'held_differs',
    ],
    [
      'what takes replay keys out again as they come',
      ['CREATE TRIGGER forget AFTER INSERT ON spent BEGIN DELETE FROM spent WHERE key = new.key; END'],
      'schema_differs',
    ],
    [
      'a view in the place of a table',
      ['ALTER TABLE texts RENAME TO others', 'CREATE VIEW texts AS SELECT * FROM others'],
      'schema_differs',
    ],
    [
      'a table that replaces what is there',
      [
        'DROP TABLE spent',
        'CREATE TABLE spent (key TEXT PRIMARY KEY ON CONFLICT REPLACE, idx INTEGER NOT NULL) WITHOUT ROWID',
      ],
      'schema_differs',
    ],
    ...['entries_by_type ON entries (type, idx)', 'entries_by_issuance ON entries (issuance, idx)'].map(
      (index): [string, string[], string] => [
        `an index that lacks an entry: ${index}`,
        [
          `DROP INDEX ${index.split(' ')[0]}`,
          `CREATE INDEX ${index} WHERE idx <> 7`,
          'PRAGMA writable_schema = ON',
          `UPDATE sqlite_schema SET sql = replace(sql, ' WHERE idx <> 7', '') WHERE type = 'index'`,
        ],
        'file_damaged',
      ],
    ),
    ['a stored leaf hash changed', ['UPDATE entries SET leaf = zeroblob(32) WHERE idx = 3'], 'leaf_differs'],
    [
      'another key',
      ["UPDATE head SET vkey = 'other.example.com/ledger+54424f0f+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs'"],
      'KEY',
    ],
  ])('finds %s', async (_, statements, code) => {
    await tamper(...statements);
    if (code === 'KEY') await expect(verify()).rejects.toThrow('vkey_hash');
    else expect((await verify()).findings.map((finding) => finding.code)).toContain(code);
  });

  it('finds a tail that was cut, against an older checkpoint', async () => {
    const newest = (await ledger.reader?.checkpoint(soon())) as string;
    const size = Number(older.split('\n')[1]);
    // Back to exactly the state that the older checkpoint signed: without a checkpoint kept elsewhere, nothing shows.
    const { range, root } = await rangeAt(size);
    await tamper(
      `DELETE FROM entries WHERE idx >= ${size}`,
      `DELETE FROM checkpoints WHERE size > ${size}`,
      `DELETE FROM lockdowns`,
      `DELETE FROM subtrees WHERE (idx + 1) * 256 > ${size}`,
      `UPDATE head SET size = ${size}, epoch = 0, root = x'${root}', compact = x'${range}', checkpoint = '${older}'`,
    );
    expect((await verify()).findings).toEqual([]);
    expect((await verify(older)).findings).toEqual([]);
    expect((await verify(newest)).findings.map(({ code }) => code)).toEqual(['cut']);
  });

  async function rangeAt(size: number) {
    const { extend } = await import('../../../src/ledger/tree/merkle.ts');
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const entries = await source.entries(0, size);
    await close();
    const grown = extend(
      0,
      [],
      entries.map(({ leaf }) => leaf),
    );
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    return { range: grown.range.map(hex).join(''), root: hex(grown.root) };
  }

  it('finds a fork: a log that holds the key and has other entries than the checkpoint kept elsewhere', async () => {
    const other = newFolder();
    const forked = await openIn(other);
    await forked.append(asking(...Array.from({ length: 250 }, () => write.denial())), soon());
    await forked.append(asking(...Array.from({ length: 200 }, () => write.denial())), soon());
    await forked.close();
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, other);
    const report = await verifyLog(source, { needIntent: new Set(), since: older });
    // Of several in one run too, and behind thousands that the log does not reach.
    await ledger.append(asking(...Array.from({ length: 250 }, () => write.denial())), soon());
    const longer = (await ledger.reader?.checkpoint(soon())) as string;
    const since = [...Array<string>(1_001).fill(longer), older];
    const { findings } = await verifyLog(source, { needIntent: new Set(), since });
    await close();
    removeFolder(other);
    expect(report.findings.map(({ code }) => code)).toEqual(['rewritten']);
    expect(findings.filter(({ code }) => code !== 'cut').map(({ code }) => code)).toEqual(['rewritten']);
  });

  it('finds an outcome without intent, for the kinds that need one', async () => {
    await ledger.append({ ...asking(write.issuance(write.id(), { epoch: 1 })), epoch: 1 }, soon());
    const found = (await verify()).findings;
    expect(found.map(({ code }) => code)).toEqual(['outcome_without_intent']);
    expect(found[0]?.index).toBeGreaterThan(300);
  });

  it('finds nothing in the key record of a writer', async () => {
    const key = { purpose: 'assertions', kid: 'k1', jwk: {}, state: 'begin' };
    const entries = [write.write('key', key, null), write.write('key', key, null)];
    await ledger.append({ ...asking(...entries), epoch: 1 }, soon());
    expect((await verify()).findings).toEqual([]);
  });

  it('takes the failure that the ledger itself wrote when it could not sign', async () => {
    const path = newFolder();
    const minter = { check: () => {}, sign: () => Promise.reject(new Error('no signer')) };
    const log = await openIn(path, { minter });
    const id = write.id();
    await log.append(asking(write.issuance(id, { kind: 'jwt' }, { mint: write.mint(id) })), soon()).catch(() => {});
    await log.close();
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, path);
    const report = await verifyLog(source, { needIntent: new Set() });
    await close();
    removeFolder(path);
    expect(report).toMatchObject({ findings: [], size: 3 });
  });
});

describe('records of how leases ended', () => {
  const take = (...texts: { record: string }[]) => {
    const derived = deriveTables(new Set(['postgres']));
    const found = texts.flatMap(({ record }, index) => derived.take(parseRecord(record), index));
    return found.map(({ code }) => code).filter((code) => code !== 'policy_unknown');
  };

  it('are findings where there is nothing to end, or it ended before', () => {
    const [id, failed] = [write.id(), write.id()];
    const done = (issuance: string) => write.revocation(issuance, { reason: 'done' });
    expect(take(done(id))).toEqual(['unknown_issuance']);
    const begun = [write.intent(id), write.issuance(id), write.revocation(id)];
    expect(take(...begun, done(id))).toEqual([]);
    expect(take(...begun, done(id), done(id))).toEqual(['already_done']);
    expect(take(write.intent(failed), write.failure(failed), done(failed))).toEqual(['already_done']);
  });
});
