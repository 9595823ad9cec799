import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { open } from '../../src/keys/aws-kms/kms.ts';
import { members } from '../../src/keys/aws-kms/members.ts';
import type { KmsVersion } from '../../src/keys/kms.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import type { UpstreamError } from '../../src/lib/upstream.ts';
import { describeKms, verifies } from '../contracts/kms.ts';
import { type FakeAws, refuse, startAws } from '../fakes/aws.ts';
import { Refused } from '../fakes/aws-secrets.ts';

const started: FakeAws[] = [];
afterAll(() => Promise.all(started.map((aws) => aws.close())));

async function rig(env?: Record<string, string>) {
  const aws = await startAws();
  started.push(aws);
  const deps = { now: Date.now, ...nodeIo('.'), env: env ?? aws.platform() };
  const kms = (key: string, more = {}) => open({ key, region: 'eu-west-1', endpoint: aws.url, ...more }, deps);
  return { aws, kms };
}

describeKms(
  'aws-kms',
  { noRotation: 'an asymmetric key of AWS has one version; the operator makes a key and moves the alias', never: {} },
  async () => {
    const { aws, kms } = await rig();
    aws.kms.make('ECC_NIST_P256', 'alias/ec');
    aws.kms.make('RSA_2048', 'alias/rsa');
    aws.kms.make('SYMMETRIC_DEFAULT', 'alias/wrap');
    const instead = (answer: ReturnType<typeof refuse> | 'reset' | 'hang') => async () => {
      aws.server.instead = () => answer;
    };
    return {
      signing: { ES256: kms('alias/ec'), RS256: kms('alias/rsa') },
      sealing: kms('alias/ec', { wrap: 'alias/wrap' }),
      provoke: {
        denied: instead(refuse(new Refused('AccessDeniedException'))),
        unreachable: instead('reset'),
        slow: instead('hang'),
      },
    };
  },
);

const soon = () => deadlineIn(5_000, Date.now);
const factsOf = (work: Promise<unknown>) =>
  work.then(
    () => 'it did not reject',
    ({ fault, facts }: UpstreamError) => ({ fault, ...facts, cause: undefined }),
  );

describe('aws-kms', () => {
  it('goes on signing with the key it published when its alias has moved on', async () => {
    const { aws, kms } = await rig();
    aws.kms.make('ECC_NIST_P256', 'alias/hallpass');
    const key = kms('alias/hallpass');
    const [first] = (await key.versions(soon())) as [KmsVersion];
    aws.kms.make('RSA_2048', 'alias/hallpass');
    const [second] = (await key.versions(soon())) as [KmsVersion];
    expect([first.alg, second.alg]).toEqual(['ES256', 'RS256']);
    const data = randomBytes(64);
    for (const version of [first, second])
      expect(verifies(version, data, await key.sign(version, data, soon()))).toBe(true);
  });

  it('gives KMS the digest of what is longer than it takes', async () => {
    const { aws, kms } = await rig();
    for (const spec of ['ECC_NIST_P256', 'RSA_2048'] as const) {
      aws.kms.make(spec, 'alias/hallpass');
      const key = kms('alias/hallpass');
      const [version] = (await key.versions(soon())) as [KmsVersion];
      for (const length of [1, 4096, 4097, 100_000]) {
        const data = randomBytes(length);
        expect(verifies(version, data, await key.sign(version, data, soon())), `${spec} ${length}`).toBe(true);
      }
    }
  });

  it('refuses a key of a kind it has no algorithm for', async () => {
    const { aws, kms } = await rig();
    aws.kms.make('ECC_NIST_P384', 'alias/hallpass');
    expect(await factsOf(kms('alias/hallpass').versions(soon()))).toEqual({
      fault: 'invalid',
      step: 'versions',
      reason: 'key_type',
    });
  });

  it('says what is wrong with the key: absent, switched off, not for this', async () => {
    const { aws, kms } = await rig();
    expect(await factsOf(kms('alias/none').versions(soon()))).toMatchObject({
      fault: 'absent',
      code: 'NotFoundException',
    });
    const made = aws.kms.make('SYMMETRIC_DEFAULT', 'alias/wrap');
    expect(await factsOf(kms('alias/wrap').versions(soon()))).toMatchObject({ code: 'UnsupportedOperationException' });
    made.disabled = true;
    expect(await factsOf(kms('alias/wrap').encrypt(randomBytes(32), soon()))).toMatchObject({ fault: 'disabled' });
  });

  it('opens nothing that was sealed for another purpose', async () => {
    const { aws, kms } = await rig();
    const { arn } = aws.kms.make('SYMMETRIC_DEFAULT', 'alias/wrap');
    const Plaintext = randomBytes(32).toString('base64');
    const input = { KeyId: arn, Plaintext, EncryptionContext: { purpose: 'other' } };
    const { CiphertextBlob } = aws.kms.actions.Encrypt(input) as { CiphertextBlob: string };
    const sealed = Buffer.from(CiphertextBlob, 'base64');
    expect(await factsOf(kms('alias/wrap').decrypt(sealed, soon()))).toMatchObject({ fault: 'damaged' });
  });

  it('takes no signature that is by another key, or none', async () => {
    const { aws, kms } = await rig();
    const { arn } = aws.kms.make('ECC_NIST_P256', 'alias/hallpass');
    const [version] = (await kms('alias/hallpass').versions(soon())) as [KmsVersion];
    const good = aws.kms.actions.Sign({
      KeyId: arn,
      Message: 'AAAA',
      MessageType: 'RAW',
      SigningAlgorithm: 'ECDSA_SHA_256',
    });
    for (const wrong of [{ KeyId: 'other' }, { Signature: 'AAAA' }, { Signature: undefined }]) {
      aws.server.instead = () => ({ status: 200, body: JSON.stringify({ ...good, ...wrong }) });
      expect(await factsOf(kms('alias/hallpass').sign(version, randomBytes(8), soon()))).toMatchObject({
        fault: 'unreachable',
        reason: 'bad_answer',
      });
    }
  });

  it('asks nobody where the platform gives no identity, or a key that lives long', async () => {
    for (const [env, reason] of [
      [{}, 'no_ambient_identity'],
      [{ AWS_ACCESS_KEY_ID: 'AKIAOFNOBODY0000000', AWS_SECRET_ACCESS_KEY: 'not-a-secret' }, 'long_lived_key'],
    ] as const) {
      const { aws, kms } = await rig(env);
      expect(await factsOf(kms('alias/hallpass').versions(soon()))).toMatchObject({
        fault: 'denied',
        step: 'identity',
        reason,
      });
      expect(aws.server.calls).toEqual([]);
    }
  });

  it.each([
    ['alias/hallpass', true],
    ['1234abcd-12ab-34cd-56ef-1234567890ab', true],
    ['mrk-1234abcd12ab34cd56ef1234567890ab', true],
    ['arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab', true],
    ['arn:aws-cn:kms:cn-north-1:123456789012:alias/hallpass', true],
    ['hallpass', false],
    ['arn:aws:iam::123456789012:role/x', false],
    ['alias/', false],
    ['alias/a b', false],
  ])('takes %s for the name of a key: %s', (key, fine) => {
    expect(s.safeParse(s.strictObject(members), { key, region: 'eu-west-1' }).success).toBe(fine);
  });
});
