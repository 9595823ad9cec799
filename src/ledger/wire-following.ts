import { isJsonObject, type Json } from '../lib/strict-json.ts';
import { pledgeOf } from './confirming/pledge.ts';
import type { Copied, Followed } from './following.ts';
import { answer, garbage, isCount, isTextOrNull } from './wire.ts';

/** Reads the 200 of `GET /v1/log/follow`; what it holds is not verified. @throws Refusal ledger_unavailable */
export function decodeFollowed(body: Uint8Array): Followed {
  const { copied, checkpoint, pledge } = answer(body);
  if (typeof checkpoint !== 'string') throw garbage();
  const promised = pledge === undefined ? undefined : pledgeOf(pledge);
  if (pledge !== undefined && promised === undefined) throw garbage();
  return {
    copied: copied === null ? undefined : copiedIn(copied),
    checkpoint,
    ...(promised && { pledge: promised }),
  };
}

function copiedIn(value: Json | undefined): Copied {
  if (!isJsonObject(value)) throw garbage();
  const { generation, base, from, entries, checkpoints } = value;
  if (!isCount(generation) || !isCount(base) || !isCount(from)) throw garbage();
  if (!Array.isArray(entries) || !Array.isArray(checkpoints)) throw garbage();
  return {
    generation,
    base,
    from,
    entries: entries.map((entry) => {
      if (!isJsonObject(entry) || typeof entry.record !== 'string' || !isTextOrNull(entry.disclosure)) throw garbage();
      return { record: entry.record, disclosure: entry.disclosure };
    }),
    checkpoints: checkpoints.map((one) => {
      if (!isJsonObject(one) || !isCount(one.end) || typeof one.note !== 'string') throw garbage();
      return { end: one.end, note: one.note };
    }),
  };
}
