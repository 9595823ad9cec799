import { endOf } from '../../log/draft.ts';
import type { StoredCheckpoint, VerifySource } from '../../verify/source.ts';
import type { InspectDeps, Inspection } from '../driver.ts';
import type { DynamoDbLedgerConfig } from '../dynamodb.ts';
import { openItemCheck } from './item-check.ts';
import { type LogKeys, logKeys, padded, readPlace } from './keys.ts';
import { unlessMissing } from './open.ts';
import { placesOf, readLog, stateOf } from './reads.ts';
import { bytesOf, type Key, numberOf, type Row, textOf, textsOf } from './row.ts';
import { openDynamo, openTable, type Table } from './table.ts';

const partitionsAtOnce = 8;

/** Opens one log of the table for reading; brokers may go on writing. @throws Error where there is none */
export async function inspectDynamoDbLedger(
  config: DynamoDbLedgerConfig,
  { platform, shard }: InspectDeps,
): Promise<Inspection> {
  const table = openTable(openDynamo(config, platform), config.table, platform);
  const keys = logKeys(shard);
  if ((await table.get(keys.head).catch(unlessMissing)) === undefined)
    throw new Error(`the table ${config.table} has no ledger of this name: run hallpass ledger init`);
  return { source: dynamoVerifySource(table, keys, platform.now), close: async () => {} };
}

export function dynamoVerifySource(table: Table, keys: LogKeys, now: () => number = Date.now): VerifySource {
  const reads = readLog(table, keys);
  const check = openItemCheck(table, keys, reads, now);

  /** Rows past `after` of some partitions, each in that of its own key; empty only where there are no more. */
  async function past(
    partitions: readonly string[],
    after: string,
    keyOf: (sk: string) => Key,
  ): Promise<readonly Row[]> {
    const begun = after === '' ? 0 : partitions.indexOf(keyOf(after).pk);
    for (let at = begun; at < partitions.length; at += partitionsAtOnce) {
      const some = partitions.slice(at, at + partitionsAtOnce);
      const from = (pk: string) => (after !== '' && pk === partitions[begun] ? { from: after } : {});
      const rows = (await Promise.all(some.map((pk) => table.query(pk, from(pk))))).flat();
      const past = rows.filter(({ pk, sk }) => {
        if (pk !== keyOf(sk).pk) check.misplaced({ pk, sk });
        return sk !== after && pk === keyOf(sk).pk;
      });
      if (past.length > 0) return past;
    }
    return [];
  }

  function seenIn({ pk, sk, x, p }: Row) {
    const name = textOf(x);
    if (keys.seenName(name).sk === sk) return [{ name, index: numberOf(p) }];
    check.misplaced({ pk, sk });
    return [];
  }

  return {
    key: async () => textOf((await reads.headRow()).vkey),
    head: reads.head,
    async entries(from, to) {
      const entries = await reads.entries(from, to);
      check.entries(entries);
      return entries;
    },
    async checkpoints(from, to) {
      // The chunk that a tree ends in has its last entry.
      const chunks = to <= from ? [] : await reads.chunks(from, to);
      return chunks.flatMap(({ t, c }): StoredCheckpoint[] =>
        c === undefined || numberOf(t) <= from || numberOf(t) > to ? [] : [{ size: numberOf(t), note: textOf(c) }],
      );
    },
    async subtrees(base, level, from, to) {
      if (to <= from) return [];
      const rows = await table.query(keys.tree(base, level), { from: padded(from), to: padded(to - 1) });
      return rows.map(({ sk, h }) => ({ level, index: Number(sk), hash: bytesOf(h) }));
    },
    tables: {
      spent: async (after) =>
        (await past(keys.spent, after, keys.spentKey)).map(({ sk, p }) => ({ key: sk, index: numberOf(p) })),
      async issuances(after) {
        // Of the ids of records there is nothing to say, so a page may have none and others come after it.
        for (let last = after; ; ) {
          const rows = await past(keys.ids, last, keys.id);
          check.ids(rows);
          const states = rows.map(stateOf).filter((state) => state !== undefined);
          if (states.length > 0 || rows.length === 0) return states;
          last = (rows.at(-1) as Row).sk;
        }
      },
      async touched(issuance, from) {
        const row = await table.get(keys.id(issuance));
        return row !== undefined && placesOf(row).some((place) => readPlace(place).position >= from);
      },
      seen: async (after) => (after === '' ? (await table.query(keys.seen)).flatMap(seenIn) : []),
      oddities: check.findings,
      lockdowns: async () => textsOf((await reads.headRow()).locks).map((place) => readPlace(place).position),
      async strays() {
        const end = endOf(await reads.head());
        const tiles = [keys.tile(end), keys.tile(end) + 1];
        const found = await Promise.all(tiles.map((tile) => table.query(keys.entries(tile), { from: padded(end) })));
        // A server may have gone on meanwhile.
        const now = endOf(await reads.head());
        return found
          .flat()
          .map(({ sk }) => Number(sk))
          .filter((index) => index >= now);
      },
    },
  };
}
