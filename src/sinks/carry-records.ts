import { before, type Deadline } from '../lib/deadline.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { parseDuration } from '../lib/time.ts';
import { UpstreamError } from '../lib/upstream.ts';
import type { Carry, Route } from './courier.ts';
import { cursorName, recordCursor, writeCursor } from './cursor.ts';
import { recordOf, type SinkEntry } from './entry.ts';
import type { Sink } from './sink.ts';

/** Characters of records and disclosures in one delivery; a single entry may be as large as it is. */
const maxChars = 900_000;
/** For one delivery, milliseconds. */
const deliverMs = 20_000;
/** Of that, what is left for whoever does not keep to it. */
const graceMs = 250;
const usualBatch = 1_000;

interface Piece {
  readonly from: number;
  readonly to: number;
}

/** Carries records in order: what lies at a position is delivered before the cursor passes it. */
export function carryRecords({ sink, settings, source, open, now }: Route, log: OperatorLog): Carry {
  const { batch = usualBatch, types, disclosures = false, since } = settings;
  const lingerMs = (parseDuration(settings.every ?? '') ?? 0) * 1000;
  const only = types && new Set(types);
  const name = cursorName(sink);
  /** Entries in one delivery: fewer once the other side has found as many too large. */
  let most = batch;
  /** What is tried again after a failure is the same piece, though more has come. */
  let tried: Piece | undefined;

  const wanted = (entries: readonly SinkEntry[]): SinkEntry[] =>
    (only === undefined ? entries : entries.filter((entry) => only.has(recordOf(entry).type))).map((entry) =>
      disclosures ? entry : { ...entry, disclosure: null },
    );

  async function deliver(sink: Sink, entries: readonly SinkEntry[], deadline: Deadline): Promise<void> {
    const until = deadline.within(deliverMs);
    try {
      // A disk or a pipe may hang, and none of them may keep the courier for ever.
      const late = () => new UpstreamError('slow', { step: 'deliver', reason: 'timeout' });
      await before(until, late, async () => sink.deliver?.(entries, until.within(deliverMs, graceMs)));
    } catch (error) {
      const tooLarge = error instanceof UpstreamError && error.facts.status === 413;
      if (tooLarge && entries.length > 1) {
        most = Math.max(1, Math.floor(entries.length / 2));
        tried = undefined;
      }
      throw error;
    }
  }

  return async (deadline: Deadline, tell) => {
    const text = await source.texts.read(name, deadline);
    const end = await source.end(deadline);
    const cursor = recordCursor(text);
    const begin = async () => (since === 'now' ? ((await source.begin?.(deadline)) ?? end) : 0);
    const next = cursor?.next ?? (await begin());
    if (next >= end) {
      tell({ records: 0, seconds: 0 });
      if (cursor !== undefined || since !== 'now') return 'idle';
      // From now on is from the first time that it was asked.
      return (await source.texts.write(name, text, writeCursor({ next }), deadline)) ? 'idle' : 'aside';
    }
    const to = tried?.from === next ? tried.to : Math.min(end, next + most);
    const entries = await source.entries(next, to, deadline);
    const age = ageOf(entries, now());
    tell({ records: end - next, seconds: age / 1000 });
    const opened = await open();
    const found = bounded(entries, opened.mostChars);
    const full = found.length >= most || found.length < to - next;
    if (!full && tried === undefined && age < lingerMs) return 'idle';
    const after = (found.at(-1)?.index ?? to - 1) + 1;
    if (found.length < after - next)
      log('warn', 'sink_gap', { sink, log: source.name, index: next, count: after - next - found.length });
    tried = { from: next, to: after };
    const chosen = wanted(found);
    if (chosen.length > 0) await deliver(opened, chosen, deadline);
    const moved = await source.texts.write(name, text, writeCursor({ next: after }), deadline);
    tried = undefined;
    if (!moved) return 'aside';
    if (after === end) tell({ records: 0, seconds: 0 });
    return after === end || opened.mostChars !== undefined ? 'idle' : 'moved';
  };
}

function bounded(entries: readonly SinkEntry[], most = maxChars): readonly SinkEntry[] {
  let chars = 0;
  const tooMany = entries.findIndex(({ record, disclosure }) => {
    chars += record.length + (disclosure?.length ?? 0);
    return chars > most;
  });
  return tooMany < 0 ? entries : entries.slice(0, Math.max(1, tooMany));
}

function ageOf([first]: readonly SinkEntry[], now: number): number {
  return first === undefined ? 0 : Math.max(0, now - Date.parse(recordOf(first).time));
}
