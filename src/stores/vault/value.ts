import { fromBase64, fromUtf8, toBase64 } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';

/**
 * The value of a KV secret, which is always a JSON object there. One with the single member `value`, a text, stands for
 * that text; one with the single member `value_base64` for those bytes; any other for its own JSON, of which a REF takes
 * a `field`.
 *
 * @throws UpstreamError invalid
 */
export function readValue(data: JsonObject): Secret {
  const [only, ...more] = Object.keys(data);
  const member = only === undefined || more.length > 0 ? undefined : data[only];
  if (only === 'value' && typeof member === 'string') return new Secret(member);
  const bytes = only === 'value_base64' && typeof member === 'string' ? fromBase64(member) : undefined;
  return new Secret(bytes ?? JSON.stringify(data, exact));
}

/** A number with more digits than we can hold is refused rather than handed out as another one. */
function exact(_: string, member: unknown): unknown {
  if (typeof member === 'number' && Math.abs(member) > Number.MAX_SAFE_INTEGER)
    throw new UpstreamError('invalid', { step: 'read', reason: 'number_too_large' });
  return member;
}

/** What `readValue` gives back byte for byte: text where the bytes are UTF-8, base64 where they are not. */
export function writeValue(value: Secret): JsonObject {
  const bytes = value.reveal();
  try {
    return { value: fromUtf8(bytes) };
  } catch {
    return { value_base64: toBase64(bytes) };
  }
}
