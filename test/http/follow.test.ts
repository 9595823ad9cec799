import { afterAll, expect, it } from 'vitest';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { wireAnswerBytes } from '../../src/ledger/wire.ts';
import { decodeFollowed } from '../../src/ledger/wire-following.ts';
import { asking, clockAt, scribe, soon, writer } from '../ledger/fixtures.ts';
import { openBroker } from '../support/broker.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const url = 'https://ledger.test';
const people = testIssuer('https://people.test', url);
const { folder, remove } = temporaryFolder();
const broker = await openBroker(
  {
    broker: { url, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { people: { issuer: people.url, jwks: people.jwks } },
    roles: { follower: { ledger: 'follow' } },
    grants: [{ name: 'standby', identity: { issuer: 'people', subject: 'standby' }, may: ['follower'] }],
  },
  folder,
);
afterAll(async () => {
  await broker.deployment.close();
  remove();
});

it('gives a standby no more than it takes, whatever script it is written in, and always something', async () => {
  const { ledger } = broker.deployment;
  const write = scribe(clockAt(Date.now()), { ...writer, name: url });
  const name = '\u6f22'.repeat(2_000);
  const large = () => write.denial({ credential: name, kind: name, grant: name, request: name, store: name } as never);
  for (let time = 0; time < 15; time++) await ledger.append(asking(...Array.from({ length: 20 }, large)), soon());
  const { size } = await (ledger as Required<Ledger>).reader.head(soon());
  const token = people.token({ sub: 'standby' });
  for (let after = 0; after < size; ) {
    const answer = await broker.ask(`/v1/log/follow?after=${after}&name=frankfurt`, token, 'GET');
    const body = new Uint8Array(await answer.arrayBuffer());
    expect(body.byteLength).toBeLessThanOrEqual(wireAnswerBytes);
    const { copied } = decodeFollowed(body);
    expect(copied?.entries.length).toBeGreaterThan(0);
    after += copied?.entries.length ?? size;
  }
});
