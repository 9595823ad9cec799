import { sha256, toUtf8 } from '../../lib/bytes.ts';
import { bitString, der, integer, octetString, sequence, time, utf8String } from '../der.ts';
import type { AuthorityAlgorithm } from '../signed.ts';
import type { Authority } from './authority.ts';
import { keyBits } from './public-key.ts';

/** What is signed, as the record has it. All of a certificate follows from this and its CA's own. */
export type Content = {
  /** SHA-256 of the CA's certificate, hexadecimal. */
  readonly authority: string;
  /** Hexadecimal. */
  readonly serialNumber: string;
  /** RFC 3339, whole seconds. */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly commonName?: string;
  readonly uri?: string;
  readonly dns?: string[];
  readonly usages: ('client' | 'server')[];
  /** SubjectPublicKeyInfo, base64. */
  readonly publicKey: string;
};

const hex = (digits: string): Uint8Array => Buffer.from(digits, 'hex');

/** Each with its tag and length. */
const ids = {
  commonName: hex('0603550403'),
  subjectKeyId: hex('0603551d0e'),
  keyUsage: hex('0603551d0f'),
  subjectAltName: hex('0603551d11'),
  basicConstraints: hex('0603551d13'),
  authorityKeyId: hex('0603551d23'),
  extendedKeyUsage: hex('0603551d25'),
};
const usageIds = { client: hex('06082b06010505070302'), server: hex('06082b06010505070301') };
const signatureIds: Readonly<Record<AuthorityAlgorithm, Uint8Array>> = {
  ES256: sequence(hex('06082a8648ce3d040302')),
  EdDSA: sequence(hex('06032b6570')),
};

const yes = hex('0101ff');
const extension = (id: Uint8Array, value: Uint8Array, critical = false): Uint8Array =>
  sequence(id, ...(critical ? [yes] : []), octetString(value));
const seconds = (instant: string): number => Date.parse(instant) / 1000;

/** The TBSCertificate (RFC 5280 section 4.1) of an end entity, the same bytes for the same content. */
export function toBeSigned(content: Content, authority: Authority): Uint8Array {
  const { commonName, uri, dns = [], usages } = content;
  const spki = Buffer.from(content.publicKey, 'base64');
  const names = [...(uri === undefined ? [] : [der(0x86, toUtf8(uri))]), ...dns.map((name) => der(0x82, toUtf8(name)))];
  const subject = commonName === undefined ? [] : [der(0x31, sequence(ids.commonName, utf8String(commonName)))];
  return sequence(
    der(0xa0, integer(2n)),
    integer(BigInt(`0x${content.serialNumber}`)),
    signatureIds[authority.alg],
    authority.name,
    sequence(time(seconds(content.notBefore)), time(seconds(content.notAfter))),
    sequence(...subject),
    spki,
    der(
      0xa3,
      sequence(
        extension(ids.basicConstraints, sequence(), true),
        // digitalSignature alone (X509-SVID, section 4.3).
        extension(ids.keyUsage, bitString(Uint8Array.of(0x80), 7), true),
        extension(ids.extendedKeyUsage, sequence(...usages.map((usage) => usageIds[usage]))),
        // RFC 7093 section 2 (1).
        extension(ids.subjectKeyId, octetString(sha256(keyBits(spki)).subarray(0, 20))),
        extension(ids.authorityKeyId, sequence(der(0x80, authority.keyId))),
        // RFC 5280 section 4.2.1.6: critical where the subject is empty.
        extension(ids.subjectAltName, sequence(...names), commonName === undefined),
      ),
    ),
  );
}

export const certificateOf = (tbs: Uint8Array, signature: Uint8Array, { alg }: Authority): Uint8Array =>
  sequence(tbs, signatureIds[alg], bitString(signature));
