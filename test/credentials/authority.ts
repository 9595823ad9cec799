import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { commonName, der, hex, sequence, utcTime } from '../support/certificate.ts';

export type KeyName = 'P-256' | 'P-384' | 'P-521' | 'Ed25519' | 'RSA-2048' | 'RSA-1024' | 'secp256k1';

export function makeKeyPair(name: KeyName): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (name === 'Ed25519') return generateKeyPairSync('ed25519');
  if (name.startsWith('RSA')) return generateKeyPairSync('rsa', { modulusLength: Number(name.slice(4)) });
  return generateKeyPairSync('ec', { namedCurve: name });
}

export const pkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;
export const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

export const pem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(bytes)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`;

/** The signature algorithm and the signature over `data`, as X.509 and PKCS#10 have them after what is signed. */
function signed(data: Uint8Array, key: KeyObject): Buffer[] {
  const type = key.asymmetricKeyType;
  const id = type === 'ec' ? '06082a8648ce3d040302' : type === 'rsa' ? '06092a864886f70d01010b0500' : '06032b6570';
  const signature = sign(type === 'ed25519' ? null : 'sha256', data, key);
  return [sequence(hex(id)), der(0x03, hex('00'), signature)];
}

const yes = hex('0101ff');
const extension = (id: string, value: Uint8Array, critical = false) =>
  sequence(hex(id), ...(critical ? [yes] : []), der(0x04, value));

export interface AuthorityOptions {
  readonly key?: KeyName;
  /** Milliseconds since the epoch. */
  readonly from?: number;
  readonly until?: number;
  readonly cA?: boolean;
  /** The bits of keyUsage; null leaves it out. */
  readonly keyUsage?: string | null;
  /** The short form of a point of P-256 (RFC 5480 section 2.2). */
  readonly compressed?: boolean;
}

function compress(spki: Buffer): Buffer {
  const sign = hex((spki.at(-1) as number) % 2 === 0 ? '02' : '03');
  const point = Buffer.concat([hex('00'), sign, spki.subarray(-64, -32)]);
  return sequence(hex('301306072a8648ce3d020106082a8648ce3d030107'), der(0x03, point));
}

/** A root CA of this moment: its certificate and its key. */
export function makeAuthority(options: AuthorityOptions = {}) {
  const { key = 'P-256', cA = true, keyUsage = '03020106' } = options;
  const { privateKey, publicKey } = makeKeyPair(key);
  const hour = 3_600_000;
  const { from = Date.now() - 24 * hour, until = Date.now() + 24 * 30 * hour } = options;
  const spki = options.compressed ? compress(spkiOf(publicKey)) : spkiOf(publicKey);
  const [algorithm] = signed(new Uint8Array(0), privateKey) as [Buffer];
  const extensions = [
    extension('0603551d13', sequence(...(cA ? [yes] : [])), true),
    ...(keyUsage === null ? [] : [extension('0603551d0f', hex(keyUsage), true)]),
    extension('0603551d0e', der(0x04, hex('00112233445566778899aabbccddeeff00112233'))),
  ];
  const tbs = sequence(
    hex('a003020102'),
    der(0x02, Buffer.concat([hex('01'), randomBytes(8)])),
    algorithm,
    commonName('Test CA'),
    sequence(utcTime(from), utcTime(until)),
    commonName('Test CA'),
    spki,
    der(0xa3, sequence(...extensions)),
  );
  return {
    certificate: pem('CERTIFICATE', sequence(tbs, ...signed(tbs, privateKey))),
    key: pkcs8(privateKey),
    privateKey,
  };
}

/** A certificate request (PKCS#10) for a name it will not get; `signer` signs it where that is not its own key. */
export function makeRequest(
  key: KeyName = 'P-256',
  { signer, pair = makeKeyPair(key) }: { signer?: KeyObject; pair?: ReturnType<typeof makeKeyPair> } = {},
) {
  const wish = sequence(extension('0603551d11', sequence(der(0x82, Buffer.from('bank.example')))));
  const attributes = der(0xa0, sequence(hex('06092a864886f70d01090e'), der(0x31, wish)));
  const info = sequence(hex('020100'), commonName('root'), spkiOf(pair.publicKey), attributes);
  const bytes = sequence(info, ...signed(info, signer ?? pair.privateKey));
  return { csr: pem('CERTIFICATE REQUEST', bytes), bytes, pair, spki: spkiOf(pair.publicKey) };
}
