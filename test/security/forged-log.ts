import { join } from 'node:path';
import { openSqliteFile } from '../../src/ledger/drivers/sqlite/open.ts';
import { changeOf } from '../../src/ledger/log/change.ts';
import type { Drafted } from '../../src/ledger/log/draft.ts';
import type { StoredEntry } from '../../src/ledger/log-store.ts';
import { issuanceOf, type LedgerRecord, parseRecord, RecordError } from '../../src/ledger/records/record.ts';
import { sqlLogStore } from '../../src/ledger/sql/log-store.ts';
import { noteSigner } from '../../src/ledger/tree/note.ts';
import { deriveTables } from '../../src/ledger/verify/derive.ts';
import { soon } from '../ledger/fixtures.ts';

/** What an adversary puts where an entry was. */
export type Forged = Pick<StoredEntry, 'record' | 'disclosure'>;

/**
 * A log as somebody makes it who holds the database and the ledger key and cares for none of its laws: every batch is
 * hashed, signed and stored as the real log would, and the tables beside it are made to fit.
 */
export async function forgeLog(
  folder: string,
  seed: Uint8Array,
  origin: string,
  batches: readonly (readonly Forged[])[],
): Promise<void> {
  const signer = noteSigner(origin, seed);
  const sql = openSqliteFile(join(folder, 'ledger.db'), signer.vkey);
  const store = sqlLogStore(sql);
  const derived = deriveTables(new Set());
  const known = { issuances: 0, spent: new Set<string>(), seen: new Set<string>() };
  let size = 0;
  for (const batch of batches) {
    const found = await store.find({ ids: [], issuances: [], spent: [], seen: [], holders: [], now: 0 }, soon());
    const before = new Map(derived.lockdowns);
    const touched = new Set<string>();
    const drafted: Drafted[] = batch.map((entry) => {
      const record = tryParse(entry.record);
      const index = size++;
      if (record === undefined)
        return { ...entry, index, id: `none-${index}`, type: 'failure', issuance: null, writer: '' };
      derived.take(record, index);
      const issuance = issuanceOf(record) ?? null;
      if (issuance !== null) touched.add(issuance);
      return { ...entry, index, id: record.id, type: record.type, issuance, writer: record.writer.name };
    });
    const fresh = (all: ReadonlyMap<string, number>, old: Set<string>) =>
      [...all].filter(([key]) => !old.has(key) && old.add(key));
    const lifted = [...before].filter(([id]) => !derived.lockdowns.has(id));
    const began = [...derived.lockdowns].filter(([id]) => !before.has(id));
    const planned = {
      epoch: derived.epoch,
      drafted,
      issuances: [...touched].flatMap((id) => derived.issuances.get(id) ?? []),
      spent: fresh(derived.spent, known.spent).map(([key, index]) => ({ key, index })),
      seen: fresh(derived.seen, known.seen).map(([name, index]) => ({ name, index })),
      lockdowns: [
        ...began.map(([, index]) => ({ index, lifted: false })),
        ...lifted.map(([, index]) => ({ index, lifted: true })),
      ],
      held: [],
      freed: [],
      now: 0,
      outcomes: [],
    };
    await store.commit(changeOf(found, planned, signer).change, soon());
  }
  await store.close();
}

function tryParse(text: string): LedgerRecord | undefined {
  try {
    return parseRecord(text);
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
}
