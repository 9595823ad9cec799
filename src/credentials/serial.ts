const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** The 128 bits of an issuance id, as a number: positive, and below 2^127 until the year 6429. */
export const issuanceNumber = (ulid: string): bigint =>
  [...ulid].reduce((number, digit) => number * 32n + BigInt(alphabet.indexOf(digit)), 0n);

/** A serial number in hexadecimal as OpenSSL prints that of a certificate: capital letters, whole bytes. */
export function serialHex(number: bigint): string {
  const digits = number.toString(16).toUpperCase();
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}
