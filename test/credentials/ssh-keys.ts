import { type KeyObject, verify } from 'node:crypto';
import { type KeyName, makeKeyPair, pkcs8 } from './authority.ts';

/** A string of the SSH protocol (RFC 4251 section 5). */
export function sshString(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const mpint = (bytes: Buffer): Buffer =>
  sshString((bytes[0] as number) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);

/** The line of a public key, put together apart from the product. */
export function lineOf(key: KeyObject, comment = 'someone@example'): string {
  const { kty, crv, x = '', y = '', e = '', n = '' } = key.export({ format: 'jwk' });
  const bytes = (text: string) => Buffer.from(text, 'base64url');
  const curve = String(crv).replace('P-', 'nistp');
  const type = kty === 'OKP' ? 'ssh-ed25519' : kty === 'RSA' ? 'ssh-rsa' : `ecdsa-sha2-${curve}`;
  const point = sshString(Buffer.concat([Buffer.from([4]), bytes(x), bytes(y)]));
  const fields =
    kty === 'OKP'
      ? [sshString(bytes(x))]
      : kty === 'RSA'
        ? [mpint(bytes(e)), mpint(bytes(n))]
        : [sshString(curve), point];
  return `${type} ${Buffer.concat([sshString(type), ...fields]).toString('base64')} ${comment}`;
}

/** A CA: its key as PKCS#8, and its public line. */
export function makeSshAuthority(name: KeyName = 'Ed25519') {
  const { privateKey, publicKey } = makeKeyPair(name);
  return { key: pkcs8(privateKey), publicKey: lineOf(publicKey, 'ca'), public: publicKey };
}

export interface ReadCertificate {
  readonly kind: string;
  readonly nonce: Buffer;
  readonly fields: Buffer[];
  readonly serial: bigint;
  readonly type: number;
  readonly keyId: string;
  readonly principals: string[];
  readonly after: number;
  readonly before: number;
  readonly options: string[];
  readonly extensions: string[];
  readonly authority: Buffer;
  readonly tbs: Buffer;
  readonly signature: Buffer;
}

/** Takes a certificate's line apart (OpenSSH PROTOCOL.certkeys). */
export function readCertificate(line: string): ReadCertificate {
  const bytes = Buffer.from(line.split(' ')[1] as string, 'base64');
  let at = 0;
  const string = () => {
    const end = at + 4 + bytes.readUInt32BE(at);
    const value = bytes.subarray(at + 4, end);
    at = end;
    return value;
  };
  const uint64 = () => {
    at += 8;
    return bytes.readBigUInt64BE(at - 8);
  };
  const kind = string().toString();
  const nonce = string();
  const fields = kind.startsWith('ssh-ed25519') ? [string()] : [string(), string()];
  const serial = uint64();
  at += 4;
  const type = bytes.readUInt32BE(at - 4);
  const [keyId, principals] = [string().toString(), listIn(string())];
  const [after, before] = [Number(uint64()), Number(uint64())];
  const [options, extensions] = [listIn(string()), listIn(string())];
  if (string().length > 0) throw new Error('reserved');
  const authority = string();
  const tbs = bytes.subarray(0, at);
  const signature = string();
  if (at !== bytes.length) throw new Error('more');
  return {
    kind,
    nonce,
    fields,
    serial,
    type,
    keyId,
    principals,
    after,
    before,
    options,
    extensions,
    authority,
    tbs,
    signature,
  };
}

export function listIn(bytes: Buffer): string[] {
  const list: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    list.push(bytes.subarray(at + 4, end).toString());
    at = end;
  }
  return list;
}

/** Whether the CA signed it, by its public key. */
export function isSignedBy({ tbs, signature }: ReadCertificate, key: KeyObject): boolean {
  const length = signature.readUInt32BE(0);
  const type = signature.subarray(4, 4 + length).toString();
  const blob = signature.subarray(8 + length);
  if (type === 'ssh-ed25519') return verify(null, tbs, key, blob);
  const rLength = blob.readUInt32BE(0);
  const [r, s] = [blob.subarray(4, 4 + rLength), blob.subarray(8 + rLength)];
  const fixed = (number: Buffer) => Buffer.concat([Buffer.alloc(32), number]).subarray(-32);
  return verify('sha256', tbs, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat([fixed(r), fixed(s)]));
}
