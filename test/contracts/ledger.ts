import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AppendRequest,
  type AppendResult,
  everyWriter,
  type KeyRecord,
  type Ledger,
  type PendingFilter,
} from '../../src/ledger/ledger.ts';
import type { PendingState } from '../../src/ledger/log-store.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import {
  issuanceOf,
  type LedgerRecord,
  parseRecord,
  type RecordText,
  recordText,
} from '../../src/ledger/records/record.ts';
import { brokerTypes, type Minter } from '../../src/ledger/records/writer.ts';
import { canonicalJson } from '../../src/lib/canonical-json.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { instantMs } from '../../src/lib/time.ts';
import {
  asking,
  type Clock,
  clockAt,
  digest,
  otherWriter,
  policyHash,
  scribe,
  soon,
  writer,
} from '../ledger/fixtures.ts';

/** What a ledger under test is opened with. */
export interface LedgerGiven {
  readonly now: () => number;
  /** 32 bytes. */
  readonly checkpointKey: Uint8Array;
  readonly origin: string;
  readonly writer: typeof writer;
  readonly minter: Minter;
  readonly keyRecords: readonly KeyRecord[];
}

export interface LedgerUnderTest {
  readonly ledger: Ledger;
  /** Ends the process that keeps the log, in effect, and opens the same log again. */
  restart(): Promise<Ledger>;
  /** Closes the log and begins its successor, where `ledger` itself cannot. */
  readonly roll?: () => Promise<unknown>;
  /** Lets go of everything. */
  end(): Promise<void>;
}

/** The code and reason a promise is refused with. */
export async function refusal(work: Promise<unknown>): Promise<Refusal> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof Refusal)) throw new Error(`not refused: ${error}`);
  return error;
}

/**
 * What every ledger keeps to. `reasons: false` for one that hears only codes (over HTTP); `local: false` for one whose
 * own broker has no more rights than any writer; `sharded` for one of several logs.
 */
export function ledgerContract(
  name: string,
  make: (given: LedgerGiven) => Promise<LedgerUnderTest>,
  {
    reasons = true,
    local = true,
    sharded = false,
  }: { readonly reasons?: boolean; readonly local?: boolean; readonly sharded?: boolean } = {},
): void {
  describe(`ledger contract: ${name}`, () => {
    let clock: Clock;
    let under: LedgerUnderTest;
    let ledger: Ledger;
    let write: ReturnType<typeof scribe>;
    let signed: unknown[];
    let signing: () => Promise<string>;
    let allowed: boolean;

    beforeEach(async () => {
      clock = clockAt(Date.now());
      write = scribe(clock);
      signed = [];
      allowed = true;
      signing = async () => 'signed.token.here';
      const minter: Minter = {
        check() {
          if (!allowed) throw new Refusal('denied', 'mint_not_yours');
        },
        sign(mint) {
          signed.push(mint);
          return signing();
        },
      };
      under = await make({
        now: () => clock.at,
        checkpointKey: new Uint8Array(32).fill(7),
        origin: 'pass.example.com/ledger',
        writer,
        minter,
        keyRecords: [],
      });
      ledger = under.ledger;
    });
    afterEach(() => under.end());

    const append = (request: AppendRequest): Promise<AppendResult> => ledger.append(request, soon());
    const issue = (issuance = write.id(), facts: Partial<LedgerRecord> = {}) =>
      append(asking(write.issuance(issuance, facts)));
    const refusedWith = async (work: Promise<unknown>, code: string, reason: string) => {
      const error = await refusal(work);
      expect(error.code).toBe(code);
      if (reasons) expect(error.reason).toBe(reason);
      return error;
    };
    const verify = async ({ receipts }: AppendResult) => {
      const vkey = await ledger.key(soon());
      for (const receipt of receipts) verifyReceipt(receipt, vkey);
    };
    const pendingIds = async (state: PendingState, filter?: PendingFilter) =>
      (await ledger.pending(state, soon(), filter)).map(({ record }) => issuanceOf(parseRecord(record)));
    const renewal = (issuance: string, ttl: number) => {
      const lease = { expiresAt: instantMs(clock.at + ttl * 1000), ttl, revocable: true };
      return write.write('renewal', { issuance, credential: 'orders-db', kind: 'postgres', epoch: 0, lease });
    };
    const sizeNow = async () => (await issue()).receipts[0]?.index ?? -1;

    it('answers an append with receipts that verify', async () => {
      const request = asking(write.issuance(write.id()), write.denial());
      const result = await append(request);
      await verify(result);
      expect(result.receipts.map((receipt) => receipt.record)).toEqual(request.entries.map((entry) => entry.record));
      expect(result.receipts.map((receipt) => receipt.disclosure)).toEqual(request.entries.map((e) => e.disclosure));
      expect(result.receipts[1]?.index).toBe((result.receipts[0]?.index ?? 0) + 1);
      expect(result.minted).toEqual([null, null]);
      expect((ledger.shards ?? [ledger]).map(({ origin }) => origin)).toContain(result.receipts[0]?.log);
    });

    it('gives the first receipt again for the same bytes, even when the log has grown', async () => {
      const request = asking(write.issuance(write.id()));
      const first = await append(request);
      for (let more = 0; more < 5; more++) await issue();
      const again = await append(request);
      expect(again).toEqual(first);
    });

    it('gives the first receipt again long after the record was young', async () => {
      const request = asking(write.issuance(write.id()));
      const first = await append(request);
      clock.at += 3_600_000;
      expect(await append(request)).toEqual(first);
    });

    it('refuses other bytes under a known id', async () => {
      const id = write.id();
      await issue(id);
      await refusedWith(issue(id, { grant: 'other' }), 'invalid_request', 'id_taken');
    });

    it('sees two requests of one batch that carry the same record', async () => {
      const request = asking(write.issuance(write.id()));
      const [one, two] = await Promise.all([append(request), append(request)]);
      expect(one.receipts[0]?.index).toBe(two.receipts[0]?.index);
      await verify(one);
      await verify(two);
    });

    it.each([
      ['a writer that is not the verified one', { writer: otherWriter }, 'wrong_writer'],
      ['a time more than 30 s old', { time: new Date(Date.now() - 60_000).toISOString() }, 'time'],
      ['a time more than 30 s ahead', { time: new Date(Date.now() + 600_000).toISOString() }, 'time'],
      ['an unknown member', { surprise: 1 }, 'unknown_member'],
      ['an unknown type', { type: 'party' }, 'unknown_type'],
      ['a member of the wrong shape', { trace: 'ABC' }, 'trace_malformed'],
      ['an epoch that is not the request’s', { epoch: 3 }, 'epoch_differs'],
      ['a missing member', { kind: undefined }, 'kind_missing'],
      [
        'a `who` that is not the disclosure’s',
        { identity: { issuer: 'shop', who: digest('x') } },
        'disclosure_differs',
      ],
      ['a disclosure without identity', { identity: undefined }, 'disclosure_differs'],
    ])('refuses %s', async (_, facts, reason) => {
      await refusedWith(issue(write.id(), facts as Partial<LedgerRecord>), 'invalid_request', reason);
    });

    it('refuses a policy that is no hash, and takes what waits beside it', async () => {
      const results = await Promise.allSettled([
        issue(),
        append({ ...asking(write.issuance(write.id())), policy: 'sha256:not-a-hash' }),
        issue(),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((results[1] as PromiseRejectedResult).reason.code).toBe('invalid_request');
    });

    it('refuses an identity without its disclosure', async () => {
      const entry = { ...write.issuance(write.id()), disclosure: null };
      await refusedWith(append(asking(entry)), 'invalid_request', 'disclosure_missing');
    });

    it('refuses a record that is not canonical', async () => {
      const { record, disclosure } = write.issuance(write.id());
      await refusedWith(append(asking({ record: `${record} `, disclosure })), 'invalid_request', 'not_canonical');
    });

    it('refuses a record above 32 KiB', async () => {
      const entry = write.issuance(write.id());
      const record = { ...parseRecord(entry.record), grant: 'g'.repeat(33_000) };
      await refusedWith(append(asking({ ...entry, record: recordText(record) })), 'invalid_request', 'too_large');
    });

    it('refuses a type its writers may not write', async () => {
      const record = {
        v: 1,
        type: 'policy',
        id: write.id(),
        time: new Date(clock.at).toISOString(),
        writer,
        hash: policyHash,
      };
      await refusedWith(
        append(asking({ record: canonicalJson(record), disclosure: null })),
        'invalid_request',
        'type_not_allowed',
      );
    });

    it('takes all records of a request or none', async () => {
      const good = write.issuance(write.id());
      await refusedWith(
        append(asking(good, write.issuance(write.id(), { trace: 'bad' }))),
        'invalid_request',
        'trace_malformed',
      );
      const taken = write.id();
      await issue(taken);
      // In another shard it would not even be known.
      const { reason } = await refusal(append(asking(good, write.failure(taken))));
      if (reasons) expect(['second_outcome', ...(sharded ? ['several_shards'] : [])]).toContain(reason);
      expect(await ledger.issuance(parseRecord(good.record).id, soon())).toEqual([]);
    });

    it('lets a refused request of a batch hurt no other', async () => {
      const taken = write.id();
      await issue(taken);
      const results = await Promise.allSettled([issue(), append(asking(write.failure(taken))), issue()]);
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    });

    it.skipIf(sharded)(
      'writes the record of a policy it has not seen, once, before the record decided under it',
      async () => {
        const hash = `sha256:${'n'.repeat(43)}`;
        const first = await append({ ...asking(write.issuance(write.id(), { policy: hash })), policy: hash });
        const second = await append({ ...asking(write.issuance(write.id(), { policy: hash })), policy: hash });
        const third = await append({ ...asking(write.issuance(write.id(), { policy: hash })), policy: hash });
        expect(first.receipts[0]?.index).toBeGreaterThan(0);
        expect(second.receipts[0]?.index).toBe((first.receipts[0]?.index ?? 0) + 1);
        expect(third.receipts[0]?.index).toBe((second.receipts[0]?.index ?? 0) + 1);
        if (ledger.reader === undefined) return;
        const policies = await ledger.reader.list({ type: 'policy', limit: 10 }, soon());
        expect(policies.map((entry) => parseRecord(entry.record).hash)).toEqual([hash]);
        expect(policies[0]?.index).toBe((first.receipts[0]?.index ?? 0) - 1);
      },
    );

    it('takes a replay key once, and says which record spent it', async () => {
      const once = digest('k');
      const first = await append({ ...asking(write.issuance(write.id(), { once })), once });
      const error = await refusedWith(
        append({ ...asking(write.issuance(write.id(), { once })), once }),
        'replayed',
        reasons ? 'replayed' : '',
      );
      expect(error.options.members).toEqual({ index: first.receipts[0]?.index });
    });

    it('takes a replay key once of a hundred at the same time', async () => {
      const once = digest('c');
      const all = await Promise.allSettled(
        Array.from({ length: 100 }, () => append({ ...asking(write.issuance(write.id(), { once })), once })),
      );
      expect(all.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
      const codes = all.flatMap((result) => (result.status === 'rejected' ? [(result.reason as Refusal).code] : []));
      expect(new Set(codes)).toEqual(new Set(['replayed']));
    });

    it('counts the replay key of a record also where the request names none', async () => {
      const once = digest('q');
      await append(asking(write.issuance(write.id(), { once })));
      await refusedWith(append(asking(write.issuance(write.id(), { once }))), 'replayed', 'replayed');
    });

    it('lets the issuance carry the key its own intent spent, and no other', async () => {
      const once = digest('i');
      const [id, other] = [write.id(), write.id()];
      await append({ ...asking(write.intent(id, { once })), once });
      await append(asking(write.intent(other)));
      // Where its own intent may lie in another shard than the key, that is refused before the key is looked at.
      const { code } = await refusal(append(asking(write.issuance(other, { once }))));
      expect(['replayed', ...(sharded ? ['invalid_request'] : [])]).toContain(code);
      await verify(await append({ ...asking(write.issuance(id, { once })), once }));
    });

    it('lets the records of one request share a key, and says so by their request id', async () => {
      const once = digest('b');
      const request = '01jd9m0000000000000000000r';
      const pair = [write.issuance(write.id(), { once, request }), write.issuance(write.id(), { once, request })];
      expect((await append({ ...asking(...pair), once })).receipts).toHaveLength(2);
    });

    it('refuses a replay key that no record carries', async () => {
      await refusedWith(append({ ...asking(write.denial()), once: digest('z') }), 'invalid_request', 'once_differs');
    });

    it('takes one outcome of an issuance', async () => {
      const [done, failed] = [write.id(), write.id()];
      await append(asking(write.intent(done), write.intent(failed)));
      await issue(done);
      await append(asking(write.failure(failed)));
      await refusedWith(append(asking(write.failure(done))), 'invalid_request', 'second_outcome');
      await refusedWith(issue(failed), 'invalid_request', 'second_outcome');
      await refusedWith(append(asking(write.failure(failed))), 'invalid_request', 'second_outcome');
      await refusedWith(append(asking(write.intent(done))), 'invalid_request', 'second_intent');
    });

    it('takes one outcome of an issuance without intent, too', async () => {
      const id = write.id();
      await issue(id);
      await refusedWith(append(asking(write.failure(id))), 'invalid_request', 'second_outcome');
    });

    it('lets exactly one of a sweeper and a slow broker win', async () => {
      const id = write.id();
      await append(asking(write.intent(id)));
      const both = await Promise.allSettled([append(asking(write.failure(id))), issue(id)]);
      expect(both.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    });

    it('refuses what was decided under another epoch, and says the epoch', async () => {
      const error = await refusedWith(
        append({ ...asking(write.issuance(write.id(), { epoch: 4 })), epoch: 4 }),
        'stale',
        'stale',
      );
      expect(error.options.members).toEqual({ epoch: 0, lockdowns: [] });
    });

    it('never refuses a failure, revocation or denial for its epoch', async () => {
      const [failed, revoked] = [write.id(), write.id()];
      await append(asking(write.intent(failed)));
      await issue(revoked);
      const epoch = 9;
      const undoing = [write.failure(failed, { epoch }), write.revocation(revoked, { epoch }), write.denial({ epoch })];
      for (const entry of undoing) await verify(await append({ ...asking(entry), epoch }));
    });

    it.runIf(local)('raises the epoch with a lockdown, for the very next append', async () => {
      const lockdown = write.lockdown('add', 'issuer', 1, { issuer: 'shop' });
      const id = parseRecord(lockdown.record).id;
      await append(asking(lockdown));
      const error = await refusedWith(issue(), 'stale', 'stale');
      expect(error.options.members).toEqual({ epoch: 1, lockdowns: [{ id, epoch: 1, match: { issuer: 'shop' } }] });
      await verify(await append({ ...asking(write.issuance(write.id(), { epoch: 1 })), epoch: 1 }));
      await append({ ...asking(write.lockdown('lift', id, 2)), epoch: 1 });
      const lifted = await refusal(append({ ...asking(write.issuance(write.id(), { epoch: 1 })), epoch: 1 }));
      expect(lifted.options.members).toEqual({ epoch: 2, lockdowns: [] });
    });

    it.runIf(local)('tells of no lockdown that has ended, and keeps its epoch', async () => {
      const until = instantMs(clock.at + 60_000);
      const lockdown = write.lockdown('add', 'issuer', 1, { issuer: 'shop' }, { until });
      await append(asking(lockdown));
      const { id } = parseRecord(lockdown.record);
      const told = async () => (await refusedWith(issue(), 'stale', 'stale')).options.members;
      expect(await told()).toEqual({ epoch: 1, lockdowns: [{ id, epoch: 1, match: { issuer: 'shop' }, until }] });
      clock.at += 60_000;
      expect(await told()).toEqual({ epoch: 1, lockdowns: [] });
      await append({ ...asking(write.lockdown('lift', id, 2)), epoch: 1 });
    });

    it.runIf(local)('takes one of two lockdowns that were made under the same epoch', async () => {
      const [one, other] = ['issuer', 'store'].map((member) => write.lockdown('add', member, 1, { [member]: 'shop' }));
      const both = await Promise.allSettled([append(asking(one as RecordText)), append(asking(other as RecordText))]);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const error = await refusedWith(issue(), 'stale', 'stale');
      expect(error.options.members).toMatchObject({ epoch: 1, lockdowns: [{ epoch: 1 }] });
    });

    it.runIf(local)('takes a lockdown sent again for the same, and lifts none that is not there', async () => {
      const lockdown = write.lockdown('add', 'issuer', 1, { issuer: 'shop' });
      const first = await append(asking(lockdown));
      expect((await append(asking(lockdown))).receipts[0]?.index).toBe(first.receipts[0]?.index);
      const id = parseRecord(lockdown.record).id;
      await append({ ...asking(write.lockdown('lift', id, 2)), epoch: 1 });
      const again = append({ ...asking(write.lockdown('lift', id, 3)), epoch: 2 });
      await refusedWith(again, 'invalid_request', 'unknown_lockdown');
    });

    it.runIf(local && !sharded)('refuses the appends that stand behind a lockdown in its own batch', async () => {
      const [locked, stale] = await Promise.allSettled([append(asking(write.lockdown('add', 'all', 1))), issue()]);
      expect(locked?.status).toBe('fulfilled');
      expect(stale?.status).toBe('rejected');
    });

    it('gives 200 concurrent appends distinct indices and receipts that verify', async () => {
      const results = await Promise.all(Array.from({ length: 200 }, () => issue()));
      expect(new Set(results.map(({ receipts: [first] }) => `${first?.log} ${first?.index}`)).size).toBe(200);
      for (const result of results) await verify(result);
    });

    it('signs what is to be minted once the record is durable', async () => {
      const id = write.id();
      let there: number | undefined;
      signing = async () => {
        there = (await ledger.issuance(id, soon())).length;
        return 'signed.token.here';
      };
      const result = await append(asking(write.issuance(id, {}, { mint: write.mint(id) })));
      expect(result.minted).toEqual(['signed.token.here']);
      expect(there).toBe(1);
      expect(signed).toEqual([write.mint(id)]);
    });

    it('signs nothing for an append it refuses', async () => {
      const id = write.id();
      const entry = write.issuance(id, { epoch: 5 }, { mint: write.mint(id) });
      await refusedWith(append({ ...asking(entry), epoch: 5 }), 'stale', 'stale');
      expect(signed).toEqual([]);
    });

    it('records and signs nothing that the writer may not have signed', async () => {
      const id = write.id();
      allowed = false;
      await refusedWith(append(asking(write.issuance(id, {}, { mint: write.mint(id) }))), 'denied', 'mint_not_yours');
      expect(signed).toEqual([]);
      expect(await ledger.issuance(id, soon())).toEqual([]);
    });

    it('signs again for the same bytes within 30 s, and never after', async () => {
      const id = write.id();
      const request = asking(write.issuance(id, {}, { mint: write.mint(id) }));
      await append(request);
      expect((await append(request)).minted).toEqual(['signed.token.here']);
      clock.at += 31_000;
      expect((await append(request)).minted).toEqual([null]);
      expect(signed).toHaveLength(2);
    });

    it('does not sign again what was revoked', async () => {
      const id = write.id();
      const request = asking(write.issuance(id, {}, { mint: write.mint(id) }));
      await append(request);
      await append(asking(write.revocation(id)));
      expect((await append(request)).minted).toEqual([null]);
    });

    it('records a failure itself when it could not sign', async () => {
      const id = write.id();
      signing = () => Promise.reject(new Error('no signer'));
      await refusedWith(
        append(asking(write.issuance(id, {}, { mint: write.mint(id) }))),
        'ledger_unavailable',
        'mint_failed',
      );
      const story = (await ledger.issuance(id, soon())).map((entry) => parseRecord(entry.record));
      expect(story.map(({ type, reason }) => [type, reason])).toEqual([
        ['issuance', undefined],
        ['failure', 'mint_failed'],
      ]);
    });

    it('tells the records of one issuance, oldest first, with disclosures', async () => {
      const id = write.id();
      const entries = [write.intent(id), write.issuance(id), write.revocation(id)];
      for (const entry of entries) await append(asking(entry));
      const story = await ledger.issuance(id, soon());
      expect(story.map(({ record, disclosure }) => ({ record, disclosure }))).toEqual(entries);
      expect(await ledger.issuance(write.id(), soon())).toEqual([]);
    });

    it('tells which intents have no outcome, and which made accounts are past expiry', async () => {
      const [open, failed, done] = [write.id(), write.id(), write.id()];
      await append(asking(write.intent(open), write.intent(failed), write.intent(done)));
      await append(asking(write.failure(failed), write.issuance(done)));
      await issue();
      const about = async (state: 'open' | 'expired') =>
        (await ledger.pending(state, soon())).map(({ record }) => parseRecord(record)).map((r) => r.issuance ?? r.id);
      expect(await about('open')).toEqual([open]);
      expect(await about('expired')).toEqual([]);
      clock.at += 3_600_000;
      expect(await about('expired')).toEqual([done]);
      await append(asking(write.revocation(done)));
      expect(await about('expired')).toEqual([]);
    });

    it('keeps the log over a restart: old receipts again, new ones after', async () => {
      const once = digest('r');
      const request = { ...asking(write.issuance(write.id(), { once })), once };
      const first = await append(request);
      const size = await sizeNow();
      ledger = await under.restart();
      expect(await append(request)).toEqual(first);
      await refusedWith(append({ ...asking(write.issuance(write.id(), { once })), once }), 'replayed', 'replayed');
      if (!sharded) expect(await sizeNow()).toBe(size + 1);
    });

    it('refuses an append whose deadline has passed', async () => {
      await refusedWith(ledger.append(asking(write.denial()), soon(-60_000)), 'ledger_unavailable', 'timeout');
    });

    it('is ready', async () => {
      await ledger.ready(soon());
    });

    it('refuses an empty append, and one of more than 256 records', async () => {
      await refusedWith(append(asking()), 'invalid_request', 'records_number');
      const many = Array.from({ length: 257 }, () => write.denial());
      await refusedWith(append(asking(...many)), 'invalid_request', 'records_number');
    });

    it.runIf(local)('lets nobody from outside begin or end a key in its own name', async () => {
      const { accept } = ledger;
      if (accept === undefined) return;
      const facts = { purpose: 'assertions', kid: 'k', jwk: { kty: 'EC', kid: 'k' } };
      for (const state of ['begin', 'end']) {
        const forged = asking(write.write('key', { ...facts, state }, null));
        const rights = { name: writer.name, types: brokerTypes, mint: [] };
        await refusedWith(accept(forged, rights, soon()), 'invalid_request', 'type_not_allowed');
        const theirs = scribe(clock, otherWriter).write('key', { ...facts, state }, null);
        await accept(asking(theirs), { ...rights, name: otherWriter.name }, soon());
      }
      if (ledger.ownKeys !== undefined) expect(await ledger.ownKeys.list(0, soon())).toEqual([]);
    });

    it.runIf(local)('takes the append of another writer with its own rights only', async () => {
      const accept = ledger.accept;
      if (accept === undefined) return;
      const theirs = scribe(clock, otherWriter);
      const rights = { name: otherWriter.name, types: brokerTypes, mint: [] };
      const id = theirs.id();
      await verify(await accept(asking(theirs.intent(id)), rights, soon()));
      await refusedWith(accept(asking(write.denial()), rights, soon()), 'invalid_request', 'wrong_writer');
      await refusedWith(
        accept(asking(theirs.lockdown('add', 'all', 1)), rights, soon()),
        'invalid_request',
        'type_not_allowed',
      );
      const ours = write.id();
      await append(asking(write.intent(ours)));
      await refusedWith(accept(asking(theirs.failure(ours)), rights, soon()), 'invalid_request', 'other_writer');
      expect(await ledger.issuance(ours, soon(), otherWriter.name)).toEqual([]);
      expect(
        (await ledger.pending('open', soon(), { writer: otherWriter.name })).map(
          ({ record }) => parseRecord(record).issuance,
        ),
      ).toEqual([id]);
      expect(new Set(await pendingIds('open', { writer: everyWriter }))).toEqual(new Set([id, ours]));
      expect(await ledger.issuance(id, soon(), everyWriter)).toHaveLength(1);
      expect(await ledger.issuance(id, soon())).toEqual([]);
    });

    describe('a roll', () => {
      const roll = async () => {
        if (under.roll !== undefined) return under.roll();
        for (const one of ledger.shards ?? [ledger]) await one.roll?.({}, soon());
      };

      it('gives the first receipt again of what was appended before it, and new ones of the next log that verify', async () => {
        const request = asking(write.issuance(write.id()));
        const before = await append(request);
        await roll();
        const after = await issue();
        await verify(after);
        if (!sharded) expect(after.receipts[0]?.log).toBe(`${before.receipts[0]?.log}~2`);
        expect(await append(request)).toEqual(before);
        await verify(before);
        ledger = await under.restart();
        expect(await append(request)).toEqual(before);
        await roll();
        await verify(await issue());
      });

      it('forgets no replay key, open intent, lease that counts, or policy', async () => {
        const once = digest('o');
        const [open, held] = [write.id(), write.id()];
        const max = { holder: digest('h'), most: 1 };
        const intent = { ...asking(write.intent(open, { once })), once };
        const { receipts } = await append(intent);
        await append({ ...asking(write.intent(held)), max });
        await roll();
        const error = await refusedWith(
          append({ ...asking(write.issuance(write.id(), { once })), once }),
          'replayed',
          reasons ? 'replayed' : '',
        );
        if (!sharded) expect(error.options.members).toEqual({ index: receipts[0]?.index });
        await expect(append({ ...asking(write.intent(write.id())), max })).rejects.toMatchObject({ reason: 'max' });
        expect(await pendingIds('open')).toEqual(expect.arrayContaining([open, held]));
        await verify(await append({ ...asking(write.issuance(open, { once })), once }));
        await refusedWith(append(asking(write.failure(open))), 'invalid_request', 'second_outcome');
        expect((await ledger.issuance(open, soon())).map(({ record }) => parseRecord(record).type)).toEqual([
          'intent',
          'issuance',
        ]);
        const policies = await ledger.reader?.list({ type: 'policy', limit: 10 }, soon());
        expect(policies ?? [1]).toHaveLength(1);
      });

      it.runIf(local)('lifts no lockdown and keeps the epoch', async () => {
        const lockdown = write.lockdown('add', 'issuer', 1, { issuer: 'shop' });
        await append(asking(lockdown));
        await roll();
        const error = await refusedWith(issue(), 'stale', 'stale');
        const { id } = parseRecord(lockdown.record);
        expect(error.options.members).toEqual({ epoch: 1, lockdowns: [{ id, epoch: 1, match: { issuer: 'shop' } }] });
        await append({ ...asking(write.lockdown('lift', id, 2)), epoch: 1 });
      });

      it('comes in the midst of appends and loses none', async () => {
        const ids = Array.from({ length: 60 }, () => write.id());
        const results = await Promise.all([
          ...ids.slice(0, 30).map((id) => issue(id)),
          roll().then(() => undefined),
          ...ids.slice(30).map((id) => issue(id)),
        ]);
        for (const result of results) if (result !== undefined) await verify(result);
        for (const id of ids) expect(await ledger.issuance(id, soon())).toHaveLength(1);
      });
    });

    describe('leases that ended and are not known to be gone', () => {
      const landed = async () => {
        const id = write.id();
        await append(asking(write.intent(id)));
        await issue(id);
        return id;
      };
      const revoke = (id: string, reason: string) => append(asking(write.revocation(id, { reason })));

      it.each(['requested', 'ordered', 'abandoned'])('are those revoked as %s, until they are done', async (reason) => {
        const id = await landed();
        expect(await pendingIds('unrevoked')).toEqual([]);
        await revoke(id, reason);
        expect(await pendingIds('unrevoked')).toEqual([id]);
        ledger = await under.restart();
        expect(await pendingIds('unrevoked')).toEqual([id]);
        await revoke(id, 'done');
        expect(await pendingIds('unrevoked')).toEqual([]);
      });

      it('are intents given up by another, but not those that failed by themselves', async () => {
        const [given, failed] = [write.id(), write.id()];
        for (const id of [given, failed]) await append(asking(write.intent(id)));
        await append(asking(write.failure(given, { reason: 'abandoned' })));
        await append(asking(write.failure(failed)));
        const entries = await ledger.pending('unrevoked', soon());
        expect(entries.map(({ record }) => parseRecord(record).type)).toEqual(['intent']);
        expect(await pendingIds('unrevoked')).toEqual([given]);
        await revoke(given, 'done');
        expect(await pendingIds('unrevoked')).toEqual([]);
      });

      it('are not those that expired and were found gone, which leave `expired` with one record', async () => {
        const id = await landed();
        clock.at += 700_000;
        expect(await pendingIds('expired')).toEqual([id]);
        await revoke(id, 'expired');
        expect(await pendingIds('expired')).toEqual([]);
        expect(await pendingIds('unrevoked')).toEqual([]);
        await refusedWith(revoke(id, 'expired'), 'invalid_request', 'already_done');
      });

      it('are told of once an hour, and once they are done no more', async () => {
        const id = await landed();
        clock.at += 700_000;
        await revoke(id, 'unrevoked');
        expect(await pendingIds('expired')).toEqual([]);
        expect(await pendingIds('unrevoked')).toEqual([id]);
        clock.at += 3_599_000;
        await refusedWith(revoke(id, 'unrevoked'), 'invalid_request', 'already_told');
        ledger = await under.restart();
        await refusedWith(revoke(id, 'unrevoked'), 'invalid_request', 'already_told');
        clock.at += 1_000;
        await revoke(id, 'unrevoked');
        await revoke(id, 'done');
        clock.at += 3_600_000;
        await refusedWith(revoke(id, 'unrevoked'), 'invalid_request', 'already_done');
        await refusedWith(revoke(id, 'done'), 'invalid_request', 'already_done');
      });

      it('take no outcome and no renewal any more', async () => {
        const id = await landed();
        await revoke(id, 'requested');
        await refusedWith(append(asking(renewal(id, 600))), 'invalid_request', 'ended');
      });

      it('come in pages', async () => {
        const ids: string[] = [];
        for (let at = 0; at < 105; at++) ids.push(write.id());
        for (const id of ids) await append(asking(write.intent(id)));
        const first = await ledger.pending('open', soon(), { after: -1 });
        expect(first).toHaveLength(100);
        const told = first.map(({ record }) => issuanceOf(parseRecord(record)));
        told.push(...(await pendingIds('open', { after: first.at(-1)?.index })));
        if (!sharded) expect(told).toEqual(ids);
        else expect(told.sort()).toEqual(ids.sort());
      });

      it('know no lease without an issuance: `done` of nothing is refused', async () => {
        await refusedWith(revoke(write.id(), 'done'), 'invalid_request', 'unknown_issuance');
      });

      it('expire when their newest renewal says so', async () => {
        const id = await landed();
        clock.at += 500_000;
        await append(asking(renewal(id, 600)));
        clock.at += 500_000;
        expect(await pendingIds('expired')).toEqual([]);
        clock.at += 101_000;
        expect(await pendingIds('expired')).toEqual([id]);
      });
    });

    describe('max', () => {
      const holder = digest('h');
      const asked = (most: number, ...entries: RecordText[]) =>
        append({ ...asking(...entries), max: { holder, most } });
      const begin = (most: number, id = write.id()) => asked(most, write.intent(id));

      it('is never passed by 100 at once, and counts what is undone no more', async () => {
        const ids = Array.from({ length: 100 }, () => write.id());
        const outcomes = await Promise.allSettled(ids.map((id) => begin(7, id)));
        const in_ = ids.filter((_, at) => outcomes[at]?.status === 'fulfilled');
        expect(in_).toHaveLength(7);
        for (const outcome of outcomes)
          if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'denied', reason: 'max' });
        ledger = await under.restart();
        await expect(begin(7)).rejects.toMatchObject({ code: 'denied', reason: 'max' });
        await append(asking(write.failure(in_[0] as string)));
        const id = write.id();
        await begin(7, id);
        await asked(7, write.issuance(id));
        await expect(begin(7)).rejects.toMatchObject({ code: 'denied', reason: 'max' });
        await append(asking(write.revocation(id)));
        await expect(begin(7)).rejects.toMatchObject({ code: 'denied', reason: 'max' });
        await append(asking(write.revocation(id, { reason: 'done' })));
        await begin(7);
      });

      it('counts by the names under older keys too', async () => {
        const max = { holder: digest('i'), former: [holder], most: 2 };
        await begin(2);
        await append({ ...asking(write.intent(write.id())), max });
        await expect(append({ ...asking(write.intent(write.id())), max })).rejects.toMatchObject({ reason: 'max' });
      });

      it('counts what nothing ends early until it expires, though it is revoked, and is so passed by nobody', async () => {
        const id = write.id();
        await asked(1, write.issuance(id));
        for (const reason of ['requested', 'ordered', 'unrevoked']) {
          await append(asking(write.revocation(id, { reason })));
          await expect(asked(1, write.issuance(write.id()))).rejects.toMatchObject({ reason: 'max' });
        }
        clock.at += 600_000;
        await asked(1, write.issuance(write.id()));
      });

      it.each(['done', 'expired', 'abandoned'])(
        'counts what was never made at a target no more once it is told to be %s',
        async (reason) => {
          const id = write.id();
          await asked(1, write.issuance(id));
          await append(asking(write.revocation(id, { reason })));
          await asked(1, write.issuance(write.id()));
        },
      );

      it('counts a lease until it expires, and a renewed one longer', async () => {
        const [renewed, other] = [write.id(), write.id()];
        for (const id of [renewed, other]) {
          await begin(2, id);
          await issue(id);
        }
        clock.at += 500_000;
        await append(asking(renewal(renewed, 600)));
        clock.at += 99_000;
        await expect(begin(2)).rejects.toMatchObject({ reason: 'max' });
        clock.at += 1_000;
        await begin(2);
        await expect(begin(2)).rejects.toMatchObject({ reason: 'max' });
      });

      it('counts a lease of two crossing renewals until the later end, and lists it as expired only then', async () => {
        const id = write.id();
        await begin(1, id);
        await issue(id);
        clock.at += 500_000;
        for (const ttl of [600, 300]) await append(asking(renewal(id, ttl)));
        clock.at += 599_000;
        await expect(begin(1)).rejects.toMatchObject({ reason: 'max' });
        expect(await pendingIds('expired')).toEqual([]);
        clock.at += 2_000;
        await begin(1);
        expect(await pendingIds('expired')).toEqual([id]);
      });

      it('counts what has one record alone, each holder and each credential apart', async () => {
        await asked(1, write.issuance(write.id()));
        await expect(asked(1, write.issuance(write.id()))).rejects.toMatchObject({ code: 'denied', reason: 'max' });
        await asked(1, write.issuance(write.id(), { credential: 'other-db' }));
        await append({ ...asking(write.issuance(write.id())), max: { holder: digest('i'), most: 1 } });
        await issue();
      });

      it('takes all of one append or none', async () => {
        const many = [0, 1, 2].map(() => write.intent(write.id()));
        await expect(asked(2, ...many)).rejects.toMatchObject({ reason: 'max' });
        expect(await pendingIds('open')).toEqual([]);
        await asked(2, ...many.slice(1));
      });

      it('gives the first receipt again when it is reached', async () => {
        const request = { ...asking(write.intent(write.id())), max: { holder, most: 1 } };
        const first = await append(request);
        expect(await append(request)).toEqual(first);
      });

      it('refuses what is no holder or no number', async () => {
        const request = asking(write.intent(write.id()));
        for (const max of [
          { holder: 'short', most: 1 },
          { holder, most: 0 },
          { holder, most: 1.5 },
          { holder, former: ['short'], most: 1 },
          { holder, former: Array(17).fill(holder), most: 1 },
        ])
          expect((await refusal(append({ ...request, max }))).code).toBe('invalid_request');
      });
    });
  });
}
