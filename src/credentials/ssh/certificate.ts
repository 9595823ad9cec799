import { concat, fromBase64Url } from '../../lib/bytes.ts';
import { readDer, valuesIn } from '../../lib/der.ts';
import type { AuthorityAlgorithm } from '../signed.ts';
import { type PublicKey, parsePublicLine } from './public-key.ts';
import { string, uint32, uint64 } from './wire.ts';

/** What is signed, as the record has it. All of a certificate follows from this and its CA's key. */
export type Content = {
  /** The CA's key, as `ssh-keygen -l` prints it. */
  readonly authority: string;
  readonly type: 'user' | 'host';
  readonly keyId: string;
  /** Decimal. */
  readonly serialNumber: string;
  readonly principals: string[];
  /** RFC 3339, whole seconds; good from the first on, and no longer at the second. */
  readonly validAfter: string;
  readonly validBefore: string;
  readonly criticalOptions: { [name: string]: string };
  readonly extensions: string[];
  /** 32 bytes, base64url. */
  readonly nonce: string;
  /** The type and base64 of a public key's line. */
  readonly publicKey: string;
};

const types = { user: 1, host: 2 };
const certificateTypes = {
  'ssh-ed25519': 'ssh-ed25519-cert-v01@openssh.com',
  'ecdsa-sha2-nistp256': 'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  'ssh-rsa': 'ssh-rsa-cert-v01@openssh.com',
};

const seconds = (instant: string): Uint8Array => uint64(BigInt(Date.parse(instant)) / 1000n);

/** All of a certificate but its signature (OpenSSH PROTOCOL.certkeys), the same bytes for the same content. */
export function toBeSigned(content: Content, authority: PublicKey): Uint8Array {
  const { type, fields } = keyOf(content);
  // Both lists in the order of their names, each name once.
  const options = Object.entries(content.criticalOptions).sort(([a], [b]) => (a < b ? -1 : 1));
  return concat(
    string(certificateTypes[type]),
    string(fromBase64Url(content.nonce) ?? ''),
    fields,
    uint64(BigInt(content.serialNumber)),
    uint32(types[content.type]),
    string(content.keyId),
    string(...content.principals.map((principal) => string(principal))),
    seconds(content.validAfter),
    seconds(content.validBefore),
    string(...options.flatMap(([name, value]) => [string(name), string(string(value))])),
    string(...content.extensions.flatMap((name) => [string(name), string('')])),
    string(''),
    string(authority.blob),
  );
}

/** The line of the finished certificate; an ECDSA `signature` is in DER. */
export function certificateLine(
  content: Content,
  tbs: Uint8Array,
  signature: Uint8Array,
  authority: PublicKey,
): string {
  const certificate = concat(tbs, string(string(authority.type), string(signatureBlob(authority, signature))));
  return `${certificateTypes[keyOf(content).type]} ${Buffer.from(certificate).toString('base64')} ${content.keyId}`;
}

const keyOf = ({ publicKey }: Content): PublicKey => parsePublicLine(publicKey) as PublicKey;

// RFC 8709 section 6; RFC 5656 section 3.1.2: r and s, whose mpint has the bytes of DER's INTEGER.
const signatureBlob = ({ type }: PublicKey, signature: Uint8Array): Uint8Array =>
  type === 'ssh-ed25519' ? signature : concat(...valuesIn(readDer(signature)).map(({ content }) => string(content)));

export const algorithmOf = ({ type }: PublicKey): AuthorityAlgorithm => (type === 'ssh-ed25519' ? 'EdDSA' : 'ES256');
