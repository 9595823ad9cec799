import { fromUtf8 } from '../../lib/bytes.ts';
import { isJsonObject } from '../../lib/strict-json.ts';

/**
 * How many log records an answer (OTLP 1, ExportLogsServiceResponse) says were rejected: in JSON as it was asked, or in
 * protobuf, as some receivers answer all the same. Nothing at all is all of them taken; undefined: it is no such answer.
 */
export function rejectedIn(answer: Uint8Array): number | undefined {
  if (answer.length === 0) return 0;
  return rejectedInJson(answer) ?? rejectedInProtobuf(answer);
}

function rejectedInJson(answer: Uint8Array): number | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(answer));
    if (!isJsonObject(value)) return undefined;
    const { partialSuccess } = value;
    return isJsonObject(partialSuccess) ? Number(partialSuccess.rejectedLogRecords ?? 0) : 0;
  } catch {
    return undefined;
  }
}

/** Field 1 of it is the partial success; in that field 1 is the count, and 2 a text. */
function rejectedInProtobuf(answer: Uint8Array): number | undefined {
  const fields = fieldsIn(answer);
  if (fields === undefined) return undefined;
  let rejected = 0;
  for (const [field, value] of fields) {
    if (field !== 1 || typeof value === 'number') return undefined;
    const inner = fieldsIn(value);
    if (inner === undefined) return undefined;
    for (const [which, held] of inner) if (which === 1 && typeof held === 'number') rejected = held;
  }
  return rejected;
}

/** Its fields that are numbers or have a length; undefined where it has others, or ends in the midst of one. */
function fieldsIn(bytes: Uint8Array): [field: number, value: number | Uint8Array][] | undefined {
  const found: [number, number | Uint8Array][] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = varintAt(bytes, at);
    const value = tag && varintAt(bytes, tag.next);
    if (tag === undefined || value === undefined) return undefined;
    const [field, type] = [Math.floor(tag.value / 8), tag.value % 8];
    if (type === 0) found.push([field, value.value]);
    else if (type === 2 && value.next + value.value <= bytes.length)
      found.push([field, bytes.subarray(value.next, value.next + value.value)]);
    else return undefined;
    at = type === 0 ? value.next : value.next + value.value;
  }
  return found;
}

function varintAt(bytes: Uint8Array, from: number): { readonly value: number; readonly next: number } | undefined {
  let value = 0;
  for (let at = from; at < bytes.length && at - from < 10; at++) {
    const byte = bytes[at] as number;
    value += (byte % 128) * 128 ** (at - from);
    if (byte < 128) return { value, next: at + 1 };
  }
  return undefined;
}
