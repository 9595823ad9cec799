const subgroupPrimes = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/**
 * ROCA (CVE-2017-15361): the moduli of the faulty library are powers of 65537 modulo every small prime. A sound key
 * looks so by chance less than once in 2^27.
 */
export const hasRocaFingerprint = (modulus: bigint): boolean =>
  subgroupPrimes.every((prime) => isPowerOf65537(Number(modulus % BigInt(prime)), prime));

function isPowerOf65537(residue: number, prime: number): boolean {
  let power = 1;
  do {
    if (power === residue) return true;
    power = (power * 65537) % prime;
  } while (power !== 1);
  return false;
}

// The y coordinates of Curve25519's points of order 1, 2, 4 and 8, little-endian, with their non-canonical twins.
const smallOrderPoints = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** An Ed25519 public key under which anybody can sign (RFC 8032 section 8.8 leaves the check to us). */
export function hasSmallOrder(publicKey: Uint8Array): boolean {
  const y = Buffer.from(publicKey);
  y[31] = (y[31] ?? 0) & 0x7f;
  return smallOrderPoints.has(y.toString('hex'));
}
