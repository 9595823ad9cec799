import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import type { OperatorLog } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { instant } from '../../lib/time.ts';
import { openWait } from '../../lib/wait.ts';
import type { Ledger } from '../ledger.ts';
import type { Book } from './book.ts';
import { type Disclosing, disclosing, type Judge, openJudge } from './erasable.ts';
import {
  type Erased,
  type Erasing,
  entriesAt,
  eraseAt,
  erasingOf,
  type Found,
  findErasable,
  mostErased,
  saidBy,
  settleErased,
} from './erasing.ts';
import type { RetentionRules } from './retain.ts';

export interface RetentionDeps {
  readonly ledger: Ledger;
  readonly book: Book;
  readonly rules: RetentionRules;
  /** How Hallpass itself stands in a record's disclosure. */
  readonly self: { readonly name: string; readonly iss: string; readonly subject: string };
  readonly limits: { readonly ledgerMs: number };
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly count: (name: string, labels: Readonly<Record<string, string>>, by?: number) => void;
}

export interface Retention {
  /**
   * One bounded pass: erases disclosures that are older than their type's `max`. Safe beside others and to be killed
   * anywhere. Rejects for nothing: what fails is logged, and comes again.
   */
  run(deadline: Deadline): Promise<void>;
}

/** How far a type has come in a log; kept beside it. */
interface Cursor {
  /** Everything below was erased, or is in `kept`. */
  readonly next: number;
  /** Positions that were old enough and had to be kept, to be looked at again. */
  readonly kept: readonly number[];
  /** Of the rules this was done under: under others it begins again. */
  readonly rules: string;
  /** When `kept` was last looked at, milliseconds. */
  readonly again: number;
  /** Until when another instance is at it, milliseconds; one that is killed leaves it. */
  readonly until?: number;
}

/** How long one pass begins batches of one log and type, one batch may take, and a claim is good for; milliseconds. */
const passMs = 5_000;
const eraseMs = 5_000;
const claimMs = 60_000;
/** Between two looks at a type that is up to date, and at what was kept; milliseconds. */
const lookMs = 600_000;
const againMs = 3_600_000;
const most = { entries: 20_000, ms: 2_000 } as const;
/** Positions remembered; beyond that a type waits for them. */
const mostKept = 1_000;

export function openRetention(deps: RetentionDeps): Retention {
  const { ledger, rules, limits, now } = deps;
  /** Whether it is time to look again at what is up to date. */
  const due = new Map<string, () => boolean>();

  async function append(count: number, about: JsonObject, deadline: Deadline): Promise<void> {
    const { book, self } = deps;
    const write = () => book.write('erasure', { count, epoch: book.epoch }, selfSubject(self, about));
    const once = () => book.append(write(), deadline.within(limits.ledgerMs));
    // Nothing was decided for it, so under the epoch just learnt it is as good.
    await once().catch((error) => (codeOf(error) === 'stale' ? once() : Promise.reject(error)));
  }

  /** One log and type: claims its cursor, erases batch after batch, puts the cursor back. True: up to date. */
  async function pass(log: Erasing, type: string, deadline: Deadline): Promise<boolean> {
    const name = `retain:${type}`;
    const time = () => deadline.within(limits.ledgerMs);
    const was = await log.texts.read(name, time());
    const cursor = cursorIn(was, rules.digest(type));
    // A claim lies no further ahead than it was good for, unless a clock was set back.
    const left = (cursor.until ?? 0) - now();
    if (left > 0 && left <= 2 * claimMs) return true;
    const claim = JSON.stringify({ ...cursor, until: now() + claimMs });
    if (!(await log.texts.write(name, was, claim, time()))) return true;
    // Whoever had it and did not put it back may have erased without seeing to what is left in the files.
    const done = await eraseDue(log, type, cursor, cursor.until !== undefined, deadline);
    const after: Cursor = { ...done.cursor, rules: cursor.rules };
    await log.texts.write(name, claim, JSON.stringify(after), time());
    return done.over;
  }

  async function eraseDue(log: Erasing, type: string, cursor: Cursor, unsettled: boolean, deadline: Deadline) {
    const judge = openJudge({ ledger, reader: log.reader, rules, now });
    const { max = Number.POSITIVE_INFINITY } = rules.of(type);
    const cutoff = now() - max;
    const budget = deadlineIn(passMs, now);
    // What was begun is ended, and takes its time.
    const hasTime = () => budget.left() > 0 && deadline.left() > eraseMs;
    const meant = (about: Disclosing) => (about.time > cutoff ? 'past' : isMeant(type, about));
    let { next, kept, again } = cursor;
    let erased = 0;
    let over = false;
    if (kept.length > 0 && Math.abs(now() - again) >= Math.min(againMs, max)) {
      const { still, ...found } = await lookAgain(log, kept, judge, deadline);
      erased += await erase(log, type, found, deadline);
      kept = still;
      again = now();
    }
    while (!over && hasTime() && kept.length + mostErased <= mostKept) {
      const look = { meant, judge, most, ledgerMs: limits.ledgerMs, now };
      const found = await findErasable(log, next, look, deadline);
      erased += await erase(log, type, found, deadline);
      // A hold ends with another config, and that begins again anyway.
      kept = [...kept, ...found.kept.filter(({ why }) => why !== 'hold').map(({ position }) => position)];
      ({ next, over } = found);
    }
    if (kept.length + mostErased > mostKept)
      deps.log('warn', 'retention_waits', { log: log.origin, kind: type, count: kept.length });
    if (erased > 0 || unsettled) await settleErased(log, deadline);
    return { cursor: { next, kept, rules: cursor.rules, again }, over };
  }

  // What Hallpass says of its own erasing is about nobody, and would be erased for ever after.
  const isMeant = (timed: string, { type, issuer }: Disclosing): boolean =>
    rules.covers(timed, type) && !(type === 'erasure' && issuer === 'self');

  async function lookAgain(log: Erasing, kept: readonly number[], judge: Judge, deadline: Deadline) {
    const positions: number[] = [];
    const said: Erased[] = [];
    const still: number[] = [];
    const time = () => deadline.within(limits.ledgerMs);
    for (const entry of await entriesAt(log, kept, time)) {
      const about = disclosing(entry);
      if (about === undefined) continue;
      const goes = positions.length < mostErased && (await judge.whyKept(about, time())) === undefined;
      (goes ? positions : still).push(entry.index);
      if (goes) said.push(...saidBy(about));
    }
    return { positions, said, still };
  }

  /** The record first: where this is killed in between, the next pass finds them again, and says so again. */
  async function erase(
    log: Erasing,
    type: string,
    { positions, said }: Pick<Found, 'positions' | 'said'>,
    deadline: Deadline,
  ): Promise<number> {
    if (positions.length === 0) return 0;
    const older = instant(now() - (rules.of(type).max ?? 0));
    await append(positions.length, { log: log.origin, type, older, positions: [...positions] }, deadline);
    for (const { log: origin, positions: again } of said)
      await append(again.length, { log: origin, positions: [...again] }, deadline);
    await eraseAt(log, positions, deadline.within(eraseMs));
    deps.count('hallpass_erased_total', { reason: 'retention' }, positions.length);
    deps.log('info', 'erased', { log: log.origin, kind: type, count: positions.length, reason: 'retention' });
    return positions.length;
  }

  return {
    async run(deadline) {
      for (const log of erasingOf(ledger)) {
        for (const type of rules.timed) {
          const key = `${log.origin} ${type}`;
          if (due.get(key)?.() === false || deadline.left() <= eraseMs) continue;
          try {
            const { max = lookMs } = rules.of(type);
            if (await pass(log, type, deadline)) due.set(key, openWait(Math.min(lookMs, max / 10), now));
          } catch (error) {
            deps.log('warn', 'retention_failed', {
              log: log.origin,
              kind: type,
              reason: error instanceof Refusal ? error.reason : 'internal',
            });
          }
        }
      }
    },
  };
}

const selfSubject = (self: RetentionDeps['self'], query: JsonObject) => ({
  issuer: 'self',
  disclosed: { ...self, why: 'retention', query },
});

/** Nothing that is there: from the beginning. A text that is no cursor is none, so that it holds nothing up. */
function cursorIn(text: string | undefined, rules: string): Cursor {
  const first: Cursor = { next: 0, kept: [], rules, again: 0 };
  try {
    const value: unknown = text === undefined ? undefined : JSON.parse(text);
    if (!isJsonObject(value) || typeof value.next !== 'number' || !Array.isArray(value.kept)) return first;
    const cursor = value as unknown as Cursor;
    if (cursor.rules === rules) return cursor;
    return cursor.until === undefined ? first : { ...first, until: cursor.until };
  } catch {
    return first;
  }
}

const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'internal');
