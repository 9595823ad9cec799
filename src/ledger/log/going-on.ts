import { deadlineIn } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { Copied } from '../following.ts';
import { originOf } from '../generation.ts';
import type { LogReader, Rolled, RollRequest } from '../ledger.ts';
import { logNamed } from '../log-name.ts';
import { type Change, type Found, TooMuch, type Wanted } from '../log-store.ts';
import { closingOf } from '../receipts/succession.ts';
import { parseRecord } from '../records/record.ts';
import { type Checkpoint, openCheckpoint } from '../tree/checkpoint.ts';
import { NoteError, type NoteVerifier } from '../tree/note.ts';
import { endOf } from './draft.ts';
import { invalid } from './examine.ts';
import { storeTime, untilLanded } from './landing.ts';
import type { LogParts } from './parts.ts';
import { wantedBy } from './plan.ts';
import { CopyError, halvesOf, replayOf, wantedByCopy } from './replay.ts';
import { claimOf, type RollContext, rollOf } from './roll.ts';

/** The commits that a log makes of itself. None of them may run beside another, nor beside an append. */
export interface LogGoingOn {
  roll(request: RollRequest): Promise<Rolled>;
  /** @throws Refusal invalid_request */
  claim(note: string): Promise<void>;
  /** Resolves with the position after the last entry. @throws Refusal invalid_request `copy` */
  adopt(copied: Copied): Promise<number>;
}

export function openGoingOn(parts: LogParts, reader: Pick<LogReader, 'succession'>): LogGoingOn {
  const { store, signer, signers, head, now, random, writer } = parts;
  const { name: origin } = signer;
  const rolling = (): RollContext => ({ now: now(), random, writer, origin, signers });

  /** Planned on the newest head until it lands; false where nothing was to be done. */
  async function commit(
    planned: (found: Found) => Change | undefined | Promise<Change | undefined>,
    wanted: Wanted = wantedBy([], { keyRecords: [], writer, now: now() }),
  ): Promise<boolean> {
    if (head.suspect) await head.recover();
    return untilLanded(
      parts,
      async (deadline) => {
        const found = head.trusted(await store.find({ ...wanted, known: head.newest }, deadline));
        const change = await planned(found);
        if (change === undefined) return false;
        await store.commit(change, deadline);
        head.landed(change.head);
        return true;
      },
      fault,
    );
  }

  function fault(error: unknown): void {
    if (!(error instanceof Refusal || error instanceof TooMuch || error instanceof CopyError)) head.doubt();
  }

  async function roll({ generation, ...how }: RollRequest): Promise<Rolled> {
    let closing = generation;
    const done = await commit(({ head: newest }) => {
      closing ??= newest.generation;
      return closing === newest.generation ? rollOf(newest, how, rolling()) : undefined;
    });
    return { log: originOf(origin, head.newest.generation), generation: head.newest.generation, done };
  }

  async function claim(note: string): Promise<void> {
    await commit(async ({ head: newest }) => {
      const named = logNamed(origin, note.slice(0, note.indexOf('\n')));
      const generation = newest.generation - 1;
      if (named?.generation !== generation || named.shard !== undefined) throw invalid('not_the_log_before');
      const checkpoint = openOrRefuse(signers.of(generation).verifier, note);
      const known = (await reader.succession(generation, deadlineIn(storeTime, now)))
        .map(({ record }) => closingOf(parseRecord(record)))
        .filter((closing) => closing !== undefined);
      const kept = newest.ended.at(-1)?.size ?? 0;
      // What ended in peace has no larger tree: one would be another log under the same name.
      if (parseRecord((await store.entries(newest.base, newest.base + 1))[0]?.record ?? '').kept === undefined)
        throw invalid('ended_in_peace');
      if (known.some(({ size }) => size >= checkpoint.size)) return undefined;
      return claimOf(newest, checkpoint, kept, rolling());
    });
  }

  async function adopt(copied: Copied): Promise<number> {
    try {
      await commit(
        (found) => (copied.from < endOf(found.head) ? undefined : replayOf(found, copied, signers, now())),
        wantedByCopy(copied, now()),
      );
    } catch (error) {
      if (error instanceof CopyError || error instanceof NoteError) throw invalid('copy', error.message);
      // By then the whole was found to be right.
      if (error instanceof TooMuch && copied.entries.length > 1) {
        const [first, second] = halvesOf(copied);
        await adopt(first);
        return adopt(second);
      }
      throw error;
    }
    return endOf(head.newest);
  }

  return { roll, claim, adopt };
}

function openOrRefuse(verifier: NoteVerifier, note: string): Checkpoint {
  try {
    return openCheckpoint(verifier, note);
  } catch {
    throw invalid('checkpoint');
  }
}
