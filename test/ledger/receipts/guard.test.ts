import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Receipt } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { type ReceiptGuard, receiptGuard } from '../../../src/ledger/receipts/guard.ts';
import { receiptVerifier } from '../../../src/ledger/receipts/receipt.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';

// A ledger that is lost in part and goes on in its next log, and one that was replaced and does not know it.

const write = scribe(clockAt(Date.now()));
let folders: string[];
let old: Log;
let promoted: Log;
let guard: ReceiptGuard;
/** Runs when the broker asks how the old log ended, before it is told. */
let meanwhile: () => Promise<void>;

beforeEach(async () => {
  folders = [newFolder(), newFolder()];
  [old, promoted] = (await Promise.all(folders.map((folder) => openIn(folder)))) as [Log, Log];
  await old.append(asking(write.issuance(write.id())), soon());
  const copied = await old.reader.copy(0, 100, soon());
  if (copied === undefined) throw new Error('no entries');
  await promoted.adopt(copied, soon());
  const { size, root } = await old.reader.head(soon());
  await promoted.roll({ lost: { size, root } }, soon());
  meanwhile = async () => {};
  const verify = receiptVerifier(await old.key(soon()));
  guard = receiptGuard({
    checker: () => verify,
    async succession(_, after, deadline) {
      await meanwhile();
      return promoted.reader.succession(after, deadline);
    },
    async claim({ checkpoint, generation }, deadline) {
      await promoted.claim(checkpoint, deadline);
      return promoted.reader.succession(generation, deadline);
    },
  });
});
afterEach(async () => {
  await old.close();
  await promoted.close();
  for (const folder of folders) removeFolder(folder);
});

/** A new record as a broker sends it: what checks the answer, and the answer of that ledger. */
async function send(ledger: Log): Promise<() => Promise<void>> {
  const request = asking(write.issuance(write.id()));
  const check = guard.sending(request.entries);
  const { receipts } = await ledger.append(request, soon());
  return () => check(receipts, soon());
}
const refused = (reason: string) => ({ code: 'ledger_unavailable', reason });

it('takes no new receipt of a log that is over, also where its successor was the first that was seen', async () => {
  const [late, first] = [await send(old), await send(promoted)];
  await first();
  await expect(late()).rejects.toMatchObject(refused('receipt_succession'));
  await (await send(promoted))();
});

it('lets name as lost what it took of the old log while it was asking how that one ended', async () => {
  await (await send(old))();
  const [more, younger] = [await send(old), await send(promoted)];
  meanwhile = async () => {
    meanwhile = async () => {};
    await more();
  };
  await younger();
  const claims = await promoted.reader.list({ type: 'roll', limit: 10 }, soon());
  const { size } = await old.reader.head(soon());
  expect(JSON.parse(claims[0]?.record ?? '{}')).toMatchObject({ state: 'begin', size });
  await (await send(promoted))();
});

it('hears what was claimed to a log that is closed by now', async () => {
  await (await send(old))();
  await promoted.claim(await old.reader.checkpoint(soon()), soon());
  await promoted.roll({}, soon());
  await (await send(promoted))();
  expect([...guard.seen.values()]).toMatchObject([{ generation: 3 }]);
});

it('calls it unavailable, and never refused, where the ledger does not take its claim', async () => {
  await (await send(old))();
  await promoted.roll({}, soon());
  await expect((await send(promoted))()).rejects.toMatchObject(refused('receipt_succession'));
  meanwhile = () => Promise.reject(new Refusal('invalid_request', 'refused_by_ledger'));
  await expect((await send(promoted))()).rejects.toMatchObject(refused('receipt_succession'));
});

it('takes no receipt under a name that is no log of the ledger, and none under another log’s', async () => {
  const request = asking(write.issuance(write.id()));
  const check = guard.sending(request.entries);
  const { receipts } = await promoted.append(request, soon());
  await check(receipts, soon());
  const [receipt] = receipts as [Receipt];
  for (const log of [`${receipt.log}~2`, `${old.origin}~1`, `${old.origin}/0`, `${old.origin}~02`, `${old.origin}+2`])
    await expect(check([{ ...receipt, log }], soon())).rejects.toMatchObject(refused('receipt_key'));
});
