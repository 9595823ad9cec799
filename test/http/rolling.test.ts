import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LogFacts } from '../../src/lib/platform.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const url = 'https://ledger.test';
const people = testIssuer('https://people.test', url);
const { folder, remove } = temporaryFolder();
let broker: OpenBroker;
const lines: { event: string; facts: LogFacts }[] = [];

beforeAll(async () => {
  broker = await openBroker(
    {
      broker: { url, signer: { kind: 'local', path: 'keys' } },
      ledger: { kind: 'sqlite', path: 'ledger.db', public: true },
      issuers: { people: { issuer: people.url, jwks: people.jwks } },
      roles: {
        keeper: { ledger: ['roll', 'append'], writer: 'https://edge.test' },
        follower: { ledger: 'follow' },
        auditor: { audit: 'read' },
      },
      grants: ['keeper', 'follower', 'auditor'].map((role) => ({
        name: role,
        identity: { issuer: 'people', subject: role },
        may: [role],
      })),
    },
    folder,
    { log: (_, event, facts = {}) => void lines.push({ event, facts }) },
  );
});
afterAll(async () => {
  await broker.deployment.close();
  remove();
});

const as = (subject: string) => people.token({ sub: subject });
const json = async (response: Response) => ({ status: response.status, body: await response.json() });

it('closes the log for a role with `ledger: roll`, once for one generation, and for nobody else', async () => {
  expect((await broker.ask('/v1/log/roll', as('auditor'))).status).toBe(403);
  const post = (body: object) =>
    broker.send('/v1/log/roll', {
      method: 'POST',
      headers: { authorization: `Bearer ${as('keeper')}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const log = 'ledger.test/ledger~2';
  expect(await json(await post({ generation: 1 }))).toEqual({
    status: 200,
    body: { logs: [{ log, generation: 2, done: true }] },
  });
  expect(await json(await post({ generation: 1 }))).toEqual({
    status: 200,
    body: { logs: [{ log, generation: 2, done: false }] },
  });
  // Once, as only one of the two closed it.
  expect(lines.filter(({ event }) => event === 'log_rolled')).toEqual([{ event: 'log_rolled', facts: { log } }]);
});

it('serves a closed log under its generation, and no other', async () => {
  const first = await (await broker.send('/v1/log/~1/checkpoint')).text();
  const newest = await (await broker.send('/v1/log/checkpoint')).text();
  expect([first.split('\n')[0], newest.split('\n')[0]]).toEqual(['ledger.test/ledger', 'ledger.test/ledger~2']);
  const size = Number(first.split('\n')[1]);
  expect((await (await broker.send(`/v1/log/~1/tile/0/000.p/${size}`)).arrayBuffer()).byteLength).toBe(32 * size);
  for (const path of ['~9/checkpoint', '~0/checkpoint', '7~1/checkpoint', 'x/checkpoint', '~1/tile/0/001'])
    expect((await broker.send(`/v1/log/${path}`)).status, path).toBe(404);
});

it('lets nobody keep a tile under a path that its successor has as well', async () => {
  const caching = async (path: string) => (await broker.send(`/v1/log/${path}`)).headers.get('cache-control');
  expect(await caching('tile/0/000.p/1')).toBe('no-store');
  for (const path of ['~1/tile/0/000.p/1', '~2/tile/0/000.p/1']) expect(await caching(path), path).toMatch(/immutable/);
  const bytes = async (path: string) =>
    Buffer.from(await (await broker.send(`/v1/log/${path}tile/0/000.p/1`)).arrayBuffer()).toString('hex');
  expect(await bytes('')).toBe(await bytes('~2/'));
  expect(await bytes('')).not.toBe(await bytes('~1/'));
});

it('tells a writer how later logs began, and nobody else', async () => {
  const { status, body } = await json(await broker.ask('/v1/log/succession?after=1', as('keeper'), 'GET'));
  expect([status, body.items.length, body.items[0].log]).toEqual([200, 1, 'ledger.test/ledger~2']);
  expect((await broker.ask('/v1/log/succession?after=1', as('auditor'), 'GET')).status).toBe(403);
  expect((await broker.ask('/v1/log/succession?after=1&log=other', as('keeper'), 'GET')).status).toBe(404);
});

it('gives a standby the entries with what was disclosed, and remembers how far it is', async () => {
  const path = '/v1/log/follow?after=0&name=frankfurt';
  const { status, body } = await json(await broker.ask(path, as('follower'), 'GET'));
  expect([status, body.copied.from, body.copied.generation]).toEqual([200, 0, 1]);
  expect(body.copied.entries.some(({ disclosure }: { disclosure: string | null }) => disclosure !== null)).toBe(true);
  expect((await broker.ask(path, as('auditor'), 'GET')).status).toBe(403);
  expect((await broker.ask('/v1/log/follow?after=3&name=frankfurt', as('follower'), 'GET')).status).toBe(200);
  const { texts } = broker.deployment.ledger;
  expect(await texts?.read('standby:frankfurt', { left: () => 1_000 } as never)).toMatch(/^{"confirmed":3,/);
});

it('has no line in the operator’s log for a standby that asks, twice a second, and gets nothing new', async () => {
  const asked = async (after: number, who = 'follower') => {
    const before = lines.length;
    const answer = await broker.ask(`/v1/log/follow?after=${after}&name=frankfurt`, as(who), 'GET');
    const told = lines.slice(before).filter(({ event }) => event === 'request');
    return { answer, told: told.map(({ facts }) => facts.status) };
  };
  const first = await asked(0);
  expect(first.told).toEqual([200]);
  let after = 0;
  for (let many = 1; many > 0; ) {
    const { copied } = (await (await asked(after)).answer.json()) as { copied?: { entries: unknown[] } };
    many = copied?.entries.length ?? 0;
    after += many;
  }
  const idle = await asked(after);
  expect([idle.answer.status, idle.told]).toEqual([200, []]);
  expect((await asked(after, 'auditor')).told).toEqual([403]);
});
