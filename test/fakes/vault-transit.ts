import { createCipheriv, createDecipheriv, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { takeRsaPair } from '../support/rsa.ts';

export type TransitType = 'ecdsa-p256' | 'rsa-2048' | 'ed25519' | 'aes256-gcm96';

interface TransitKey {
  readonly type: TransitType;
  /** Oldest first; a key pair, or 32 bytes. */
  readonly versions: (Pair | Uint8Array)[];
  leastToSign: number;
}
type Pair = { readonly privateKey: KeyObject; readonly publicKey: KeyObject };

const pairs = {
  'ecdsa-p256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'rsa-2048': takeRsaPair,
  ed25519: () => generateKeyPairSync('ed25519'),
  'aes256-gcm96': () => randomBytes(32),
};

/** What a transit engine says: data, or why not. */
export type TransitAnswer = { readonly data: unknown } | { readonly error: string; readonly status: number };

/** A transit engine in memory, with real keys. */
export class FakeTransit {
  readonly keys = new Map<string, TransitKey>();

  make(name: string, type: TransitType): void {
    this.keys.set(name, { type, versions: [pairs[type]()], leastToSign: 0 });
  }

  /** `path` below the mount. */
  answer(method: string, path: string, body: JsonObject): TransitAnswer {
    const [action = '', name = '', more] = path.split('/');
    const key = this.keys.get(name);
    if (action === 'keys' && method === 'GET') return key === undefined ? refuse('', 404) : show(key);
    if (action === 'keys' && more === 'rotate' && key !== undefined) {
      key.versions.push(pairs[key.type]());
      return { data: null };
    }
    if (key === undefined) return refuse(action === 'sign' ? 'signing key not found' : 'encryption key not found');
    if (action === 'sign') return signed(key, body);
    return action === 'encrypt' ? encrypted(key, body) : decrypted(key, body);
  }
}

const refuse = (error: string, status = 400): TransitAnswer => ({ error, status });

function show({ type, versions, leastToSign }: TransitKey): TransitAnswer {
  const keys = versions.map((version, at) => {
    const pem = 'publicKey' in version ? version.publicKey.export({ type: 'spki', format: 'pem' }) : undefined;
    return [String(at + 1), pem === undefined ? 1_795_363_235 : { public_key: pem }];
  });
  return { data: { type, keys: Object.fromEntries(keys), min_encryption_version: leastToSign } };
}

function signed({ type, versions, leastToSign }: TransitKey, body: JsonObject): TransitAnswer {
  const number = Number(body.key_version);
  const version = versions[number - 1];
  if (version === undefined || number < leastToSign || !('privateKey' in version))
    return refuse('requested version for signing is higher than the latest key version', 500);
  const rsa = type === 'rsa-2048';
  if (body.hash_algorithm !== 'sha2-256' || body.prehashed !== false || body.marshaling_algorithm !== 'jws')
    return refuse('unsupported');
  if (rsa && body.signature_algorithm !== 'pkcs1v15') return refuse('PSS by default');
  const data = Buffer.from(String(body.input), 'base64');
  const signature = sign('sha256', data, { key: version.privateKey, dsaEncoding: 'ieee-p1363' });
  return { data: { signature: `vault:v${number}:${signature.toString('base64url')}` } };
}

function encrypted({ versions }: TransitKey, body: JsonObject): TransitAnswer {
  const version = versions.at(-1);
  if (!(version instanceof Uint8Array)) return refuse('message encryption not supported for key type');
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', version, nonce);
  const plain = Buffer.from(String(body.plaintext), 'base64');
  const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { data: { ciphertext: `vault:v${versions.length}:${sealed.toString('base64')}` } };
}

function decrypted({ versions }: TransitKey, body: JsonObject): TransitAnswer {
  const [, version = '', encoded = ''] = String(body.ciphertext).split(':');
  const key = versions[Number(version.slice(1)) - 1];
  const sealed = Buffer.from(encoded, 'base64');
  if (!(key instanceof Uint8Array) || sealed.length < 28) return refuse('invalid ciphertext: version is too new');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 });
    decipher.setAuthTag(sealed.subarray(-16));
    const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    return { data: { plaintext: plain.toString('base64') } };
  } catch {
    return refuse('cipher: message authentication failed');
  }
}
