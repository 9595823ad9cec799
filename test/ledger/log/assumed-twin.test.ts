import { expect, it } from 'vitest';
import type { AppendRequest } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import type { LedgerRecord, RecordText } from '../../../src/ledger/records/record.ts';
import { seeded } from '../../policy/worlds.ts';
import { clockAt, digest, scribe, soon } from '../fixtures.ts';
import { type Fault, oneDatabase, told } from './one-database.ts';

const from = Number(process.env.HALLPASS_SEED ?? 1);
const rounds = Number(process.env.HALLPASS_ROUNDS ?? 3);
const policyOf = (many: number) => `sha256:${String(many).padStart(43, 'p')}`;

/** One history on logs that assume what is new, and on logs that look all up. */
async function runTwins(seed: number, assumed: { landed: number; moved: number }): Promise<void> {
  const random = seeded(seed);
  const chance = (of: number) => random() < of;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const clock = clockAt();
  const write = scribe(clock);
  const [assuming, looking] = [await oneDatabase(clock, true, assumed), await oneDatabase(clock, false)];
  const followed = pick([0.1, 0.2]);
  const restless = pick([0.01, 0.03]);
  const processes = pick([1, 2, 3]);
  const requests: AppendRequest[] = [];
  const ids: string[] = [];
  let tokens = 0;
  let missed = assumed.moved;
  let policies = 1;
  let epoch = 0;
  let at = 0;

  /** Does the same on both. */
  async function both<T>(work: (twin: typeof assuming) => Promise<T>): Promise<T> {
    const first = await work(assuming);
    expect(first, `seed ${seed}`).toEqual(await work(looking));
    return first;
  }
  const append = (batch: readonly AppendRequest[], fault?: Fault) =>
    both((twin) => {
      twin.setFault(fault);
      return Promise.all(batch.map((request) => told((twin.logs[at] as Log).append(request, soon()), twin.verify)));
    });
  const restart = () =>
    both(async ({ logs, open }) => {
      await logs[at]?.close();
      logs[at] = await open();
    });
  const next = () => (at + 1) % processes;

  /** One of the last, or any. */
  const known = <T>(list: readonly T[]) => pick(chance(0.8) ? list.slice(-6) : list);
  const newId = () => ids[ids.push(write.id()) - 1] as string;

  /** About an issuance that may be there. */
  function about(id: string, facts: Partial<LedgerRecord>): RecordText[] {
    const { once: _, ...bare } = facts;
    const request = { ...facts, request: id };
    return pick([
      () => [write.issuance(id, facts)],
      () => [write.issuance(id, request), write.issuance(newId(), request)],
      () => [write.intent(id, facts)],
      () => [write.failure(id, { ...bare, reason: pick(['store_failed', 'abandoned']) })],
      () => [write.revocation(id, { ...bare, reason: pick(['requested', 'done', 'unrevoked']) })],
    ])();
  }

  function request(limited = chance(0.05)): AppendRequest {
    if (requests.length > 0 && chance(followed / 4)) return known(requests);
    const under = {
      epoch: chance(0.97) ? epoch : epoch + 1,
      policy: policyOf(limited ? 0 : chance(0.05) ? policies++ : policies - 1),
    };
    const token = chance(followed / 3) ? Math.floor(random() * tokens) : tokens++;
    const facts = { ...under, ...(chance(0.5) && { once: String(token).padStart(43, 't') }) };
    const max = limited && { max: { holder: digest(pick(['h', 'i'])), most: 3 } };
    const fresh = () => [pick([write.issuance, write.intent, write.intent])(newId(), facts)];
    const common = () => (chance(0.2) && !limited ? [write.denial(under)] : fresh());
    const rare = () => (chance(0.1) ? [write.lockdown('add', 'x', epoch + 1)] : about(known([...ids, newId()]), facts));
    requests.push({ ...under, entries: chance(followed) ? rare() : common(), ...max });
    return requests.at(-1) as AppendRequest;
  }

  /** An older copy is put back under all processes; one starts anew, and outgrows what the others know. */
  async function putBack(): Promise<void> {
    const first = at;
    at = next();
    const before = await both((twin) => twin.head());
    await both((twin) => twin.putBack());
    await restart();
    const after = await both((twin) => twin.head());
    const lost = before.base + before.size - after.base - after.size;
    const denial = () => ({ entries: [write.denial()], epoch: 0, policy: policyOf(0) });
    await append(Array.from({ length: lost + 1 }, denial));
    await goTo(first);
  }

  /** What is looked up in any case finds what another process wrote: what comes after it is assumed again. */
  async function goTo(process: number): Promise<void> {
    at = process;
    await append([request(true)]);
  }

  for (let step = 0; step < 100; step++) {
    clock.at += chance(0.01) ? 40_000 : Math.floor(random() * 50);
    if (chance(0.05)) await both((twin) => twin.backUp());
    if (chance(0.03)) await putBack();
    if (chance(0.08)) await goTo(next());
    // Whoever met what was not new looks all up for a while, unless it starts anew.
    if (chance(assumed.moved > missed ? 0.7 : restless)) await restart();
    missed = assumed.moved;
    if (chance(0.01))
      await both((twin) => told((twin.logs[at] as Log).roll({ reason: 'operator' }, soon()), twin.verify));
    const fault = chance(restless) ? pick(['landed', 'not landed'] as const) : undefined;
    await append(
      Array.from({ length: pick([1, 1, 2]) }, () => request()),
      fault,
    );
    ({ epoch } = await both((twin) => twin.head()));
  }
  await both((twin) => twin.rows());
  expect(await both((twin) => twin.findings())).toEqual([]);
}

it(`logs that assume what is new answer and write as those that look all up, in ${rounds} histories (HALLPASS_ROUNDS says how many)`, async () => {
  const sum = { landed: 0, moved: 0 };
  for (let seed = from; seed < from + rounds; seed++) await runTwins(seed, sum);
  if (process.env.HALLPASS_ROUNDS !== undefined) console.log(JSON.stringify(sum));
  // A history in which nothing is assumed shows nothing.
  expect(sum.landed).toBeGreaterThan(rounds * 20);
  expect(sum.moved).toBeGreaterThan(rounds);
}, 3_600_000);
