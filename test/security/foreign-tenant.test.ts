import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LedgerRecord } from '../../src/ledger/records/record.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// Anybody on a shared issuer can get good tokens for our audience. They must not fill the ledger, nor keep others waiting.

const tokens = Number(process.env.HALLPASS_FOREIGN_TOKENS ?? 1_000);
const url = 'https://pass.test';
const github = testIssuer('https://token.actions.githubusercontent.com', url);
const { folder, remove } = temporaryFolder();
const lines: string[] = [];
const clock = { ms: Date.now() };
let broker: OpenBroker;

const job = (owner: string, at: number) => ({
  sub: 'repo:acme/shop:ref:refs/heads/main',
  repository: 'acme/shop',
  repository_id: '1296269',
  repository_owner: 'acme',
  repository_owner_id: owner,
  event_name: 'push',
  ref: 'refs/heads/main',
  jti: `job-${owner}-${at}`,
});

beforeAll(async () => {
  broker = await openBroker(
    {
      broker: { url, signer: { kind: 'local', path: 'keys' } },
      ledger: { kind: 'sqlite', path: 'ledger.db' },
      issuers: { ci: { preset: 'github-actions', organization: { id: '9919' }, jwks: github.jwks } },
      credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example' } },
      grants: [
        {
          name: 'ci',
          identity: { issuer: 'ci', repository_id: '1296269', event_name: 'push' },
          may: ['partner'],
          ttl: '5m',
        },
      ],
    },
    folder,
    { now: () => clock.ms, log: (_, event) => void lines.push(event) },
  );
});
afterAll(async () => {
  await broker.deployment.close();
  remove();
});

const records = async (): Promise<LedgerRecord[]> => {
  const entries = await broker.deployment.ledger.reader?.list({ limit: 1_000 }, deadlineIn(5_000, Date.now));
  return (entries ?? []).map(({ record }) => parseRecord(record));
};

it(`${tokens} good tokens of a foreign organization leave no record but summaries, and ours is served among them`, async () => {
  const statuses = new Map<number, number>();
  const ours: number[] = [];
  const batch = 100;
  for (let at = 0; at < tokens; at += batch) {
    clock.ms += 60_000 / Math.max(1, tokens / batch / 3);
    const foreign = Array.from({ length: Math.min(batch, tokens - at) }, (_, n) =>
      broker.ask('/v1/credentials/partner', github.token(job('666', at + n))),
    );
    const mine = at % (batch * 10) === 0 ? [broker.ask('/v1/credentials/partner', github.token(job('9919', at)))] : [];
    for (const { status } of await Promise.all(foreign)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    for (const { status } of await Promise.all(mine)) ours.push(status);
  }
  expect([...statuses]).toEqual([[401, tokens]]);
  expect(ours.every((status) => status === 200)).toBe(true);

  clock.ms += 120_000;
  await broker.deployment.recover(deadlineIn(5_000, Date.now));
  const written = await records();
  const of = (type: string) => written.filter((record) => record.type === type);
  const counted = (reason: string) => of('summary').reduce((sum, { counts }) => sum + (counts?.[reason] ?? 0), 0);
  expect(counted('tenant') + counted('unverified')).toBe(tokens);
  // Whoever floods is known by good tokens first; those that were not looked at so closely are not called good.
  expect(counted('tenant')).toBeGreaterThanOrEqual(100);
  expect(counted('unverified')).toBeGreaterThan(tokens / 2);
  expect(of('issuance')).toHaveLength(ours.length);
  expect(of('denial')).toEqual([]);
  // One a minute and issuer, whatever comes.
  expect(of('summary').length).toBeLessThanOrEqual(10);
  const known = new Set(['issuance', 'summary', 'key', 'policy']);
  expect(written.filter(({ type }) => !known.has(type))).toEqual([]);
}, 600_000);

it('a token that is refused unverified is answered as one that was verified', async () => {
  const answers = [];
  for (let n = 0; n < 150; n++) {
    const answer = await broker.ask('/v1/credentials/partner', github.token(job('777', n)));
    const { status, headers } = answer;
    const id = headers.get('x-request-id') ?? '';
    answers.push(JSON.stringify([status, [...headers], await answer.text()]).replaceAll(id, 'ID'));
  }
  expect(new Set(answers).size).toBe(1);
});
