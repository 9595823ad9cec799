import { equalBytes } from '../../lib/bytes.ts';
import { parseInstant } from '../../lib/time.ts';
import { endOf } from '../log/draft.ts';
import type { Head, IssuanceState } from '../log-store.ts';
import { type LedgerRecord, parseRecord, RecordError } from '../records/record.ts';
import { foldRange } from '../tree/merkle.ts';
import type { Derived, Finding } from './derive.ts';
import type { VerifySource, VerifyTables } from './source.ts';

type Report = (finding: Finding) => void;

/** Entries. */
const readAtOnce = 2_048;

/** Compares what is kept in tables beside the records with what they imply. Empties `derived` as it goes. */
export async function checkTables(
  source: Pick<VerifySource, 'head' | 'entries'>,
  tables: VerifyTables,
  derived: Derived,
  head: Head,
  report: Report,
): Promise<void> {
  if (head.epoch !== derived.epoch)
    report({ code: 'epoch_differs', message: `the head says epoch ${head.epoch}, the records ${derived.epoch}` });
  if (!equalBytes(foldRange(head.range), head.root))
    report({ code: 'head_differs', message: 'the hashes beside the head do not make it' });
  for (const index of await tables.strays())
    report({ index, code: 'entry_unknown', message: 'an entry that the head does not cover' });

  const compare = comparing(source, endOf(head), report);
  const byIndex = { shown: (index: number) => index, indices: (index: number) => [index] };
  await compare(
    'spent',
    pairs(tables.spent, ({ key, index }) => [key, index]),
    derived.spent,
    byIndex,
  );
  await compare(
    'seen',
    pairs(tables.seen, ({ name, index }) => [name, index]),
    derived.seen,
    byIndex,
  );
  await compare(
    'issuances',
    pairs(tables.issuances, (state) => [state.id, state]),
    derived.issuances,
    {
      shown,
      indices: ({ intent, outcome, ended, owed }) =>
        [intent, outcome, ended, owed?.since ?? null].filter((index) => index !== null),
      touched: tables.touched,
    },
  );
  const locked = (await tables.lockdowns()).map((index): [string, number] => [String(index), index]);
  const there = new Set(locked.map(([, index]) => index));
  const missing = [...derived.lockdowns.values()].some((index) => !there.has(index));
  const lifted = missing ? await liftedFrom(endOf(head), source) : new Set();
  const inForce = [...derived.lockdowns].filter(([id, index]) => there.has(index) || !lifted.has(id));
  await compare('lockdowns', locked, new Map(inForce.map(([, index]) => [String(index), index])), byIndex);
  for (const finding of await unmatched(inForce, source)) report(finding);
  for (const finding of (await tables.oddities?.()) ?? []) report(finding);
}

/** Ids of the lockdowns that a running server lifted since the head was read. */
async function liftedFrom(from: number, source: Pick<VerifySource, 'head' | 'entries'>): Promise<ReadonlySet<string>> {
  const lifted = new Set<string>();
  const end = endOf(await source.head());
  for (let next = from; next < end; next += readAtOnce)
    for (const { type, record } of await source.entries(next, Math.min(end, next + readAtOnce))) {
      const { op, target } = (type === 'lockdown' && recordIn(record)) || {};
      if (op === 'lift' && target !== undefined) lifted.add(target);
    }
  return lifted;
}

/** What a lockdown stops is in its disclosure alone: nobody erases it while it is in force, and without it everything is stopped. */
async function unmatched(
  inForce: readonly (readonly [id: string, index: number])[],
  { head, entries }: Pick<VerifySource, 'head' | 'entries'>,
): Promise<Finding[]> {
  const erased: { readonly id: string; readonly index: number; readonly until: number }[] = [];
  for (const [id, index] of inForce) {
    const [entry] = await entries(index, index + 1);
    const until = parseInstant(recordIn(entry?.record)?.until ?? '') ?? Number.POSITIVE_INFINITY;
    if (entry?.disclosure === null) erased.push({ id, index, until });
  }
  if (erased.length === 0) return [];
  // After that: whoever erases what is over says so before, and may have done it while the log was read.
  const end = endOf(await head());
  const now = parseInstant(recordIn((await entries(end - 1, end))[0]?.record)?.time ?? '') ?? 0;
  return erased
    .filter(({ until }) => until > now)
    .map(({ id, index }) => ({
      index,
      code: 'lockdown_erased',
      message: `what the lockdown ${id} stops was erased, and it is in force`,
    }));
}

/** What is none is found elsewhere. */
function recordIn(text: string | undefined): LedgerRecord | undefined {
  try {
    return text === undefined ? undefined : parseRecord(text);
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
}

const shown = ({ writer, intent, outcome, once, expiresAt, ended, owed }: IssuanceState): string =>
  JSON.stringify([writer, intent, outcome, once, expiresAt, ended, owed?.since, owed?.told]);

interface Kept<V> {
  shown(value: V): unknown;
  /** Of the entries it speaks of. */
  indices(value: V): readonly number[];
  /** Whether a record came after the head was read, where a row is changed by later ones. */
  readonly touched?: (key: string, from: number) => Promise<boolean>;
}

type Rows<V> = AsyncIterable<[string, V]> | Iterable<[string, V]>;

/** What a running server wrote since the head was read is not compared; what not even it can have written is found. */
function comparing(source: Pick<VerifySource, 'head'>, size: number, report: Report) {
  return async <V>(table: string, rows: Rows<V>, implied: Map<string, V>, kept: Kept<V>): Promise<void> => {
    const code = `${table}_differs`;
    const end = async (index: number) => (index < size ? size : endOf(await source.head()));
    for await (const [key, value] of rows) {
      const known = implied.get(key);
      const fits = known !== undefined && kept.shown(known) === kept.shown(value);
      const indices = kept.indices(value);
      for (const index of indices)
        if (index < 0 || index >= (await end(index)))
          report({ code, message: `the row of ${key} speaks of an entry that is not there` });
      const later = indices.some((index) => index >= size);
      if (!fits && (await kept.touched?.(key, size)) === true) implied.delete(key);
      else if (!later && known === undefined) report({ code, message: `no record implies the row of ${key}` });
      else if (!later) {
        if (!fits) report({ code, message: `the row of ${key} is not as the records imply` });
        implied.delete(key);
      }
    }
    for (const key of implied.keys()) report({ code, message: `the row of ${key} is not as the records imply` });
  };
}

/** All rows of a table that is read in pages, each beginning after the last key of the one before. */
async function* pairs<R, V>(
  read: (after: string) => Promise<readonly R[]>,
  pairOf: (row: R) => [string, V],
): AsyncGenerator<[string, V]> {
  for (let after = ''; ; ) {
    const page = (await read(after)).map(pairOf);
    yield* page;
    const last = page.at(-1)?.[0];
    // A key that is no text comes again and again.
    if (last === undefined || last === after) return;
    after = last;
  }
}
