import { createPublicKey } from 'node:crypto';
import { fromBase64, fromBase64Url, toBase64, toUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';
import type { SessionDeps } from '../../sessions/session.ts';
import { openVault } from '../../sessions/vault.ts';
import type { SigningAlgorithm } from '../keys.ts';
import type { Kms, KmsVersion } from '../kms.ts';
import type { VaultTransitConfig } from './members.ts';

/** By the key's type in the transit engine. */
const algorithms: Readonly<Record<string, SigningAlgorithm>> = {
  'ecdsa-p256': 'ES256',
  'rsa-2048': 'RS256',
  'rsa-3072': 'RS256',
  'rsa-4096': 'RS256',
};

const maxVersions = 4;

/** A key of a transit engine; it is reached as the service account this process runs as. */
export function open(config: VaultTransitConfig, deps: Omit<SessionDeps, 'assert'>): Kms {
  const { mount, key, wrap = key } = config;
  const vault = openVault(config, deps);

  async function ask(
    step: string,
    path: string,
    body: JsonObject | undefined,
    deadline: Deadline,
  ): Promise<JsonObject> {
    const method = body === undefined ? 'GET' : 'POST';
    const call = { method, path: `${mount}/${path}`, step, faultOf, ...(body !== undefined && { body }) } as const;
    const { data } = await vault.ask(call, deadline);
    return isJsonObject(data) ? data : {};
  }

  return {
    async versions(deadline) {
      const { type, keys, min_encryption_version: least = 0 } = await ask('key', `keys/${key}`, undefined, deadline);
      const alg = typeof type === 'string' && Object.hasOwn(algorithms, type) ? algorithms[type] : undefined;
      if (alg === undefined) throw new UpstreamError('invalid', { step: 'key', reason: 'key_type' });
      if (!isJsonObject(keys)) throw unexpected('key');
      // A version below the least one of encryption signs no more.
      const numbers = Object.keys(keys)
        .filter((id) => isVersion(id) && Number(id) >= Number(least))
        .sort((a, b) => Number(b) - Number(a));
      return numbers.slice(0, maxVersions).map((id) => ({ id, alg, publicJwk: publicJwkOf(keys[id]) }));
    },
    async sign({ id, alg }: KmsVersion, data, deadline) {
      const body = {
        input: toBase64(data),
        hash_algorithm: 'sha2-256',
        key_version: Number(id),
        prehashed: false,
        marshaling_algorithm: 'jws',
        ...(alg === 'RS256' && { signature_algorithm: 'pkcs1v15' }),
      };
      const { signature } = await ask('sign', `sign/${key}`, body, deadline);
      // `vault:v<version>:<base64url>`
      const [, version, encoded = ''] = String(signature).split(':');
      const bytes = fromBase64Url(encoded);
      if (version !== `v${id}` || bytes === undefined || bytes.length === 0) throw unexpected('sign');
      return bytes;
    },
    async encrypt(plain, deadline) {
      const { ciphertext } = await ask('encrypt', `encrypt/${wrap}`, { plaintext: toBase64(plain) }, deadline);
      if (typeof ciphertext !== 'string' || ciphertext === '') throw unexpected('encrypt');
      return toUtf8(ciphertext);
    },
    async decrypt(sealed, deadline) {
      const body = { ciphertext: ciphertextOf(sealed) };
      const { plaintext } = await ask('decrypt', `decrypt/${wrap}`, body, deadline);
      const plain = typeof plaintext === 'string' ? fromBase64(plaintext) : undefined;
      if (plain === undefined) throw unexpected('decrypt');
      return plain;
    },
    async rotate(deadline) {
      await ask('rotate', `keys/${key}/rotate`, {}, deadline);
    },
  };
}

const isVersion = (id: string): boolean => /^[1-9]\d{0,9}$/.test(id);

function publicJwkOf(version: unknown): JsonObject {
  const pem = isJsonObject(version) ? version.public_key : undefined;
  try {
    return createPublicKey(String(pem)).export({ format: 'jwk' }) as JsonObject;
  } catch {
    throw unexpected('key');
  }
}

function ciphertextOf(sealed: Uint8Array): string {
  const text = Buffer.from(sealed).toString('latin1');
  if (/^vault:v\d{1,10}:[\w+/=]{1,4096}$/.test(text)) return text;
  throw new UpstreamError('damaged', { step: 'decrypt', reason: 'not_a_ciphertext' });
}

/** What is wrong is told by its words: the status is 400, or 500 where an RSA key did not encrypt it. */
function faultOf(_status: number, _body: JsonObject, code: string | undefined): UpstreamFault | undefined {
  if (code === 'no_such_key') return 'absent';
  return code === 'wrong_ciphertext' ? 'damaged' : undefined;
}

const unexpected = (step: string) => new UpstreamError('damaged', { step, reason: 'unexpected_answer' });
