import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { entryOf, everyType } from '../sinks/entries.ts';
import { openSink, soon } from '../sinks/rig.ts';

const region = 'eu-west-1';
const operator = { accessKeyId: '123456789012', secretAccessKey: 'not-a-secret', sessionToken: 'not-a-token' };
const ambient = {
  AWS_ACCESS_KEY_ID: operator.accessKeyId,
  AWS_SECRET_ACCESS_KEY: operator.secretAccessKey,
  AWS_SESSION_TOKEN: operator.sessionToken,
};
const entries = [entryOf(everyType.issuance, 0), entryOf(everyType.denial, 1)];
const key = 'audit/2026/11/22/12/pass.example.com/ledger-000000000000-000000000001.ndjson';
const lacking = lacks('ministack');

describe.skipIf(lacking !== undefined)(`copies in S3, as ministack has it ${lacking ?? ''}`, () => {
  let server: RealServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await startReal('ministack');
    s3 = new S3Client({ region, endpoint: server.url, credentials: operator, forcePathStyle: true });
    await s3.send(new CreateBucketCommand({ Bucket: 'copies' }));
    await s3.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
  }, 60_000);
  afterAll(() => server?.stop());

  const sinkIn = (bucket: string, more: Record<string, unknown> = {}) =>
    openSink({ kind: 's3', bucket, region, endpoint: server.url, prefix: 'audit/', ...more }, { env: ambient });
  const textAt = async (bucket: string, at: string) =>
    (await s3.send(new GetObjectCommand({ Bucket: bucket, Key: at }))).Body?.transformToString();

  const keys = async (bucket: string) => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return Contents.map(({ Key }) => Key as string);
  };

  it('are put once, whatever was answered the first time', async () => {
    const sink = await sinkIn('copies');
    await sink.deliver?.(entries, soon());
    const first = await textAt('copies', key);
    expect(
      first
        ?.trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).index),
    ).toEqual([0, 1]);
    await sink.deliver?.(entries, soon());
    expect(await keys('copies')).toEqual([key]);
  });

  it('are put beside those of other records in the same places', async () => {
    const sink = await sinkIn('copies');
    const first = await textAt('copies', key);
    await sink.deliver?.([entries[0] as (typeof entries)[0], entryOf(everyType.failure, 1)], soon());
    expect(await textAt('copies', key)).toBe(first);
    const [beside, ...others] = (await keys('copies')).filter((one) => one !== key);
    expect(others).toEqual([]);
    expect(beside).toMatch(/-000000000000-000000000001-[0-9a-f]{16}\.ndjson$/);
    expect(await textAt('copies', beside as string)).toContain('"type":"failure"');
  });

  it('are locked for as long as the config says', async () => {
    const sink = await sinkIn('locked', { lock: { mode: 'compliance', days: 30 } });
    await sink.deliver?.(entries, soon());
    const { Retention } = await s3.send(new GetObjectRetentionCommand({ Bucket: 'locked', Key: key }));
    expect(Retention?.Mode).toBe('COMPLIANCE');
    const days = (Number(Retention?.RetainUntilDate) - Date.now()) / 86_400_000;
    expect(Math.abs(days - 30)).toBeLessThan(1);
  });

  it('keep checkpoints under origin and size, and tell of another that came', async () => {
    const sink = await sinkIn('copies', { send: 'checkpoints', prefix: 'heads/' });
    const checkpoint = { log: 'pass.example.com/ledger~2', size: 7, note: 'first', known: 0, prove: async () => [] };
    await sink.publish?.(checkpoint, soon());
    await sink.publish?.(checkpoint, soon());
    await expect(sink.publish?.({ ...checkpoint, note: 'second' }, soon())).rejects.toMatchObject({
      fault: 'damaged',
      facts: { reason: 'other_checkpoint' },
    });
    expect(await textAt('copies', 'heads/pass.example.com/ledger~2/7')).toBe('first');
  });

  it('say which bucket there is not', async () => {
    const sink = await sinkIn('no-such-bucket');
    await expect(sink.deliver?.(entries, soon())).rejects.toMatchObject({
      fault: 'absent',
      facts: { code: 'NoSuchBucket' },
    });
  });
});
