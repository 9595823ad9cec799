import { createPublicKey } from 'node:crypto';
import {
  DecryptCommand,
  EncryptCommand,
  GetPublicKeyCommand,
  type GetPublicKeyCommandOutput,
  KMSClient,
  SignCommand,
} from '@aws-sdk/client-kms';
import { sha256 } from '../../lib/bytes.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { openAwsService } from '../../sessions/aws/service.ts';
import { rawFromDer } from '../ecdsa-der.ts';
import type { SigningAlgorithm } from '../keys.ts';
import type { KmsModule, KmsVersion } from '../kms.ts';
import type { AwsKmsConfig } from './members.ts';

/** KMS takes messages of 1 to this many bytes; of any other it is given the digest. */
const maxMessage = 4096;

const names = { ES256: 'ECDSA_SHA_256', RS256: 'RSASSA_PKCS1_V1_5_SHA_256' } as const;

/** By key spec, what we sign with. */
const algorithms: Readonly<Record<string, SigningAlgorithm>> = {
  ECC_NIST_P256: 'ES256',
  RSA_2048: 'RS256',
  RSA_3072: 'RS256',
  RSA_4096: 'RS256',
};

/** Bound to what was sealed: KMS opens it for nobody who does not say the same, and shows it in its own log. */
const EncryptionContext = { purpose: 'hallpass-keys' };

/**
 * A key in AWS KMS. A key that signs has one version there, `id` is its ARN: behind an alias it is the key of the moment,
 * which goes on signing as itself when the alias has moved on.
 */
export const open: KmsModule['open'] = (entry, deps) => {
  const { key, wrap = key, region, endpoint } = entry as AwsKmsConfig;
  const aws = openAwsService('kms', { region, endpoint }, deps, (settings) => new KMSClient(settings));
  const KeyId = wrap;

  return {
    async versions(deadline) {
      const command = new GetPublicKeyCommand({ KeyId: key });
      return [readVersion(await aws.ask('versions', deadline, (client, options) => client.send(command, options)))];
    },
    async sign({ id, alg }, data, deadline) {
      const step = 'sign';
      const digest = data.length === 0 || data.length > maxMessage;
      const command = new SignCommand({
        KeyId: id,
        SigningAlgorithm: names[alg],
        Message: digest ? sha256(data) : data,
        MessageType: digest ? 'DIGEST' : 'RAW',
      });
      const { Signature, KeyId: by } = await aws.ask(step, deadline, (client, options) =>
        client.send(command, options),
      );
      const signature = by === id ? checkBytes(Signature, step) : undefined;
      const raw = signature !== undefined && alg === 'ES256' ? rawFromDer(signature) : signature;
      if (raw === undefined) throw badAnswer(step);
      return raw;
    },
    async encrypt(Plaintext, deadline) {
      const step = 'encrypt';
      const command = new EncryptCommand({ KeyId, Plaintext, EncryptionContext });
      const found = await aws.ask(step, deadline, (client, options) => client.send(command, options));
      return checkBytes(found.CiphertextBlob, step);
    },
    async decrypt(CiphertextBlob, deadline) {
      const step = 'decrypt';
      const command = new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext });
      const found = await aws.ask(step, deadline, (client, options) => client.send(command, options));
      return checkBytes(found.Plaintext, step);
    },
  };
};

function readVersion({ KeyId: id, KeySpec, KeyUsage, PublicKey }: GetPublicKeyCommandOutput): KmsVersion {
  const step = 'versions';
  const alg = Object.hasOwn(algorithms, KeySpec ?? '') ? algorithms[KeySpec as string] : undefined;
  if (alg === undefined || KeyUsage !== 'SIGN_VERIFY') throw new UpstreamError('invalid', { step, reason: 'key_type' });
  if (id === undefined || PublicKey === undefined) throw badAnswer(step);
  const { kty, crv, x, y, n, e } = jwkOf(PublicKey, step);
  if (alg === 'ES256' && crv === 'P-256') return { id, alg, publicJwk: { kty: 'EC', crv, x: x ?? '', y: y ?? '' } };
  if (alg === 'RS256' && kty === 'RSA') return { id, alg, publicJwk: { kty, n: n ?? '', e: e ?? '' } };
  throw badAnswer(step);
}

function jwkOf(spki: Uint8Array, step: string): JsonWebKey {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({ format: 'jwk' });
  } catch {
    throw badAnswer(step);
  }
}

function checkBytes(bytes: Uint8Array | undefined, step: string): Uint8Array {
  if (bytes === undefined || bytes.length === 0) throw badAnswer(step);
  return bytes;
}

const badAnswer = (step: string) => new UpstreamError('unreachable', { step, reason: 'bad_answer' });
