import { concat } from '../lib/bytes.ts';

/**
 * A P-256 signature as JWS wants it, r || s in 32 bytes each (RFC 7518 section 3.4), from the DER that key services give
 * (RFC 3279 section 2.2.3); undefined for anything but exactly that.
 */
export function rawFromDer(der: Uint8Array): Uint8Array | undefined {
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return undefined;
  const r = integerAt(der, 2);
  const s = r && integerAt(der, r.end);
  if (r === undefined || s === undefined || s.end !== der.length) return undefined;
  return concat(r.bytes, s.bytes);
}

/** A positive INTEGER of at most 32 bytes, in its one shortest form (X.690 section 8.3), as 32 bytes. */
function integerAt(der: Uint8Array, at: number): { readonly bytes: Uint8Array; readonly end: number } | undefined {
  const length = der[at + 1] ?? 0;
  const end = at + 2 + length;
  const [first = 0x80, second = 0] = der.subarray(at + 2, end);
  const shortest = first !== 0 || (length > 1 && second >= 0x80);
  if (der[at] !== 0x02 || length === 0 || end > der.length || first >= 0x80 || !shortest) return undefined;
  const digits = der.subarray(first === 0 ? at + 3 : at + 2, end);
  if (digits.length > 32) return undefined;
  return { bytes: concat(new Uint8Array(32 - digits.length), digits), end };
}
