import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { httpLedger } from '../../../src/ledger/drivers/http.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { recordText } from '../../../src/ledger/records/record.ts';
import { vkeyAs } from '../../../src/ledger/tree/note.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import type { Platform } from '../../../src/lib/platform.ts';
import { newUlid } from '../../../src/lib/ulid.ts';
import { logInMemory } from './log-in-memory.ts';

const origin = 'central.example/ledger';
const platform: Platform = {
  runtime: 'node',
  now: Date.now,
  random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
  fetch: (url, init) => fetch(url, init),
  log: () => {},
  env: {},
  instance: 'test',
};
const writer = { name: 'https://edge.example', instance: 'test', version: '0' };

type Fault = (request: IncomingMessage, response: ServerResponse, records: readonly string[]) => void;

let log = logInMemory(origin);
let fault: Fault | undefined;
let seen: { url?: string; authorization?: string; body: Record<string, unknown> }[] = [];
let server: Server;
let shownKey: string | undefined;
let url: string;

const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
const answer = (response: ServerResponse, receipts: readonly unknown[]) =>
  json(response, { receipts, minted: receipts.map(() => null) });

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString());
    seen.push({ url: request.url, authorization: request.headers.authorization, body });
    if (fault !== undefined) return fault(request, response, body.records);
    if (request.url === '/readyz') return json(response, { status: 'ok' });
    if (request.url === '/v1/log/key') return response.writeHead(shownKey === undefined ? 404 : 200).end(shownKey);
    answer(response, log.append(body.records));
  });
  await listen(0);
});
afterAll(() => close());
beforeEach(() => {
  log = logInMemory(origin);
  fault = undefined;
  seen = [];
  shownKey = undefined;
});

async function listen(port: number): Promise<void> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
async function close(): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

const soonEnough = () => deadlineIn(2_000, Date.now);

async function open(assertion: () => Promise<string> = async () => 'assertion'): Promise<Ledger> {
  const { open } = await httpLedger.load();
  return open({ kind: 'http', url, key: log.vkey }, { platform, origin, writer, assertion });
}

let next = 0;
const record = () => `{"n":${next++}}`;
const append = (ledger: Ledger, records: readonly string[] = [record()], ms = 400) =>
  ledger.append(
    { entries: records.map((record) => ({ record, disclosure: null })), epoch: 2, policy: 'sha256:p' },
    deadlineIn(ms, Date.now),
  );

/** Each fault of a ledger elsewhere, and the word the operator's log gets for it. */
const faults: Readonly<Record<string, [reason: string, fault: Fault]>> = {
  'resets the connection': ['unreachable', (request) => request.socket.resetAndDestroy()],
  'never answers': ['timeout', () => {}],
  'drips its answer, a byte in 50 ms': [
    'timeout',
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(drip));
    },
  ],
  'closes in the middle of its answer': [
    'truncated',
    (request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"receipts":');
      setTimeout(() => request.socket.destroy(), 20);
    },
  ],
  'answers 500': ['status_500', (_, response) => json(response, { code: 'internal' }, 500)],
  'answers 401': ['status_401', (_, response) => json(response, { code: 'token_invalid' }, 401)],
  'answers 302 to a ledger that would answer well': [
    'redirect',
    (_, response) => response.writeHead(302, { location: `${url}/elsewhere` }).end(),
  ],
  'answers 200 with nothing': ['garbage', (_, response) => response.writeHead(200).end()],
  'answers 200 with a web page': ['garbage', (_, response) => response.writeHead(200).end('<html>ok</html>')],
  'answers 200 with an empty object': ['garbage', (_, response) => json(response, {})],
  'answers 204': ['status_204', (_, response) => response.writeHead(204).end()],
  'answers without end': [
    'too_large',
    (_, response) => {
      const chunk = 'x'.repeat(1024 * 1024);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    },
  ],
  'gives no receipt': ['garbage', (_, response) => json(response, { receipts: [], minted: [] })],
  'proves another record than was sent': [
    'receipt_proof',
    (_, response) => answer(response, log.append(['{"n":"another"}'])),
  ],
  'signs with another key of the same name': [
    'receipt_key',
    (_, response, records) => answer(response, logInMemory(origin, new Uint8Array(32).fill(2)).append(records)),
  ],
  'is another log': ['receipt_key', (_, response, records) => answer(response, logInMemory('evil').append(records))],
  'calls another log by our name': [
    'receipt_key',
    (_, response, records) =>
      answer(
        response,
        logInMemory('evil')
          .append(records)
          .map((receipt) => ({ ...receipt, log: origin })),
      ),
  ],
  'cuts the proof short': [
    'receipt_proof',
    (_, response, records) => {
      log.append(['a', 'b', 'c']);
      const [receipt] = log.append(records);
      const lines = receipt?.proof.split('\n') as string[];
      lines.splice(2, 1);
      answer(response, [{ ...receipt, proof: lines.join('\n') }]);
    },
  ],
  'gives a proof without checkpoint': [
    'receipt_proof',
    (_, response, records) =>
      answer(
        response,
        log.append(records).map((receipt) => ({ ...receipt, proof: receipt.proof.split('\n\n')[0] })),
      ),
  ],
  'names another index than it proves': [
    'receipt_proof',
    (_, response, records) =>
      answer(
        response,
        log.append(records).map((receipt) => ({ ...receipt, index: receipt.index + 1 })),
      ),
  ],
  'proves another index than it names': [
    'receipt_proof',
    (_, response, records) => {
      log.append(['a']);
      answer(
        response,
        log.append(records).map((receipt) => ({
          ...receipt,
          index: 0,
          proof: receipt.proof.replace('index 1\n', 'index 0\n'),
        })),
      );
    },
  ],
};

describe('a ledger elsewhere', () => {
  test('takes an append: records, disclosures, epoch and policy, as the writer, proved', async () => {
    const ledger = await open();
    log.append(['already there']);
    const sent = record();
    const result = await ledger.append(
      { entries: [{ record: sent, disclosure: null }], epoch: 2, policy: 'sha256:p', once: 'digest' },
      deadlineIn(400, Date.now),
    );
    expect(result).toEqual({ receipts: [{ ...log.receipt(1), record: sent }], minted: [null] });
    expect(seen).toEqual([
      {
        url: '/v1/log/entries',
        authorization: 'Bearer assertion',
        body: { records: [sent], disclosures: [null], epoch: 2, policy: 'sha256:p', once: 'digest' },
      },
    ]);
  });

  test('is not ready where it is under another key than the pinned one, and is asked for its key once', async () => {
    const ledger = await open();
    shownKey = `${logInMemory(origin, new Uint8Array(32).fill(2)).vkey}\n`;
    await expect(ledger.ready(soonEnough())).rejects.toMatchObject({ reason: 'receipt_key' });
    // The same key under the name of a later log, as one key signs all.
    shownKey = `${vkeyAs(log.vkey, `${origin}~2`)}\n`;
    await ledger.ready(soonEnough());
    shownKey = 'no matter\n';
    await ledger.ready(soonEnough());
    expect(seen.filter(({ url }) => url === '/v1/log/key')).toHaveLength(2);
  });

  test('is ready by its own word where it shows no key', async () => {
    await (await open()).ready(soonEnough());
    expect(seen.map(({ url }) => url)).toEqual(['/readyz', '/v1/log/key']);
  });

  describe.each(Object.entries(faults))('that %s', (_, [reason, make]) => {
    test(`is ledger_unavailable (${reason}) by the deadline, and well right after`, async () => {
      const ledger = await open();
      fault = make;
      const started = Date.now();
      await expect(append(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason });
      expect(Date.now() - started).toBeLessThan(1_500);
      fault = undefined;
      await expect(append(ledger, undefined, 2_000)).resolves.toMatchObject({ minted: [null] });
    });
  });

  test('that refuses connections is ledger_unavailable, and well once it listens', async () => {
    const ledger = await open();
    const { port } = server.address() as AddressInfo;
    await close();
    await expect(append(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'unreachable' });
    await listen(port);
    await expect(append(ledger, undefined, 2_000)).resolves.toMatchObject({ minted: [null] });
  });

  test('that shows a smaller tree than it has shown is ledger_unavailable', async () => {
    const ledger = await open();
    await append(ledger, [record(), record(), record()]);
    fault = (_, response, records) => answer(response, logInMemory(origin).append(records));
    await expect(append(ledger)).rejects.toMatchObject({ reason: 'receipt_smaller_tree' });
    fault = undefined;
    await expect(append(ledger, undefined, 2_000)).resolves.toMatchObject({ minted: [null] });
  });

  describe('that goes on in another log', () => {
    const begin = (facts: object) =>
      recordText({
        v: 1,
        type: 'roll',
        id: newUlid(Date.now(), platform.random),
        time: new Date().toISOString(),
        writer,
        state: 'begin',
        ...facts,
      });

    /** Answers from the log of that name, and shows how the second log began. */
    function serve(name: string, facts?: object, claims: unknown[] = []) {
      const one = logInMemory(origin + name);
      const first = facts === undefined ? undefined : begin(facts);
      if (first !== undefined) one.append([first]);
      let claimed = first;
      fault = (request, response, records) => {
        if (!request.url?.startsWith('/v1/log/succession')) return answer(response, one.append(records));
        if (request.method === 'POST') {
          claims.push(seen.at(-1)?.body.checkpoint);
          claimed = begin({ ...facts, size: 2, kept: 1 });
          one.append([claimed]);
        }
        const items = [{ ...one.receipt(0), record: first }];
        if (claimed !== first) items.push({ ...one.receipt(one.size() - 1), record: claimed });
        json(response, { items });
      };
    }
    const root = `${'r'.repeat(42)}A`;
    const grow = async (ledger: Ledger) => {
      await append(ledger, undefined, 2_000);
      await append(ledger, undefined, 2_000);
    };

    test('is held to the tree of each of its logs: a shard may be smaller than another, a later one than the one before', async () => {
      const ledger = await open();
      serve('/0');
      await grow(ledger);
      serve('/1');
      await grow(ledger);
      serve('/0~2', { log: `${origin}/0`, size: 3, root });
      await grow(ledger);
      for (const name of ['/0', '/0~2', '/1']) {
        serve(name);
        await expect(append(ledger), name).rejects.toMatchObject({ reason: 'receipt_smaller_tree' });
      }
    });

    test.each([
      ['says nothing of the one before', undefined],
      ['follows another one', { log: `${origin}/7`, size: 9, root }],
      ['has another root for the very tree that was seen', { log: origin, size: 2, root }],
    ])('is not believed where its first entry %s', async (_, facts) => {
      const ledger = await open();
      serve('');
      await grow(ledger);
      serve('~2', facts);
      const { reason } = (await append(ledger).catch((error) => error)) as { reason: string };
      expect(['garbage', 'receipt_proof', 'receipt_succession']).toContain(reason);
    });

    test('is shown the larger tree it does not know of, and believed once it says that it is lost', async () => {
      const ledger = await open();
      serve('');
      await append(ledger, undefined, 2_000);
      const last = (await append(ledger, undefined, 2_000)).receipts[0]?.proof ?? '';
      const claims: unknown[] = [];
      const [, , known] = last.slice(last.indexOf('\n\n') + 2).split('\n');
      const lostRoot = Buffer.from(known as string, 'base64').toString('base64url');
      serve('~2', { log: origin, size: 1, root: lostRoot, kept: 1 }, claims);
      await expect(append(ledger, undefined, 2_000)).resolves.toMatchObject({ receipts: [{ log: `${origin}~2` }] });
      expect(claims).toEqual([last.slice(last.indexOf('\n\n') + 2)]);
      serve('');
      await expect(append(ledger)).rejects.toMatchObject({ reason: 'receipt_smaller_tree' });
    });
  });

  test('is not believed once it shows another tree of a size it has shown', async () => {
    const ledger = await open();
    await append(ledger);
    log = logInMemory(origin);
    await expect(append(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'receipt_other_tree' });
  });

  describe('that has a standby', () => {
    const asked: string[] = [];
    let promoted = false;
    let away = false;
    const young = () => {
      const one = logInMemory(`${origin}~2`);
      one.append(['{}']);
      return one;
    };
    let next = young();
    let ahead = 0;

    /** Two places behind one fetch: the ledger of this file, and its standby. */
    async function openBoth(): Promise<Ledger> {
      const { open: openLedger } = await httpLedger.load();
      return openLedger(
        { kind: 'http', url, standby: 'https://standby.example', key: log.vkey },
        {
          platform: {
            ...platform,
            now: () => Date.now() + ahead,
            async fetch(to, init) {
              const { host, pathname } = new URL(to);
              asked.push(`${host === 'standby.example' ? 'standby' : 'first'} ${pathname}`);
              if (host !== 'standby.example') {
                if (away) throw new TypeError('fetch failed');
                return fetch(to, init);
              }
              if (!promoted) return new Response('{}', { status: 503 });
              if (pathname === '/readyz') return new Response('{}');
              const { records } = JSON.parse(String(init.body)) as { records: string[] };
              return Response.json({ receipts: next.append(records), minted: records.map(() => null) });
            },
          },
          origin,
          writer,
          assertion: async () => 'assertion',
        },
      );
    }
    beforeEach(() => {
      asked.length = 0;
      next = young();
      [promoted, away, ahead] = [false, false, 0];
    });

    test('asks it where the first does not answer, and says no more than the first while it is not promoted', async () => {
      const ledger = await openBoth();
      await append(ledger, undefined, 2_000);
      away = true;
      await expect(append(ledger, undefined, 2_000)).rejects.toMatchObject({ reason: 'unreachable' });
      expect(asked.slice(-2)).toEqual(['first /v1/log/entries', 'standby /v1/log/entries']);
    });

    test('listens, where it knows nothing yet, to the standby that was promoted and not to the first', async () => {
      promoted = true;
      const ledger = await openBoth();
      const { receipts } = await append(ledger, undefined, 2_000);
      expect(receipts[0]?.log).toBe(`${origin}~2`);
      expect(asked).toEqual(['standby /readyz', 'standby /v1/log/entries']);
    });

    test('looks whether it was promoted though the clock was set back meanwhile', async () => {
      ahead = 3_600_000;
      const ledger = await openBoth();
      await append(ledger, undefined, 2_000).catch(() => {});
      ahead = 0;
      asked.length = 0;
      await append(ledger, undefined, 2_000).catch(() => {});
      expect(asked).toContain('standby /readyz');
    });

    test('never goes back to a log that is over, and leaves whoever answers from it', async () => {
      promoted = true;
      const ledger = await openBoth();
      await append(ledger, undefined, 2_000);
      promoted = false;
      await expect(append(ledger, undefined, 2_000)).rejects.toMatchObject({ reason: 'receipt_smaller_tree' });
      promoted = true;
      await expect(append(ledger, undefined, 2_000)).resolves.toMatchObject({ receipts: [{ log: `${origin}~2` }] });
    });
  });

  test('may answer late from a tree that was not yet smaller when it was asked', async () => {
    const ledger = await open();
    let release = () => {};
    fault = (_, response, records) => {
      const receipts = log.append(records);
      release = () => answer(response, receipts);
    };
    const early = append(ledger, undefined, 2_000);
    await expect.poll(() => seen.length).toBe(1);
    fault = undefined;
    await append(ledger, undefined, 2_000);
    release();
    await expect(early).resolves.toMatchObject({ receipts: [{ index: 0 }] });
  });

  test('is not asked when this broker cannot prove itself in time', async () => {
    const hanging = await open(() => new Promise(() => {}));
    await expect(append(hanging, undefined, 50)).rejects.toMatchObject({
      code: 'ledger_unavailable',
      reason: 'timeout',
    });
    const failing = await open(() => Promise.reject(new Error('no key')));
    await expect(append(failing)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'no_assertion' });
    expect(seen).toEqual([]);
  });

  test('is not asked when no time is left', async () => {
    const ledger = await open();
    await expect(append(ledger, undefined, 0)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'timeout' });
    expect(seen).toEqual([]);
  });

  test('is ready when its own /readyz says so, asked without a token', async () => {
    const ledger = await open();
    await ledger.ready(deadlineIn(1_000, Date.now));
    const asked = (url: string) => ({ url, authorization: undefined, body: {} });
    expect(seen).toEqual([asked('/readyz'), asked('/v1/log/key')]);
    fault = (_, response) => json(response, {}, 503);
    await expect(ledger.ready(deadlineIn(1_000, Date.now))).rejects.toMatchObject({ reason: 'status_503' });
  });

  test('lists what this broker wrote, and garbage is not a list', async () => {
    const ledger = await open();
    const items = [{ index: 3, record: '{}', disclosure: null }];
    fault = (_, response) => json(response, { items });
    const deadline = () => deadlineIn(1_000, Date.now);
    expect(await ledger.issuance('01jd9m0000000000000000000a', deadline())).toEqual(items);
    expect(await ledger.pending('open', deadline())).toEqual(items);
    expect(seen.map((call) => call.url)).toEqual([
      '/v1/log/issuances/01jd9m0000000000000000000a',
      '/v1/log/issuances?state=open',
    ]);
    fault = (_, response) => json(response, { items: [{}] });
    await expect(ledger.pending('expired', deadline())).rejects.toMatchObject({ reason: 'garbage' });
  });

  test('is known by its pinned key, asked for nothing', async () => {
    const ledger = await open();
    expect(await ledger.key(deadlineIn(1, Date.now))).toBe(log.vkey);
    expect(ledger).toMatchObject({ origin, elsewhere: url });
    expect(ledger.reader).toBeUndefined();
    expect(seen).toEqual([]);
  });
});

describe('the config of an http ledger', () => {
  const good = { kind: 'http', url: 'https://central.example', key: logInMemory(origin).vkey };
  const faultsOf = (config: object) => httpLedger.check?.(config)?.map(({ path }) => path.join('.'));

  test('is fine with a url and the key of its log', () => {
    expect(faultsOf(good)).toEqual([]);
    expect(faultsOf({ ...good, origin })).toEqual([]);
  });

  test.each<[string, object, string]>([
    ['a url in the clear', { url: 'http://central.example' }, 'url'],
    ['a url that ends in a slash', { url: 'https://central.example/' }, 'url'],
    ['a key whose hash is not its own', { key: good.key.replace(/\+[0-9a-f]{8}\+/, '+00000000+') }, 'key'],
    ['a key that is cut off', { key: good.key.slice(0, -4) }, 'key'],
    ['an origin that is not the name in the key', { origin: 'other' }, 'origin'],
  ])('is refused with %s', (_, change, path) => {
    expect(faultsOf({ ...good, ...change })).toEqual([path]);
  });
});
