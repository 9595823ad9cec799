import { before, type Deadline } from '../lib/deadline.ts';
import { parseDuration } from '../lib/time.ts';
import { UpstreamError } from '../lib/upstream.ts';
import type { Carry, Route } from './courier.ts';
import { checkpointCursor, cursorName, writeCursor } from './cursor.ts';
import { isForGood } from './other.ts';

/** At most this often, where the config says nothing, milliseconds. */
const usualMs = 60_000;
const publishMs = 15_000;
/** Of that, what is left for whoever does not keep to it. */
const graceMs = 250;

/** Carries the newest checkpoint now and then, and never an older one than before. */
export function carryCheckpoints({ sink, settings, source, open, now }: Route): Carry {
  const everyMs = (parseDuration(settings.every ?? '') ?? usualMs / 1000) * 1000;
  const name = cursorName(sink);

  return async (deadline: Deadline, tell) => {
    const text = await source.texts.read(name, deadline);
    const cursor = checkpointCursor(text);
    const [first, ...later] = await source.checkpoints(cursor?.end ?? 0, deadline);
    if (first === undefined) {
      tell({ records: 0, seconds: 0 });
      return 'idle';
    }
    const { end, ...checkpoint } = first;
    const records = (later.at(-1) ?? first).end - (cursor?.end ?? 0);
    const age = cursor === undefined ? 0 : Math.max(0, now() - cursor.at);
    tell({ records, seconds: age / 1000 });
    // The last one of a closed log, and the first of its successor, wait for nothing.
    const grows = later.length === 0 && cursor?.log === first.log;
    if (grows && age < everyMs && cursor.at <= now()) return 'idle';
    const known = cursor?.log === checkpoint.log ? cursor.size : 0;
    const { log, size } = checkpoint;
    const passed = () => ({ end, at: now(), log, size });
    const until = deadline.within(publishMs);
    const opened = await open();
    const answer = await before(
      until,
      () => new UpstreamError('slow', { step: 'deliver', reason: 'timeout' }),
      async () => ({ note: await opened.publish?.({ ...checkpoint, known }, until.within(publishMs, graceMs)) }),
    ).catch(async (error) => {
      if (!isForGood(error)) throw error;
      // What another process brought meanwhile is more than was read here, and no more than there is.
      if (error.facts.reason === 'witness_is_ahead' && (await source.texts.read(name, deadline)) !== text)
        return undefined;
      // A log that ended has no other tree to show: that is told, and its successor does not wait for it.
      if (later.length > 0) await source.texts.write(name, text, writeCursor(passed()), deadline);
      throw error;
    });
    if (answer === undefined) return 'aside';
    const { note } = answer;
    const taken = { ...passed(), ...(note !== undefined && { note }) };
    const moved = await source.texts.write(name, text, writeCursor(taken), deadline);
    if (!moved) return 'aside';
    // A log that was closed is followed by its successor at once.
    if (later.length > 0) return 'moved';
    tell({ records: 0, seconds: 0 });
    return 'idle';
  };
}
