import { createPublicKey } from 'node:crypto';
import { fromBase64, toBase64, toUtf8 } from '../../lib/bytes.ts';
import { crc32c } from '../../lib/crc32c.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { type CallGoogle, googleCaller } from '../../sessions/google/call.ts';
import { googleLogin } from '../../sessions/google/login.ts';
import { rawFromDer } from '../ecdsa-der.ts';
import type { SigningAlgorithm } from '../keys.ts';
import type { Kms, KmsModule, KmsVersion } from '../kms.ts';
import type { GoogleKmsConfig } from './members.ts';

const maxVersions = 4;
const pageSize = 1000;
const maxPages = 10;

/** What Cloud KMS calls the algorithms we sign with. */
const algorithms: ReadonlyMap<Json | undefined, SigningAlgorithm> = new Map([
  ['EC_SIGN_P256_SHA256', 'ES256'],
  ['RSA_SIGN_PKCS1_2048_SHA256', 'RS256'],
  ['RSA_SIGN_PKCS1_3072_SHA256', 'RS256'],
  ['RSA_SIGN_PKCS1_4096_SHA256', 'RS256'],
]);

/** A key in Cloud KMS, over REST; `id` of a version is its full resource name. */
export const open: KmsModule['open'] = (config, deps) =>
  openKey(config as GoogleKmsConfig, googleCaller(googleLogin({}, deps), deps));

function openKey(config: GoogleKmsConfig, call: CallGoogle): Kms {
  const { key, wrap = key, endpoint = 'https://cloudkms.googleapis.com' } = config;
  // A version's public key never changes, and each is a call of its own.
  const known = new Map<string, KmsVersion>();

  const ask = (step: string, path: string, deadline: Deadline, body?: JsonObject): Promise<JsonObject> => {
    const url = `${endpoint}/v1/${path}`;
    if (body === undefined) return call({ step, method: 'GET', url, deadline, maxBytes: 1024 * 1024 });
    return call({ step, method: 'POST', url, body: JSON.stringify(body), deadline });
  };

  async function enabledVersions(deadline: Deadline): Promise<string[]> {
    const names: string[] = [];
    let pageToken = '';
    for (let page = 0; page < maxPages; page++) {
      const query = new URLSearchParams({ pageSize: `${pageSize}`, filter: 'state=ENABLED' });
      if (pageToken !== '') query.set('pageToken', pageToken);
      const answer = await ask('versions', `${key}/cryptoKeyVersions?${query}`, deadline);
      names.push(...namesOf(answer, key));
      if (typeof answer.nextPageToken !== 'string' || answer.nextPageToken === '') return names;
      pageToken = answer.nextPageToken;
    }
    throw new UpstreamError('unreachable', { step: 'versions', reason: 'too_large' });
  }

  async function versionNamed(id: string, deadline: Deadline): Promise<KmsVersion> {
    const version = known.get(id) ?? readPublicKey(id, await ask('versions', `${id}/publicKey`, deadline));
    known.set(id, version);
    return version;
  }

  return {
    async versions(deadline) {
      const newest = (await enabledVersions(deadline)).sort((a, b) => numberOf(b) - numberOf(a)).slice(0, maxVersions);
      for (const id of known.keys()) if (!newest.includes(id)) known.delete(id);
      return Promise.all(newest.map((id) => versionNamed(id, deadline)));
    },
    async sign({ id, alg }, data, deadline) {
      const step = 'sign';
      const body = { data: toBase64(data), dataCrc32c: String(crc32c(data)) };
      const answer = await ask(step, `${id}:asymmetricSign`, deadline, body);
      if (answer.name !== id || answer.verifiedDataCrc32c !== true) throw damaged(step);
      const signature = checkedBytes(answer, 'signature', step);
      const raw = alg === 'ES256' ? rawFromDer(signature) : signature;
      if (raw === undefined) throw badAnswer(step);
      return raw;
    },
    async encrypt(plain, deadline) {
      const step = 'encrypt';
      const body = { plaintext: toBase64(plain), plaintextCrc32c: String(crc32c(plain)) };
      const answer = await ask(step, `${wrap}:encrypt`, deadline, body);
      if (answer.verifiedPlaintextCrc32c !== true) throw damaged(step);
      return checkedBytes(answer, 'ciphertext', step);
    },
    async decrypt(sealed, deadline) {
      const step = 'decrypt';
      const body = { ciphertext: toBase64(sealed), ciphertextCrc32c: String(crc32c(sealed)) };
      return checkedBytes(await ask(step, `${wrap}:decrypt`, deadline, body), 'plaintext', step);
    },
    async rotate(deadline) {
      await ask('rotate', `${key}/cryptoKeyVersions`, deadline, {});
    },
  };
}

/** The enabled versions of one page; what a filter left in is left out here. */
function namesOf({ cryptoKeyVersions = [] }: JsonObject, key: string): string[] {
  if (!Array.isArray(cryptoKeyVersions)) throw badAnswer('versions');
  return cryptoKeyVersions.filter(isJsonObject).flatMap(({ name, state }) => {
    const ours = typeof name === 'string' && /^[1-9][0-9]{0,14}$/.test(name.slice(name.lastIndexOf('/') + 1));
    if (!ours || !sameKey(name.slice(0, name.lastIndexOf('/')), `${key}/cryptoKeyVersions`))
      throw badAnswer('versions');
    return state === 'ENABLED' ? [name] : [];
  });
}

/** Google may write the project's number where the config has its id. */
const sameKey = (a: string, b: string): boolean => a.split('/').slice(2).join('/') === b.split('/').slice(2).join('/');

const numberOf = (name: string): number => Number(name.slice(name.lastIndexOf('/') + 1));

function readPublicKey(id: string, { pem, pemCrc32c, algorithm, name }: JsonObject): KmsVersion {
  const step = 'versions';
  const alg = algorithms.get(algorithm);
  if (alg === undefined) throw new UpstreamError('invalid', { step, reason: 'key_type' });
  if (typeof pem !== 'string' || name !== id) throw badAnswer(step);
  if (pemCrc32c !== String(crc32c(toUtf8(pem)))) throw damaged(step);
  const { kty, crv, x, y, n, e } = jwkOf(pem);
  if (alg === 'ES256' && crv === 'P-256') return { id, alg, publicJwk: { kty: 'EC', crv, x: x ?? '', y: y ?? '' } };
  if (alg === 'RS256' && kty === 'RSA') return { id, alg, publicJwk: { kty, n: n ?? '', e: e ?? '' } };
  throw badAnswer(step);
}

function jwkOf(pem: string): JsonWebKey {
  try {
    return createPublicKey(pem).export({ format: 'jwk' }) as JsonWebKey;
  } catch {
    throw badAnswer('versions');
  }
}

/** A member and its checksum beside it: `signature` and `signatureCrc32c`. */
function checkedBytes(answer: JsonObject, member: string, step: string): Uint8Array {
  const text = answer[member];
  const bytes = typeof text === 'string' ? fromBase64(text) : undefined;
  if (bytes === undefined) throw badAnswer(step);
  if (answer[`${member}Crc32c`] !== String(crc32c(bytes))) throw damaged(step);
  return bytes;
}

const damaged = (step: string) => new UpstreamError('damaged', { step, reason: 'checksum' });
const badAnswer = (step: string) => new UpstreamError('unreachable', { step, reason: 'bad_answer' });
