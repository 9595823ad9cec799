import { type Erasing, eraseAt, settleErased } from '../../src/ledger/erasure/erasing.ts';
import type { Ledger, Receipt } from '../../src/ledger/ledger.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import type { Disclosed } from '../../src/ledger/records/record.ts';
import { asking, clockAt, scribe, soon } from '../ledger/fixtures.ts';

/** What is disclosed of a person who is erased: texts that are nowhere else. */
export const marks = ['Erika Mustermann-Marker-Name', 'marker-subject-4711', 'marker-claim-0815', 'marker-reason-0042'];
export const [name, subject, claim, why] = marks as [string, string, string, string];

/** Some lie in a page of their own, some beside others, some go on over several pages. */
const person = (at: number): Disclosed => ({
  name: `shop:${name}/${'n'.repeat((at * 13) % 60)}${at}`,
  iss: 'https://issuer.example',
  subject,
  claims: { email: claim, more: 'x'.repeat((at % 7) * 1_500) },
  why,
});

/** Appends issuances of the person's and of others, alternating; gives the receipts and the person's positions. */
export async function fill(ledger: Ledger, many: number): Promise<{ receipts: Receipt[]; positions: number[] }> {
  const write = scribe(clockAt(Date.now()));
  const receipts: Receipt[] = [];
  const positions: number[] = [];
  for (let from = 0; from < many; from += 10) {
    const some = Array.from({ length: 10 }, (_, at) => from + at);
    const entries = some.map((at) => write.issuance(write.id(), { kind: 'secret' }, at % 3 === 0 ? {} : person(at)));
    const result = await ledger.append(asking(...entries, write.denial()), soon());
    receipts.push(...result.receipts);
    positions.push(...some.filter((at) => at % 3 !== 0).map((at) => result.receipts[at - from]?.index as number));
  }
  return { receipts, positions };
}

/** In several turns, so that what lies beside what is erased is moved, and later erased itself. */
export async function eraseInTurns(ledger: Erasing, positions: readonly number[]): Promise<void> {
  for (const every of [7, 5, 3, 2, 1]) {
    const some = positions.filter((position) => position % every === 0);
    await eraseAt(ledger, some, soon());
  }
  await settleErased(ledger, soon());
}

export async function proofsHold(ledger: Ledger, receipts: readonly Receipt[]): Promise<void> {
  const key = await ledger.key(soon());
  for (const { disclosure: _, ...receipt } of receipts) verifyReceipt(receipt, key);
}
