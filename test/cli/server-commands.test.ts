import { afterEach, describe, expect, it, vi } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { fakeTerminal } from './fake-terminal.ts';

const server = 'https://pass.example.com';
const env = { HALLPASS_URL: server, HALLPASS_TOKEN: 'fake-token' };

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | null;
  readonly handle?: string;
  readonly body: string | undefined;
}

async function run(args: readonly string[], answer: (asked: Asked) => Response, parts = {}) {
  const calls: Asked[] = [];
  const terminal = fakeTerminal({
    env,
    fetch: async (url, init) => {
      const handle = new Headers(init.headers).get('hallpass-lease');
      const asked = {
        ...(handle !== null && { handle }),
        method: init.method ?? 'GET',
        url,
        authorization: new Headers(init.headers).get('authorization'),
        body: init.body as string | undefined,
      };
      calls.push(asked);
      return answer(asked);
    },
    ...parts,
  });
  const code = await runCommand(args, terminal);
  return { code, calls, ...terminal.said };
}

const issued = {
  id: '01jd9m00000000000000000000',
  credential: 'orders-db',
  kind: 'postgres',
  data: { host: 'db.internal', port: 5432, username: 'hp_x', password: 'fake-password' },
  lease: { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, revocable: true, renewable: false },
  receipt: { log: 'pass.example.com/ledger', index: 41, record: '{}', proof: '' },
};

describe('what answers 200 to anything', () => {
  it.each([
    [['get', 'orders-db']],
    [['explain', 'orders-db']],
    [['issuances', 'list']],
    [['issuances', 'list', '--all', '--json']],
    [['issuances', 'show', issued.id]],
    [['lease', 'list']],
    [['lease', 'sweep']],
    [['lockdown', 'list']],
    [['lockdown', 'add', '--everything', '--reason', 'a drill']],
    [['lockdown', 'lift', issued.id]],
    [['ledger', 'erase', '--identity', 'ci:acme/shop', '--reason', 'asked']],
    [['ledger', 'roll']],
    [['rotate', 'orders-admin']],
  ])('and says nothing, or something else, did not do what was asked: %j', async (args) => {
    const answers = [
      () => new Response(null),
      () => new Response(null, { status: 204 }),
      () => Response.json({ status: 'ok' }),
      () => Response.json({ id: 1, items: null, logs: {}, version: 2, lease: '', erased: '1' }),
    ];
    for (const answer of answers) {
      const { code, out, err } = await run(args, answer);
      expect({ code, out, err }).toEqual({
        code: 69,
        out: '',
        err: `hallpass: ${server} gave no usable answer (not from Hallpass)\n`,
      });
    }
  });

  it('has nothing to say of a value that leaked, and revoked nothing of a lockdown', async () => {
    const input = async () => new TextEncoder().encode('a value');
    for (const args of [
      ['issuances', 'trace'],
      ['lockdown', 'revoke', issued.id],
    ]) {
      const { code, out, err } = await run(args, () => Response.json({ status: 'ok' }), { input });
      expect([code, out]).toEqual([69, '']);
      expect(err).toContain(`${server} gave no usable answer (not from Hallpass)\n`);
    }
  });

  it.each(['key', 'checkpoint'])('has no %s to be kept', async (what) => {
    for (const text of ['<html>sign in</html>', '{"status":"ok"}', '', '\n', '\ufffd'])
      for (const more of [[], ['--url', server]]) {
        const { code, out, err } = await run(['ledger', what, ...more], () => new Response(text));
        expect([code, out]).toEqual([69, '']);
        expect(err).toContain(`${server} gave no usable answer (no ${what})\n`);
      }
  });

  it('has revoked no lease', async () => {
    for (const lease of [issued.id, 'hpl_AQIDBA']) {
      const { code, err } = await run(['lease', 'revoke', lease], () => Response.json({}));
      expect([code, err]).toEqual([69, expect.stringContaining('gave no usable answer')]);
    }
  });
});

describe('a refusal that gives no hint', () => {
  it.each([
    ['audit: read', ['issuances', 'list']],
    ['audit: read', ['issuances', 'export']],
    ['lockdown: write', ['lockdown', 'lift', issued.id]],
    ['ledger: roll', ['ledger', 'roll']],
    ['audit: erase', ['ledger', 'erase', '--identity', 'ci:acme/shop', '--reason', 'asked']],
    ['leases: revoke', ['lease', 'sweep']],
  ])('says that a role with %s is needed: %j', async (role, args) => {
    const { code, err } = await run(args, () => Response.json({ code: 'denied' }, { status: 403 }));
    expect([code, err]).toEqual([77, `hallpass: 403 denied\n  this needs a role with ${role}\n`]);
  });

  it('says who may read a log that is not public', async () => {
    const answer = ({ authorization }: Asked) =>
      Response.json(
        { code: authorization === null ? 'token_missing' : 'denied' },
        { status: authorization === null ? 401 : 403 },
      );
    const { code, err } = await run(['ledger', 'checkpoint'], answer);
    expect([code, err]).toEqual([77, expect.stringContaining('a role with audit: read\n')]);
  });

  it('says where the reason is that a store failed for', async () => {
    const problem = { code: 'store_failed', detail: 'The store refused.', requestId: '01jd9m00000000000000000001' };
    const { code, err } = await run(['get', 'orders-db'], () => Response.json(problem, { status: 502 }));
    expect([code, err]).toEqual([
      69,
      'hallpass: 502 store_failed: The store refused. (request 01jd9m00000000000000000001)\n  why is in the server’s own log, under this request id\n',
    ]);
  });

  it('of an unknown lease says what an id looks like', async () => {
    const { code, err } = await run(['lease', 'revoke', 'xxx'], () =>
      Response.json({ code: 'not_found' }, { status: 404 }),
    );
    expect([code, err]).toEqual([1, expect.stringContaining('26 characters')]);
  });
});

describe('get', () => {
  it('asks the server with the token and the options, and prints the answer as JSON', async () => {
    const { code, out, calls } = await run(['get', 'orders-db', '--ttl', '10m', '--reason', 'test'], () =>
      Response.json(issued),
    );
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual(issued);
    expect(calls).toEqual([
      {
        method: 'POST',
        url: `${server}/v1/credentials/orders-db`,
        authorization: 'Bearer fake-token',
        body: '{"ttl":"10m","reason":"test"}',
      },
    ]);
  });

  it('keeps the secret off stderr, and everything else off stdout with --field', async () => {
    const { out, err } = await run(['get', 'orders-db', '--field', 'password'], () => Response.json(issued));
    expect(out).toBe('fake-password');
    expect(err).toContain('record 41');
    expect(err).not.toContain('fake-password');
  });

  it('ends a field with a newline on a terminal only', async () => {
    const { out } = await run(['get', 'orders-db', '--field', 'password'], () => Response.json(issued), {
      outIsTerminal: true,
    });
    expect(out).toBe('fake-password\n');
  });

  it('writes variables in each format', async () => {
    const get = async (format: string) =>
      (await run(['get', 'orders-db', '--format', format], () => Response.json(issued))).out;
    expect(await get('env')).toContain('ORDERS_DB_PASSWORD=fake-password\n');
    expect(await get('dotenv')).toContain("ORDERS_DB_PASSWORD='fake-password'\n");
    expect(await get('shell')).toContain("export ORDERS_DB_PASSWORD='fake-password'\n");
  });

  it('says which fields there are when the one asked for is not', async () => {
    const { code, out, err } = await run(['get', 'orders-db', '--field', 'nope'], () => Response.json(issued));
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('username');
    expect(err).not.toContain('fake-password');
  });

  it('prints the receipt with --field receipt, and any other member of the answer', async () => {
    const get = (field: string) => run(['get', 'orders-db', '--field', field], () => Response.json(issued));
    expect(JSON.parse((await get('receipt')).out)).toEqual(issued.receipt);
    expect((await get('id')).out).toBe(issued.id);
    const data = { receipt: 'of the till' };
    const own = await run(['get', 'x', '--field', 'receipt'], () => Response.json({ ...issued, data }));
    expect(own.out).toBe('of the till');
  });

  it.each(['10', '10 m', '29s', '0m', '-1m', ''])('refuses --ttl %j before it asks for anything', async (ttl) => {
    const { code, calls, err } = await run(['get', 'x', `--ttl=${ttl}`], () => Response.json(issued));
    expect({ code, calls }).toEqual({ code: 2, calls: [] });
    expect(err).toContain('--ttl 10m');
  });

  it('names explain after a denial, and after nothing else', async () => {
    const refused = (code: string, status: number) =>
      run(['get', 'orders-db'], () => Response.json({ code, hint: 'A hint.' }, { status }));
    const denied = await refused('denied', 403);
    expect(denied.code).toBe(77);
    expect(denied.err).toContain('A hint.\n  see: hallpass explain orders-db\n');
    expect((await refused('token_invalid', 401)).err).not.toContain('explain');
  });

  it('says with --verbose which server and token source were taken, and never the token', async () => {
    const { err } = await run(['get', 'orders-db', '--verbose'], () => Response.json(issued));
    expect(err).toContain(server);
    expect(err).toContain('HALLPASS_TOKEN');
    expect(err).not.toContain('fake-token');
  });

  it.each(['json', 'env'])('prints nothing in %s for an answer without a credential', async (format) => {
    const { code, out, err } = await run(['get', 'x', '--format', format], () => Response.json({}));
    expect({ code, out }).toEqual({ code: 69, out: '' });
    expect(err).toContain('gave no usable answer');
  });

  it('does not let a name leave its place in the path', async () => {
    const { calls } = await run(['get', '../leases/x?y'], () => Response.json(issued));
    expect(calls[0]?.url).toBe(`${server}/v1/credentials/..%2Fleases%2Fx%3Fy`);
  });
});

describe('exit codes', () => {
  it.each([
    [401, 77],
    [403, 77],
    [400, 1],
    [404, 1],
    [409, 1],
    [429, 1],
    [500, 69],
    [502, 69],
    [503, 69],
    [504, 69],
  ])('%d is %d, with the code and the request id on stderr', async (status, code) => {
    const problem = { code: 'some_code', detail: 'A detail.', requestId: 'req-1', hint: 'A hint.' };
    const ended = await run(['get', 'x'], () => Response.json(problem, { status }));
    expect({ code: ended.code, out: ended.out }).toEqual({ code, out: '' });
    for (const part of ['some_code', 'A detail.', 'req-1', 'A hint.']) expect(ended.err).toContain(part);
  });

  it('a server that cannot be reached is 69', async () => {
    const { code } = await run(['get', 'x'], () => {
      throw new TypeError('fetch failed');
    });
    expect(code).toBe(69);
  });

  it('a redirect is 69 and is not followed with the token', async () => {
    const { code, calls } = await run(
      ['get', 'x'],
      () => new Response(null, { status: 302, headers: { location: 'https://evil.example/' } }),
    );
    expect(code).toBe(69);
    expect(calls).toHaveLength(1);
  });

  it('200 with garbage is 69', async () => {
    expect((await run(['get', 'x'], () => new Response('<html>'))).code).toBe(69);
  });

  it('no server at all is 69, no token at all is 77', async () => {
    expect((await run(['get', 'x'], () => Response.json({}), { env: {} })).code).toBe(69);
    const unreachable = () => {
      throw new TypeError('fetch failed');
    };
    expect((await run(['get', 'x'], unreachable, { env: { HALLPASS_URL: 'http://127.0.0.1:1' } })).code).toBe(77);
  });

  it('revoke: 204 is 0, 202 is 75, and stdout stays empty', async () => {
    const id = issued.id;
    const done = await run(['lease', 'revoke', id], () => new Response(null, { status: 204 }));
    expect({ code: done.code, out: done.out }).toEqual({ code: 0, out: '' });
    // 204 is the answer for what cannot be revoked too.
    expect(done.err).toMatch(/^revocation recorded; .*lives on/);
    expect(done.calls[0]).toMatchObject({ method: 'DELETE', url: `${server}/v1/leases/${id}` });
    expect((await run(['lease', 'revoke', id], () => Response.json({}, { status: 202 }))).code).toBe(75);
  });

  it('revoke takes a handle too, shows no token with it, and puts it into no URL', async () => {
    const done = await run(['lease', 'revoke', 'hpl_Ab-_9'], () => new Response(null, { status: 204 }));
    expect({ code: done.code, out: done.out }).toEqual({ code: 0, out: '' });
    const asked = { method: 'DELETE', url: `${server}/v1/leases/self`, authorization: null, handle: 'hpl_Ab-_9' };
    expect(done.calls).toEqual([{ ...asked, body: undefined }]);
    expect((await run(['lease', 'revoke', 'hpl_A'], () => Response.json({}, { status: 202 }))).code).toBe(75);
    expect((await run(['lease', 'revoke', 'hpl_A'], () => Response.json({}, { status: 404 }))).code).toBe(1);
    const cut = await run(['lease', 'revoke', 'hpl_A \n'], () => Response.json({}));
    expect({ code: cut.code, calls: cut.calls }).toEqual({ code: 2, calls: [] });
    expect(cut.err).not.toContain('hpl_A');
  });

  it('explain: allow is 0, deny is 1', async () => {
    const allow = await run(['explain', 'x'], () => Response.json({ decision: 'allow', grant: 'g', nearest: [] }));
    expect({ code: allow.code, out: allow.out }).toEqual({ code: 0, out: 'allow by grant g\n' });
    const deny = await run(['explain', 'x'], () =>
      Response.json({ decision: 'deny', nearest: [{ grant: 'near', member: 'ref' }] }),
    );
    expect(deny.code).toBe(1);
    expect(deny.out).toContain('near');
    const nearest = [{ grant: 'near', member: 'ref', expected: 'refs/heads/main', actual: 'x\u001b[2J' }];
    const compared = await run(['explain', 'x'], () => Response.json({ decision: 'deny', nearest }));
    expect(compared.out).toContain('ref: wants "refs/heads/main", the token has "x');
    expect(compared.out).not.toContain('\u001b');
  });
});

describe('what a server says', () => {
  it('cannot control the terminal', async () => {
    const problem = { code: 'denied', detail: '\u001b[2J\u001b]0;owned\u0007gone' };
    const { err } = await run(['get', 'x'], () => Response.json(problem, { status: 403 }));
    expect(err).not.toContain('\u001b');
    const items = [
      { index: 1, record: { type: 'issuance', credential: '\u001b[31mred' }, disclosed: { name: 'a\nb' } },
    ];
    const { out } = await run(['issuances', 'list'], () => Response.json({ items }));
    expect(out).not.toContain('\u001b');
    expect(out.trimEnd().split('\n')).toHaveLength(2);
  });
});

describe('issuances list', () => {
  const items = [
    {
      log: 'l',
      index: 7,
      record: {
        type: 'issuance',
        id: issued.id,
        time: 't',
        credential: 'orders-db',
        grant: 'g',
        identity: { issuer: 'ci', who: 'w' },
      },
      disclosed: { name: 'ci:acme/shop@main' },
    },
    {
      log: 'l',
      index: 6,
      record: { type: 'denial', time: 't', reason: 'no_grant', credential: 'x', identity: { issuer: 'ci', who: 'w' } },
    },
  ];

  it('passes its filters on and shows who it was, or that it was erased', async () => {
    const { out, calls, err } = await run(['issuances', 'list', '--type', '*', '--limit', '2'], () =>
      Response.json({ items, next: 'more' }),
    );
    expect(calls[0]?.url).toBe(`${server}/v1/issuances?type=*&limit=2`);
    expect(out).toContain('ci:acme/shop@main');
    expect(out).toContain('ci (erased)');
    expect(out).toMatch(/REASON[\s\S]*denial +x +- +no_grant/);
    expect(err).toContain('--cursor more');
  });

  it('shortens the identity to what the terminal holds', async () => {
    const name = `ci:acme/${'shop-'.repeat(30)}`;
    const long = items.map((item) => ({ ...item, disclosed: { name } }));
    const list = async (parts: object) =>
      (await run(['issuances', 'list'], () => Response.json({ items: long }), parts)).out.split('\n');
    expect(Math.max(...(await list({ outColumns: 110 })).map((line) => line.length))).toBe(110);
    expect((await list({}))[1]).toContain(name);
  });

  it('--json prints the answer, ndjson one item a line', async () => {
    expect(JSON.parse((await run(['issuances', 'list', '--json'], () => Response.json({ items }))).out)).toEqual({
      items,
    });
    const { out } = await run(['issuances', 'list', '--format', 'ndjson'], () => Response.json({ items }));
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(items);
  });
});

describe('lease sweep', () => {
  const failed = [{ id: issued.id, credential: 'orders-db', reason: 'unreachable' }];
  const orphans = [{ credential: 'orders-db', issuance: issued.id, state: 'unknown', removed: false }];

  it('ends with 0 when nothing is left to be ended, and with 75 when something could not be', async () => {
    const clean = await run(['lease', 'sweep'], () =>
      Response.json({ undone: 3, failed: [], unrevoked: 0, orphans: [] }),
    );
    expect(clean).toMatchObject({ code: 0, out: '3 ended, 0 still to be ended\n' });
    expect(clean.calls).toMatchObject([
      { method: 'POST', url: `${server}/v1/leases/sweep`, body: '{"orphans":false}' },
    ]);
    const left = await run(['lease', 'sweep'], () => Response.json({ undone: 0, failed, unrevoked: 1, orphans }));
    expect(left.code).toBe(75);
    expect(left.out).toBe(`0 ended, 1 still to be ended
still there  ${issued.id}  orders-db  unreachable
orphan       ${issued.id}  orders-db  in no ledger
`);
  });

  it.each([
    ['target_changed', 'names another server than the lease was made at: put that address back'],
    ['credential_gone', 'put it back until its leases are ended'],
  ])('says of %s what ends it, once', async (reason, remedy) => {
    const kept = { ...failed[0], reason };
    const report = { undone: 0, failed: [kept, kept], unrevoked: 2, orphans: [] };
    const swept = await run(['lease', 'sweep'], () => Response.json(report));
    const listed = await run(['lease', 'list'], () => Response.json({ items: [{ ...kept, failed: { reason } }] }));
    for (const { err } of [swept, listed]) expect(err).toMatch(new RegExp(`^${reason}: .*${remedy}.*\n$`));
    expect((await run(['lease', 'sweep', '--json'], () => Response.json(report))).err).toBe('');
  });

  it('removes orphans only with --orphans; --json prints the report', async () => {
    const report = { undone: 0, failed: [], unrevoked: 0, orphans: [{ ...orphans[0], removed: true }] };
    const { code, out, calls } = await run(['lease', 'sweep', '--orphans', '--json'], () => Response.json(report));
    expect([code, JSON.parse(out), calls[0]?.body]).toEqual([0, report, '{"orphans":true}']);
  });

  it.each([
    [403, 77],
    [503, 69],
  ])('ends a %d with %d', async (status, code) => {
    expect((await run(['lease', 'sweep'], () => Response.json({}, { status }))).code).toBe(code);
  });
});

describe('lease list', () => {
  it('shows what is still to be ended, since when and why', async () => {
    const item = {
      id: issued.id,
      credential: 'orders-db',
      kind: 'postgres',
      account: 'hp_x',
      expiresAt: '2026-11-22T12:10:00Z',
      reason: 'requested',
      since: '2026-11-22T12:05:00.000Z',
      failed: { reason: 'unreachable', at: '2026-11-22T12:09:00Z', tries: 4 },
    };
    const { code, out, err, calls } = await run(['lease', 'list'], () => Response.json({ items: [item], next: '41' }));
    expect(calls[0]?.url).toBe(`${server}/v1/leases?state=unrevoked`);
    expect(out).toMatch(
      /ID +CREDENTIAL +ACCOUNT +REASON +SINCE +LAST ATTEMPT\n.* orders-db +hp_x +requested +\S+ +unreachable\n/,
    );
    expect([code, err]).toEqual([0, 'more: --cursor 41\n']);
    const narrow = await run(['lease', 'list'], () => Response.json({ items: [item] }), { outColumns: 80 });
    expect(Math.max(...narrow.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(narrow.out).toMatch(/^\S+\n +credential +orders-db\n(.*\n)* +last attempt +unreachable\n$/);
    await run(['lease', 'list', '--state', 'unrevoked', '--cursor', '41'], ({ url }) => {
      expect(url).toBe(`${server}/v1/leases?state=unrevoked&cursor=41`);
      return Response.json({ items: [] });
    });
  });
});

describe('issuances show', () => {
  it('tells the whole story in order, who and why in full', async () => {
    const common = { credential: 'orders-db', identity: { issuer: 'ci', who: 'w' } };
    const name = `ci:acme/${'shop-'.repeat(30)}`;
    const disclosed = { name, why: 'nightly export', address: '192.0.2.7' };
    const lease = { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, account: 'hp_x', revocable: true };
    const items = [
      { index: 9, record: { ...common, type: 'revocation', time: 't2', reason: 'asked', issuance: issued.id } },
      { index: 7, record: { ...common, type: 'intent', time: 't1', grant: 'g', lease }, disclosed },
    ];
    const { out } = await run(['issuances', 'show', issued.id], () => Response.json({ items }), { outColumns: 40 });
    expect(out).toBe(`7  t1  intent
  credential  orders-db
  grant       g
  lease       until 2026-11-22T12:10:00Z (600 s, revocable)
  account     hp_x
  identity    ${name}
  why         nightly export
  address     192.0.2.7

9  t2  revocation
  credential  orders-db
  reason      asked
  identity    ci (erased)
`);
  });
});

describe('ledger key', () => {
  const checkpoint = `pass.example.com/ledger\n41\n${'A'.repeat(43)}=\n\n— pass.example.com/ledger AAAA\n`;

  it('is asked for without a token', async () => {
    const { out, calls } = await run(['ledger', 'key', '--url', server], () => new Response('name+00000000+AQ==\n'));
    expect(out).toBe('name+00000000+AQ==\n');
    expect(calls[0]?.authorization).toBeNull();
  });

  it('checkpoint: a token is shown only when the log is not public', async () => {
    const answer = ({ authorization }: Asked) =>
      authorization === null ? Response.json({}, { status: 401 }) : new Response(checkpoint);
    const { out, calls } = await run(['ledger', 'checkpoint', '--url', server], answer);
    expect(out).toBe(checkpoint);
    expect(calls.map(({ authorization }) => authorization)).toEqual([null, 'Bearer fake-token']);
  });
});

describe('--timeout', () => {
  afterEach(() => {
    vi.useRealTimers();
  });
  const revoke = ['lockdown', 'revoke', '01jd9m00000000000000000000'];
  const slow = (args: readonly string[], seconds: number) => {
    vi.useFakeTimers();
    const answer = (url: string, { method }: { readonly method?: string }) => {
      const headers = { 'content-type': url.includes('format=ndjson') ? 'application/x-ndjson' : 'application/json' };
      const said =
        method === 'DELETE' ? new Response(null, { status: 204 }) : new Response('{"items":[]}\n', { headers });
      return new Promise<Response>((resolve) => {
        setTimeout(() => resolve(said), seconds * 1_000);
      });
    };
    const done = run(args, () => new Response(), { fetch: answer });
    return vi.advanceTimersByTimeAsync(seconds * 1_000).then(() => done);
  };

  it.each([
    ['lockdown revoke', revoke],
    ['an export', ['issuances', 'export']],
    ['a revocation by handle', ['lease', 'revoke', 'hpl_AQ']],
  ])('waits as long as it says for %s, and no longer than 20 s without it', async (_, args) => {
    expect((await slow([...args, '--timeout', '2m'], 110)).code).toBe(0);
    const { code, err } = await slow(args, 110);
    expect(code).toBe(69);
    for (const said of ['(timeout)', '--timeout 2m waits longer']) expect(err).toContain(said);
    expect((await slow([...args, '--timeout', '5s'], 6)).code).toBe(69);
  });

  it('refuses what is no duration, or more than an hour, before anything is sent', async () => {
    for (const time of ['20', '0s', '-5s', 'soon', '2h', '9d'])
      expect(await run([...revoke, '--timeout', time], () => Response.json({}))).toMatchObject({ code: 2, calls: [] });
  });
});
