import type { JsonWebKey } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { makeSts, type Role } from '../fakes/aws-sts.ts';
import { startS3 } from '../fakes/s3.ts';
import { soon } from '../sinks/rig.ts';
import { openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

const role = 'arn:aws:iam::123456789012:role/audit';

describe('a sink that logs in by Hallpass’s own assertion', () => {
  it('is a session in the ledger before the cloud hears of it, and is copied there itself', async () => {
    const keys: JsonWebKey[] = [];
    const trust: Role = {
      role,
      issuer: 'https://pass.test',
      subject: 'broker:pass.test',
      audience: 'sts.amazonaws.com',
      keys,
    };
    const sts = makeSts([trust], Date.now);
    const s3 = await startS3(sts);
    const at = { endpoint: s3.server.url, sts: s3.server.url };
    const issuer = testIssuer('https://issuer.test', 'https://pass.test');
    const { deployment } = await openBroker(
      embeddedConfig(folder, issuer, {
        stores: { here: { kind: 'env', prefix: 'TEST_' } },
        sinks: { archive: { kind: 's3', bucket: 'audit', region: 'eu-west-1', assume: role, every: '1s', ...at } },
      }),
      folder,
    );
    try {
      keys.push(...(await deployment.keys(soon())).assertions);
      await deployment.ledger.ready(soon());
      await deployment.recordStoreWrite('here', '2', soon());
      const pass = async () => {
        await deployment.forwarder?.run(soon());
        await new Promise((resolve) => setTimeout(resolve, 20));
      };
      while (s3.objects.size === 0) await pass();
      expect(sts.assumed).toHaveLength(1);
      expect(sts.assumed[0]).toMatchObject({ role, tags: { 'hallpass-store': 'sinks/archive' } });
      const sessions = await deployment.ledger.reader?.list({ type: 'session', limit: 10 }, soon());
      expect(sessions?.map(({ record }) => JSON.parse(record))).toMatchObject([
        { store: 'sinks/archive', audience: 'sts.amazonaws.com', identity: { issuer: 'self' } },
      ]);
      const wanted = sessions?.[0]?.leaf;
      const copied = () =>
        [...s3.objects.values()].flatMap(({ body }) =>
          body
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line).index),
        );
      while (!copied().includes(wanted)) await pass();
      expect(copied()).toEqual(copied().toSorted((a, b) => a - b));
    } finally {
      await deployment.close();
      await s3.server.close();
    }
  });
});
