import { fromBase64Url, toHex } from '../lib/bytes.ts';
import { thumbprint } from '../lib/thumbprint.ts';

/** A caller's public P-256 key, checked, to which what is handed over is encrypted. */
export interface SealKey {
  readonly jwk: { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string };
  /** RFC 7638 SHA-256, base64url: what a grant pins, and the `kid` of the JWE. */
  readonly thumbprint: string;
}

// P-256: y² = x³ - 3x + b over p (NIST SP 800-186 section 3.2.1.3).
const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

/**
 * The key with these coordinates (base64url of 32 bytes each); undefined for a point that is not on the curve, to which
 * encrypting would give away the ephemeral key's share of the secret (RFC 8725 section 3.4). Reckoned here, as runtimes
 * differ in when they check. The group has no small subgroup, so a point on the curve is a good one.
 */
export function readSealKey(x: string, y: string): SealKey | undefined {
  const [x1, y1] = [coordinate(x), coordinate(y)];
  if (x1 === undefined || y1 === undefined) return undefined;
  if ((y1 * y1 - (x1 * x1 * x1 - 3n * x1 + b)) % p !== 0n) return undefined;
  const jwk = { kty: 'EC', crv: 'P-256', x, y } as const;
  return { jwk, thumbprint: thumbprint(jwk) };
}

function coordinate(text: string): bigint | undefined {
  const bytes = fromBase64Url(text);
  if (bytes?.length !== 32) return undefined;
  const value = BigInt(`0x${toHex(bytes)}`);
  return value < p ? value : undefined;
}
