import { concat, toUtf8 } from '../lib/bytes.ts';
import { DerError, type DerValue, sequenceTag } from '../lib/der.ts';

/** Writes one value. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  const { length } = content;
  const digits = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  if (length > 0xffff) throw new DerError('too long');
  return concat(Uint8Array.of(tag, ...digits), content);
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(sequenceTag, ...parts);
export const octetString = (bytes: Uint8Array): Uint8Array => der(0x04, bytes);
export const bitString = (bytes: Uint8Array, unused = 0): Uint8Array => der(0x03, Uint8Array.of(unused), bytes);
export const utf8String = (text: string): Uint8Array => der(0x0c, toUtf8(text));

/** A number that is not negative. */
export function integer(number: bigint): Uint8Array {
  const digits = number.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return der(0x02, (bytes[0] as number) >= 0x80 ? concat(Uint8Array.of(0), bytes) : bytes);
}

/** A moment in whole seconds: UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5). */
export function time(seconds: number): Uint8Array {
  const digits = `${new Date(seconds * 1000).toISOString().slice(0, 19).replace(/[-T:]/g, '')}Z`;
  return digits < '2050' ? der(0x17, toUtf8(digits.slice(2))) : der(0x18, toUtf8(digits));
}

/** Seconds since the epoch. @throws DerError */
export function readTime({ tag, content }: DerValue): number {
  const text = Buffer.from(content).toString('latin1');
  const digits = tag === 0x17 ? `${text < '5' ? '20' : '19'}${text}` : text;
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits) ?? [];
  if (parts.length === 0 || (tag !== 0x17 && tag !== 0x18)) throw new DerError('no time');
  const [year, month, day, hour, minute, second] = parts.map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
}

const pemOf = (label: string) =>
  new RegExp(`^-----BEGIN ${label}-----\\r?\\n([A-Za-z0-9+/=\\r\\n]+)-----END ${label}-----$`);
const pemShapes = { certificate: pemOf('CERTIFICATE'), request: pemOf('(?:NEW )?CERTIFICATE REQUEST') };

/** The bytes of the one PEM block that a text is (RFC 7468). @throws DerError */
export function readPem(text: string, of: keyof typeof pemShapes): Uint8Array {
  const base64 = pemShapes[of].exec(text.trim())?.[1]?.replace(/[\r\n]/g, '');
  const bytes = Buffer.from(base64 ?? '', 'base64');
  if (base64 === undefined || bytes.toString('base64') !== base64) throw new DerError('no PEM');
  return bytes;
}

export const writePem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(bytes)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`;
