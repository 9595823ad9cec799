// Appends to a ledger one after the other, saying each on stdout once it was acknowledged: run under strace, so that the
// order of writes, syncs and acknowledgements is known. node traced-appends.mjs FOLDER COUNT WORKER_URL
import { writeSync } from 'node:fs';
import { openSqliteLedger } from '../../src/ledger/drivers/sqlite/open.ts';
import { depsOf } from '../ledger/drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../ledger/fixtures.ts';

const [folder, count, worker] = process.argv.slice(2) as [string, string, string];
const parts = { workerUrl: new URL(worker) };
const ledger = await openSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, depsOf({}, folder), parts);
for (let n = 0; n < Number(count); n++) {
  const write = scribe(clockAt(Date.now()));
  const issuance = write.id();
  const about = n % 3 === 0 ? [write.intent(issuance)] : [write.issuance(issuance), write.denial()];
  const { receipts } = await ledger.append(asking(...about), soon());
  writeSync(1, `ack ${receipts.at(-1)?.index}\n`);
}
process.exit(0);
