/** The serial numbers that a text may be, as an auditor copies them: bare, with what stands before them in a print, or in brackets. */
const before = /^["(]?\s*(?:serial(?:\s?number)?\s*[=:]?\s*)?\[?/i;
/** Both readings, as OpenSSL prints one of 64 bits. */
const both = /^[1-9][0-9]*\s*\((0x[0-9a-f]+)\)$/i;

function digitsOf(text: string): string {
  const bare = text.trim().replace(before, '');
  return (both.exec(bare)?.[1] ?? bare).replace(/["\])]$/, '').replace(/[\s:-]/g, '');
}

/** A certificate's serial number as records have it, however it was printed; of plain digits both readings. */
export function certificateSerials(text: string): string[] {
  const digits = digitsOf(text).replace(/^0x/i, '');
  if (!/^[0-9A-Fa-f]{2,64}$/.test(digits)) return [];
  return [digits, ...(/^[1-9][0-9]*$/.test(digits) ? [BigInt(digits).toString(16)] : [])].map(wholeBytes);
}

function wholeBytes(digits: string): string {
  const plain = digits.toUpperCase().replace(/^(00)+/, '');
  return plain.length % 2 === 0 ? plain : `0${plain}`;
}

/** The serial number of an SSH certificate, which is decimal: 64 bits. */
export function sshSerial(text: string): bigint | undefined {
  const digits = digitsOf(text);
  if (!/^[1-9][0-9]{0,19}$/.test(digits)) return undefined;
  const serial = BigInt(digits);
  return serial === BigInt.asUintN(64, serial) ? serial : undefined;
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** Whether an SSH certificate of this issuance has this serial number: the last 64 bits of the id. */
export const isSerialOf = (serial: bigint, issuance: string): boolean =>
  BigInt.asUintN(
    64,
    [...issuance].reduce((number, digit) => number * 32n + BigInt(alphabet.indexOf(digit)), 0n),
  ) === serial;
