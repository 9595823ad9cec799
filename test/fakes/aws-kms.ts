import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  randomBytes,
  randomUUID,
  sign,
} from 'node:crypto';
import { takeRsaPair } from '../support/rsa.ts';
import { Refused } from './aws-secrets.ts';

type Spec = 'ECC_NIST_P256' | 'RSA_2048' | 'SYMMETRIC_DEFAULT' | 'ECC_NIST_P384';

interface Key {
  readonly spec: Spec;
  readonly arn: string;
  readonly pair?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly secret: Buffer;
  disabled?: boolean;
}

type Input = Readonly<Record<string, unknown>>;

export interface FakeKms {
  readonly actions: Readonly<Record<'GetPublicKey' | 'Sign' | 'Encrypt' | 'Decrypt', (input: Input) => object>>;
  /** Makes a key; an alias that is there moves on to it. */
  make(spec: Spec, alias: string): Key;
}

const algorithms: Readonly<Record<string, string>> = {
  ECC_NIST_P256: 'ECDSA_SHA_256',
  RSA_2048: 'RSASSA_PKCS1_V1_5_SHA_256',
};

/** KMS's keys, with real signatures and real encryption. */
export function makeKms(): FakeKms {
  const keys: Key[] = [];
  const aliases = new Map<string, Key>();

  function find({ KeyId }: Input): Key {
    const key = aliases.get(String(KeyId)) ?? keys.find(({ arn }) => arn === KeyId || arn.endsWith(`/${KeyId}`));
    if (key === undefined) throw new Refused('NotFoundException');
    if (key.disabled === true) throw new Refused('DisabledException');
    return key;
  }

  return {
    make(spec, alias) {
      const key: Key = {
        spec,
        arn: `arn:aws:kms:eu-west-1:123456789012:key/${randomUUID()}`,
        secret: randomBytes(32),
        ...(spec !== 'SYMMETRIC_DEFAULT' && { pair: pairOf(spec) }),
      };
      keys.push(key);
      aliases.set(alias, key);
      return key;
    },
    actions: {
      GetPublicKey(input) {
        const { pair, spec, arn } = find(input);
        if (pair === undefined) throw new Refused('UnsupportedOperationException');
        const PublicKey = pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
        return { KeyId: arn, KeySpec: spec, KeyUsage: 'SIGN_VERIFY', PublicKey };
      },
      Sign(input) {
        const { pair, spec, arn } = find(input);
        if (pair === undefined) throw new Refused('InvalidKeyUsageException');
        if (input.SigningAlgorithm !== algorithms[spec]) throw new Refused('InvalidKeyUsageException');
        const message = Buffer.from(String(input.Message), 'base64');
        const digest = input.MessageType === 'DIGEST';
        if (digest ? message.length !== 32 : message.length < 1 || message.length > 4096)
          throw new Refused('ValidationException');
        const Signature = digest
          ? signDigest(pair.privateKey, spec, message)
          : sign('sha256', message, pair.privateKey);
        return { KeyId: arn, Signature: Signature.toString('base64'), SigningAlgorithm: input.SigningAlgorithm };
      },
      Encrypt(input) {
        const { spec, arn, secret } = find(input);
        if (spec !== 'SYMMETRIC_DEFAULT') throw new Refused('InvalidKeyUsageException');
        const nonce = randomBytes(12);
        const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(contextOf(input));
        const body = Buffer.concat([cipher.update(String(input.Plaintext), 'base64'), cipher.final()]);
        return { KeyId: arn, CiphertextBlob: Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64') };
      },
      Decrypt(input) {
        const { arn, secret } = find(input);
        const sealed = Buffer.from(String(input.CiphertextBlob), 'base64');
        if (sealed.length < 28) throw new Refused('InvalidCiphertextException');
        const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12)).setAAD(contextOf(input));
        decipher.setAuthTag(sealed.subarray(-16));
        try {
          const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
          return { KeyId: arn, Plaintext: plain.toString('base64') };
        } catch {
          throw new Refused('InvalidCiphertextException');
        }
      },
    },
  };
}

function pairOf(spec: Spec) {
  if (spec === 'RSA_2048') return takeRsaPair();
  return generateKeyPairSync('ec', { namedCurve: spec === 'ECC_NIST_P384' ? 'P-384' : 'P-256' });
}

const contextOf = ({ EncryptionContext = {} }: Input): Buffer => Buffer.from(JSON.stringify(EncryptionContext));

/** A signature over a digest that was made elsewhere, which node:crypto has no call for. */
function signDigest(key: KeyObject, spec: Spec, digest: Buffer): Buffer {
  if (spec === 'RSA_2048') return privateEncrypt(key, Buffer.concat([digestInfo, digest]));
  const d = Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url');
  const nonce = randomBytes(32);
  nonce[0] = 0x7f;
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(nonce);
  const r = number(curve.getPublicKey().subarray(1, 33)) % order;
  const s = (power(number(nonce), order - 2n) * (number(digest) + r * number(d))) % order;
  const [a, b] = [integer(r), integer(s)];
  return Buffer.concat([Buffer.of(0x30, a.length + b.length), a, b]);
}

/** DigestInfo of SHA-256 (RFC 8017 section 9.2, note 1), without the digest. */
const digestInfo = Buffer.from('3031300d060960864801650304020105000420', 'hex');
/** The order of P-256 (FIPS 186-4 D.1.2.3). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const number = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base % order;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % order;
    square = (square * square) % order;
  }
  return result;
}

function integer(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const positive = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  return Buffer.concat([Buffer.of(2, positive.length), positive]);
}
