import type { LogReader } from '../ledger/ledger.ts';
import { type LedgerRecord, parseRecord } from '../ledger/records/record.ts';
import { sha256 } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import { parseInstant } from '../lib/time.ts';
import { newUlid } from '../lib/ulid.ts';

/** How many of the newest rotation records of each log are looked at. */
const most = 500;

/** A rotation that was about to write, and of which nothing more is recorded. */
export interface CutShort {
  readonly credential: string;
  /** Of the record that says how it ended: the same whoever writes it, so that it is written once. */
  readonly id: string;
}

/** Those of a writer whose last record is `tried` and older than `ageMs`: no request can be at them any more. */
export async function findCutShort(
  lists: readonly LogReader['list'][],
  { writer, now, ageMs }: { readonly writer: string; readonly now: number; readonly ageMs: number },
  deadline: Deadline,
): Promise<readonly CutShort[]> {
  const pages = await Promise.all(lists.map((list) => list({ type: 'rotation', limit: most }, deadline)));
  const last = new Map<string, LedgerRecord>();
  for (const { record } of pages.flat()) {
    const one = parseRecord(record);
    const { credential = '' } = one;
    const other = last.get(credential);
    if (one.writer.name === writer && (other === undefined || isLater(one, other))) last.set(credential, one);
  }
  return [...last]
    .filter(([, { step, time }]) => step === 'tried' && now - (parseInstant(time) as number) > ageMs)
    .map(([credential, { id, time }]) => ({
      credential,
      id: newUlid(parseInstant(time) as number, (bytes) => sha256(`cut short ${id}`).subarray(0, bytes)),
    }));
}

const steps = ['started', 'set', 'tried', 'current', 'failed'];

/** In several logs only the times tell; of one millisecond the steps do. */
const isLater = (one: LedgerRecord, other: LedgerRecord): boolean =>
  one.time > other.time ||
  (one.time === other.time && steps.indexOf(String(one.step)) > steps.indexOf(String(other.step)));
