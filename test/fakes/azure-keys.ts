import {
  constants,
  createECDH,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { takeRsaPair } from '../support/rsa.ts';
import { json, refusal } from './azure-answers.ts';
import type { FakeAnswer, FakeCall } from './server.ts';

interface Version {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly attributes: { enabled: boolean; created: number };
}

const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
/** DER of DigestInfo for SHA-256, up to the digest itself (RFC 8017 section 9.2). */
const digestInfo = Buffer.from('3031300d060960864801650304020105000420', 'hex');
const maxWrapped = 190;

/**
 * The keys of a vault: `ec...` is a P-256 key, any other name an RSA key, each made when it is first asked for. Its
 * versions are never made within one second.
 */
export function azureKeys(base: () => string): (call: FakeCall) => FakeAnswer {
  const kept = new Map<string, Version[]>();

  function add(name: string): Version[] {
    const pair = name.startsWith('ec') ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : takeRsaPair();
    const old = kept.get(name) ?? [];
    const created = Math.floor(Date.now() / 1000) + old.length;
    const all = [...old, { id: randomBytes(16).toString('hex'), ...pair, attributes: { enabled: true, created } }];
    kept.set(name, all);
    return all;
  }

  return ({ method, url, body }) => {
    const [, , name = '', second = '', third] = url.pathname.split('/');
    if (name === 'missing') return refusal(404, 'KeyNotFound');
    const all = kept.get(name) ?? add(name);
    const kid = (id: string) => `${base()}/keys/${name}/${id}`;
    const view = ({ id, publicKey, attributes }: Version) =>
      json(200, { key: { kid: kid(id), key_ops: ['sign'], ...publicKey.export({ format: 'jwk' }) }, attributes });
    if (second === 'versions')
      return json(200, { value: all.map(({ id, attributes }) => ({ kid: kid(id), attributes })), nextLink: null });
    if (second === 'rotate') return view(add(name).at(-1) as Version);
    const current = /^[0-9a-f]{32}$/.test(second) ? all.find(({ id }) => id === second) : all.at(-1);
    if (current === undefined) return refusal(404, 'KeyNotFound');
    const verb = third ?? second;
    if (method === 'GET') return view(current);
    const { alg, value } = JSON.parse(body);
    const done = operate(verb, alg, Buffer.from(value, 'base64url'), current);
    return done === undefined
      ? refusal(400, 'BadParameter')
      : json(200, { kid: kid(current.id), value: done.toString('base64url') });
  };
}

function operate(verb: string, alg: string, input: Buffer, { privateKey, publicKey }: Version): Buffer | undefined {
  const rsa = privateKey.asymmetricKeyType === 'rsa';
  if (verb === 'sign') {
    if (input.length !== 32 || alg !== (rsa ? 'RS256' : 'ES256')) return undefined;
    return rsa ? privateEncrypt(privateKey, Buffer.concat([digestInfo, input])) : signDigest(privateKey, input);
  }
  if (!rsa || alg !== 'RSA-OAEP-256') return undefined;
  if (verb === 'wrapkey')
    return input.length > maxWrapped ? undefined : publicEncrypt({ key: publicKey, ...oaep }, input);
  try {
    return privateDecrypt({ key: privateKey, ...oaep }, input);
  } catch {
    return undefined;
  }
}

const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const numberOf = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);
const bytesOf = (number: bigint) => Buffer.from(number.toString(16).padStart(64, '0'), 'hex');

/** ECDSA over a digest (FIPS 186-5 section 6.4.1), which node:crypto only does over messages. As r || s. */
function signDigest(key: KeyObject, digest: Buffer): Buffer {
  const d = numberOf(Buffer.from(key.export({ format: 'jwk' }).d as string, 'base64url'));
  const once = createECDH('prime256v1');
  const point = once.generateKeys();
  const k = numberOf(once.getPrivateKey());
  const r = numberOf(point.subarray(1, 33)) % order;
  const s = (inverse(k) * (numberOf(digest) + r * d)) % order;
  return Buffer.concat([bytesOf(r), bytesOf(s)]);
}

/** By Fermat's little theorem: the order is prime. */
function inverse(number: bigint): bigint {
  let [result, base] = [1n, number % order];
  for (let power = order - 2n; power > 0n; power >>= 1n) {
    if (power & 1n) result = (result * base) % order;
    base = (base * base) % order;
  }
  return result;
}
