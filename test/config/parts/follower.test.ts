import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { wireAnswerBytes } from '../../../src/ledger/wire.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import { type OpenBroker, openBroker } from '../../support/broker.ts';
import { temporaryFolder } from '../../support/server.ts';

// One ledger in two places: the one `broker.url` of both, and an address of its own for each.

const url = 'https://pass.test';
let folder: string;
let remove: () => void;
let open: OpenBroker[];
let said: Record<string, unknown>[];
/** What an answer to a follower has besides. */
let pad: string;
/** Statuses of what followers were answered, also where it is no line of a log. */
let answered: number[];
/** What was proved with last, by the origin that was asked. */
let shown: Map<string, string>;

beforeEach(() => {
  ({ folder, remove } = temporaryFolder());
  [open, said, pad, shown, answered] = [[], [], '', new Map(), []];
});
afterEach(async () => {
  for (const { deployment } of open.reverse()) await deployment.close();
  remove();
});

/** All addresses lead to the first. */
const fetchFirst = (async (to: string, init?: RequestInit) => {
  const { origin, pathname, search } = new URL(to);
  const token = new Headers(init?.headers).get('authorization');
  if (token !== null) shown.set(origin, token);
  const answer = await (open[0] as OpenBroker).send(`${pathname}${search}`, init);
  if (pathname === '/v1/log/follow') answered.push(answer.status);
  if (pad === '' || answer.status !== 200 || pathname !== '/v1/log/follow') return answer;
  return new Response(`{"pad":"${pad}",${(await answer.text()).slice(1)}`, { headers: answer.headers });
}) as unknown as typeof fetch;

async function place(keys: string, ledger: object, ours: object = {}): Promise<OpenBroker> {
  const log = (_: string, event: string, facts: object = {}) => void said.push({ event, ...facts });
  const opened = await openBroker(
    {
      broker: { url, signer: { kind: 'local', path: join(folder, keys) } },
      ledger: { kind: 'sqlite', ...ledger },
      issuers: { ours: { issuer: url, ...ours } },
      roles: { follower: { ledger: 'follow' } },
      grants: [{ name: 'standby', identity: { issuer: 'ours', subject: 'broker' }, may: ['follower'] }],
    },
    folder,
    { fetch: fetchFirst, log },
  );
  open.push(opened);
  return opened;
}

const sizeOf = async ({ deployment }: OpenBroker) =>
  (await deployment.ledger.reader?.head(deadlineIn(5_000, Date.now)))?.size;
const events = () => said.map(({ event }) => event);

it.each([url, 'https://frankfurt.test'])(
  'a standby is known at %s, whatever its address, by broker.url',
  async (at) => {
    const first = await place('keys', { path: 'first.db' });
    const standby = await place('keys', { path: 'standby.db', follow: { url: at, name: 'frankfurt' } });
    await expect.poll(() => answered, { timeout: 10_000 }).toContain(200);
    await expect.poll(() => sizeOf(standby), { timeout: 10_000 }).toBe(await sizeOf(first));
    expect(events()).not.toContain('follow_failed');
  },
);

it('a standby takes a commit that is larger than any other answer', async () => {
  const first = await place('keys', { path: 'first.db' });
  await first.deployment.ledger.roll?.({ reason: 'ordered' }, deadlineIn(5_000, Date.now));
  pad = 'x'.repeat(wireAnswerBytes);
  const standby = await place('keys', { path: 'standby.db', follow: { url, name: 'frankfurt' } });
  await expect.poll(() => sizeOf(standby), { timeout: 15_000 }).toBe(await sizeOf(first));
  expect(await sizeOf(standby)).toBeGreaterThan(0);
});

it('a standby with keys of its own says what it was answered', async () => {
  await place('keys', { path: 'first.db' });
  await place('others', { path: 'standby.db', follow: { url, name: 'frankfurt' } });
  await expect.poll(events, { timeout: 10_000 }).toContain('follow_failed');
  const [failed] = said.filter(({ event }) => event === 'follow_failed');
  expect(failed).toEqual({ event: 'follow_failed', reason: 'status_401', status: 401, code: 'token_invalid' });
});

const ask = async ({ send }: OpenBroker, authorization: string) =>
  (await send('/v1/log/follow?after=0&name=frankfurt', { headers: { authorization } })).status;

it('what a standby shows at broker.url is for that audience alone', async () => {
  await place('keys', { path: 'first.db' });
  const elsewhere = await place('keys', { path: 'other.db' }, { audience: 'https://other.test' });
  await place('keys', { path: 'standby.db', follow: { url } });
  await expect.poll(() => shown.get(url), { timeout: 10_000 }).toBeDefined();
  const token = shown.get(url) as string;
  expect(JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()).aud).toBe(url);
  expect(await ask(open[0] as OpenBroker, token)).toBe(200);
  expect(await ask(elsewhere, token)).toBe(401);
});

it('what a standby shows at an address of its own, bound to it, is of no use to who answers there, and good at the one that has that audience', async () => {
  const own = 'https://frankfurt.test';
  const first = await place('keys', { path: 'first.db' });
  await place('keys', { path: 'standby.db', follow: { url: own, audience: own } });
  await expect.poll(events, { timeout: 10_000 }).toContain('follow_failed');
  const token = shown.get(own) as string;
  expect(await ask(first, token)).toBe(401);
  const bound = await place('keys', { path: 'bound.db' }, { audience: own });
  expect(await ask(bound, token)).toBe(200);
  // Where nothing binds it, it is as good at the first as at the address that it was shown to.
  await place('keys', { path: 'unbound.db', follow: { url: 'https://paris.test' } });
  await expect.poll(() => shown.get('https://paris.test'), { timeout: 10_000 }).toBeDefined();
  expect(await ask(first, shown.get('https://paris.test') as string)).toBe(200);
});
