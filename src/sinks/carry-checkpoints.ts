import type { Deadline } from '../lib/deadline.ts';
import { parseDuration } from '../lib/time.ts';
import type { Carry, Route } from './courier.ts';
import { checkpointCursor, cursorName, writeCursor } from './cursor.ts';

/** At most this often, where the config says nothing, milliseconds. */
const usualMs = 60_000;
const publishMs = 15_000;

/** Carries the newest checkpoint now and then, and never an older one than before. */
export function carryCheckpoints({ sink, settings, source, open, now }: Route): Carry {
  const everyMs = (parseDuration(settings.every ?? '') ?? usualMs / 1000) * 1000;
  const name = cursorName(sink);

  return async (deadline: Deadline, tell) => {
    const text = await source.texts.read(name, deadline);
    const cursor = checkpointCursor(text);
    const { end, ...checkpoint } = await source.checkpoint(deadline);
    const records = end - (cursor?.end ?? 0);
    if (records <= 0) {
      tell({ records: 0, seconds: 0 });
      return 'idle';
    }
    const age = cursor === undefined ? 0 : Math.max(0, now() - cursor.at);
    tell({ records, seconds: age / 1000 });
    if (cursor !== undefined && age < everyMs && cursor.at <= now()) return 'idle';
    const known = cursor?.log === checkpoint.log ? cursor.size : 0;
    const note = await (await open()).publish?.({ ...checkpoint, known }, deadline.within(publishMs));
    const { log, size } = checkpoint;
    const taken = { end, at: now(), log, size, ...(note !== undefined && { note }) };
    const moved = await source.texts.write(name, text, writeCursor(taken), deadline);
    if (moved) tell({ records: 0, seconds: 0 });
    return moved ? 'idle' : 'aside';
  };
}
