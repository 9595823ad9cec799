import { describe, expect, it, vi } from 'vitest';
import type { Failure } from '../../../src/cli/failure.ts';
import { writerOf } from '../../../src/cli/issuances/formats.ts';
import { followIssuances } from '../../../src/cli/issuances/tail.ts';
import { runCommand } from '../../../src/cli/program.ts';
import { connect } from '../../../src/cli/server.ts';
import type { Terminal } from '../../../src/cli/terminal.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const server = 'https://pass.example.com';
const env = { HALLPASS_URL: server, HALLPASS_TOKEN: 'fake-token' };
const now = Date.UTC(2026, 10, 22, 12);

interface Asked {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly path: string;
  readonly body: string | undefined;
}

async function run(args: readonly string[], answer: (asked: Asked, call: number) => Response, parts = {}) {
  const calls: Asked[] = [];
  const terminal = fakeTerminal({
    env,
    now: () => now,
    fetch: async (url, init) => {
      const { pathname: path, searchParams: query } = new URL(url);
      const asked = { method: init.method ?? 'GET', path, query, body: init.body as string | undefined };
      calls.push(asked);
      return answer(asked, calls.length);
    },
    ...parts,
  });
  const code = await runCommand(['issuances', ...args], terminal);
  return { code, calls, ...terminal.said };
}

const item = (index: number, more: object = {}) => ({
  log: 'pass.example.com/ledger',
  index,
  record: {
    v: 1,
    type: 'issuance',
    id: `01jd9m000000000000000000${10 + index}`,
    time: `2026-11-22T12:00:${10 + index}.000Z`,
    writer: { name: server, instance: 'a', version: '0' },
    identity: { issuer: 'ci', who: 'w'.repeat(43) },
    credential: 'orders-db',
    kind: 'postgres',
    grant: 'checkout',
    ...more,
  },
  disclosure: Buffer.from('["c2FsdA",{"name":"ci:acme/shop@main"}]').toString('base64url'),
  disclosed: { name: 'ci:acme/shop@main' },
});

describe('issuances list', () => {
  it('sends every filter as it was given, and a time ago as an instant', async () => {
    const filters = {
      type: 'denial',
      identity: 'ci:acme/*',
      issuer: 'ci',
      credential: 'orders-db',
      kind: 'postgres',
      store: 'vault',
      grant: 'checkout',
      reason: 'no_grant',
      account: 'hp_x',
      token: 'd'.repeat(43),
      fingerprint: `hmac-sha256:${'f'.repeat(43)}`,
      trace: 'a'.repeat(32),
      to: '2026-11-22T11:30:00Z',
      limit: '5',
      cursor: 'abc',
    };
    const args = Object.entries(filters).flatMap(([name, value]) => [`--${name}`, value]);
    const { calls } = await run(['list', '--from', '2h', '--no-disclosures', ...args], () =>
      Response.json({ items: [] }),
    );
    expect(Object.fromEntries(calls[0]?.query ?? [])).toEqual({
      ...filters,
      from: '2026-11-22T10:00:00Z',
      disclosures: 'false',
    });
  });

  it('refuses a time that is none, before anything is asked', async () => {
    const { code, calls, err } = await run(['list', '--from', 'yesterday'], () => Response.json({ items: [] }));
    expect([code, calls]).toEqual([2, []]);
    expect(err).toContain('2026-11-22T12:00:00Z');
  });

  const pages = (_: Asked, call: number) =>
    Response.json(call === 3 ? { items: [item(1)] } : { items: [item(9 - call)], next: `page-${call}` });

  it('reads all pages with --all, each by the cursor of the one before', async () => {
    const { out, calls, err } = await run(['list', '--all', '--format', 'ndjson'], pages);
    expect(calls.map(({ query }) => query.get('cursor'))).toEqual([null, 'page-1', 'page-2']);
    expect(calls[0]?.query.get('limit')).toBe('1000');
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).index),
    ).toEqual([8, 7, 1]);
    expect(err).toBe('');
  });

  it.each([
    ['list --all', ['list', '--all'], () => Response.json({ items: [item(1)], next: 'again' })],
    [
      'export',
      ['export'],
      () => new Response('{}\n', { headers: { 'content-type': 'application/x-ndjson', 'hallpass-next': 'again' } }),
    ],
  ])('comes to an end where the server gives the same page for ever: %s', async (_, args, answer) => {
    const { code, calls, err } = await run(args, answer);
    expect([code, calls.length]).toEqual([69, 11]);
    expect(err).toContain('the same page again and again');
  });

  it('has one head above all pages of a table, and one document of all as JSON', async () => {
    const { out } = await run(['list', '--all'], pages);
    expect(out.match(/INDEX/g)).toHaveLength(1);
    expect(out.trimEnd().split('\n')).toHaveLength(4);
    const json = JSON.parse((await run(['list', '--all', '--json'], pages)).out);
    expect(json.items.map(({ index }: { index: number }) => index)).toEqual([8, 7, 1]);
    const none = await run(['list', '--all', '--json'], () => Response.json({ items: [] }));
    expect(JSON.parse(none.out)).toEqual({ items: [] });
  });

  it.each([140, 100, 80])(
    'is no wider than a terminal of %i columns, and has the id and the time whole',
    async (width) => {
      const { type, id } = item(0).record;
      const long = item(1, {
        type: 'revocation',
        issuance: id,
        grant: 'the-deployers-of-production',
        reason: 'expired',
      });
      const answer = () => Response.json({ items: [long, item(0, { credential: 'a-database-of-orders' })] });
      const { out } = await run(['list'], answer, { outIsTerminal: true, outColumns: width });
      const lines = out.trimEnd().split('\n');
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(lines[2]).toMatch(new RegExp(`2026-11-22T12:00:10(.000)?Z  ${type} .*${id}$`));
      expect(lines[0]?.startsWith('INDEX')).toBe(width > 80);
      expect((await run(['list'], answer)).out).toContain('the-deployers-of-production');
    },
  );

  it('names the log of each index where it is not the first of its ledger', async () => {
    const of = (suffix: string) => ({ ...item(3), log: `pass.example.com/ledger${suffix}` });
    const { out } = await run(['list'], () => Response.json({ items: ['', '~2', '/1', '/1~2'].map(of) }));
    const indices = out.split('\n').map((line) => line.split(' ')[0]);
    expect(indices.slice(1, 5)).toEqual(['3', '~2:3', '/1:3', '/1~2:3']);
  });

  it.each([
    ['--token', 'e30.e30.c2ln', 'with the token on stdin: hallpass issuances trace'],
    ['--token', 'short', 'the digest is 43 characters'],
    ['--limit', 'abc', 'such as --limit 20'],
  ])('refuses %s %s before anything is sent', async (option, value, hint) => {
    const { code, calls, err } = await run(['list', option, value], () => Response.json({ items: [] }));
    expect([code, calls]).toEqual([2, []]);
    expect(err).toContain(hint);
    if (option === '--token') expect(err).not.toContain(value);
  });

  it('says what of the ledger was not looked through, and with --all ends with 1 once it has written the rest', async () => {
    const first = { items: [item(1)], next: 'abc', indexed: { x: 9 }, missing: 5 };
    const answer = ({ query }: Asked) => Response.json(query.has('cursor') ? { items: [item(0)] } : first);
    const page = await run(['list'], answer);
    expect([page.code, page.err]).toEqual([0, expect.stringContaining('this is not all: 5 of the ledger')]);
    const all = await run(['list', '--all', '--format', 'ndjson'], answer);
    expect([all.code, all.out.trim().split('\n').length]).toEqual([1, 2]);
    expect(all.err).toContain('this is not all: 5 of the ledger');
    const traced = await run(['trace'], () => Response.json({ items: [], missing: 5 }), {
      input: async () => new TextEncoder().encode('leaked-fake-value'),
    });
    expect([traced.code, traced.err]).toEqual([1, expect.stringMatching(/^this is not all: 5 .*\nnothing matches\n$/)]);
  });

  it('says that nothing matches, once the last page has told so', async () => {
    const { out, err } = await run(['list', '--all'], (_, call) =>
      Response.json(call === 1 ? { items: [], next: 'x' } : { items: [] }),
    );
    expect([out.startsWith('INDEX'), err]).toEqual([true, 'nothing matches\n']);
    expect((await run(['list'], () => Response.json({ items: [item(1)] }))).err).toBe('');
  });

  it('shows one issuance in each format that a list has', async () => {
    const show = async (format: string) =>
      (await run(['show', 'x', '--format', format], () => Response.json({ items: [item(1)] }))).out;
    expect((await show('csv')).split('\r\n').map((line) => line.slice(0, 3))).toEqual(['log', expect.any(String), '']);
    expect(JSON.parse(await show('ocsf'))).toMatchObject({ class_uid: 6003 });
    expect(JSON.parse(await show('ndjson'))).toEqual(item(1));
  });

  it('shows what an id looks like where there is none such', async () => {
    const { code, err } = await run(['show', 'nope'], () => Response.json({ code: 'not_found' }, { status: 404 }));
    expect(code).toBe(1);
    expect(err).toContain('404 not_found\n  an id of 26 characters, as `hallpass issuances list` shows it');
  });

  it('writes CSV and OCSF', async () => {
    const csv = (await run(['list', '--format', 'csv'], () => Response.json({ items: [item(1), item(0)] }))).out;
    const [head, first] = csv.split('\r\n');
    expect(head?.startsWith('log,index,time,type,id')).toBe(true);
    expect(first).toContain('ci:acme/shop@main');
    const evil = item(1, { credential: '=HYPERLINK("https://evil.test")' });
    const { out } = await run(['list', '--format', 'csv'], () => Response.json({ items: [evil] }));
    expect(out).toContain(`"'=HYPERLINK(""https://evil.test"")"`);
    const ocsf = await run(['list', '--format', 'ocsf'], () => Response.json({ items: [item(1)] }));
    expect(JSON.parse(ocsf.out)).toMatchObject({ class_uid: 6003 });
  });

  it.each(['table', 'json', 'ndjson', 'ocsf'])(
    'lets nothing that was disclosed drive the terminal, as %s',
    async (format) => {
      const disclosed = { name: 'ci:acme/shop@main', why: 'a\u202eb', claims: { workflow: '\u009b31m\u007f\u2066' } };
      const disclosure = Buffer.from(JSON.stringify(['c2FsdA', disclosed])).toString('base64url');
      const answer = () => Response.json({ items: [{ ...item(1), disclosure, disclosed }] });
      const { out } = await run(['list', '--format', format], answer);
      const story = (await run(['show', 'x', '--format', format], answer)).out;
      for (const text of [out, story]) expect(text.replaceAll('\n', '')).toMatch(/^[ -~]+$/);
      if (format === 'json') expect(JSON.parse(out).items[0].disclosed).toEqual(disclosed);
    },
  );

  it('calls nobody erased who was only left out', async () => {
    const { disclosure: _, disclosed: __, ...bare } = item(1);
    const list = async (...more: string[]) =>
      (await run(['list', ...more], () => Response.json({ items: [bare] }))).out;
    expect(await list()).toContain('ci (erased)');
    expect(await list('--no-disclosures')).not.toContain('erased');
  });
});

describe('issuances export', () => {
  const asLines = { 'content-type': 'application/x-ndjson' };
  const asCsv = { 'content-type': 'text/csv; charset=utf-8' };
  const stream = (parts: readonly string[], headers = {}) =>
    new Response(
      new ReadableStream({
        start(controller) {
          for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
          controller.close();
        },
      }),
      { headers: { ...asLines, ...headers } },
    );

  it('writes what comes as it comes', async () => {
    const { out, calls, code } = await run(['export', '--format', 'csv', '--kind', 'secret'], () =>
      stream(['a,', 'b\r\n', '1,2\r\n'], asCsv),
    );
    expect([code, out]).toEqual([0, 'a,b\r\n1,2\r\n']);
    expect(Object.fromEntries(calls[0]?.query ?? [])).toEqual({ kind: 'secret', format: 'csv' });
  });

  it('takes no more from the server than is read of it', async () => {
    let given = 0;
    const endless = () =>
      new Response(
        new ReadableStream(
          {
            pull(controller) {
              if (++given > 20) controller.close();
              else controller.enqueue(new TextEncoder().encode('{}\n'));
            },
          },
          { highWaterMark: 0 },
        ),
        { headers: asLines },
      );
    let read = () => {};
    const first = new Promise<void>((taken) => {
      read = taken;
    });
    let parts = 0;
    const ended = run(['export'], endless, { outTaken: () => (++parts === 3 ? first : Promise.resolve()) });
    await vi.waitFor(() => expect(parts).toBe(3));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(given).toBe(3);
    read();
    expect((await ended).out).toBe('{}\n'.repeat(20));
  });

  it('goes on where one answer does not hold all', async () => {
    const { out, calls } = await run(['export'], (_, call) =>
      stream([`${call}\n`], call < 3 ? { 'hallpass-next': `c${call}` } : {}),
    );
    expect(out).toBe('1\n2\n3\n');
    expect(calls.map(({ query }) => query.get('cursor'))).toEqual([null, 'c1', 'c2']);
  });

  it('ends at its limit where one answer does not hold so many', async () => {
    const answer = () => new Response('{}\n'.repeat(1000), { headers: { ...asLines, 'hallpass-next': 'more' } });
    const { code, calls } = await run(['export', '--limit', '2500'], answer);
    expect([code, calls.map(({ query }) => query.get('limit'))]).toEqual([0, ['2500', '1500', '500']]);
  });

  it('goes on to its limit where an answer holds few, or none', async () => {
    const csv = (call: number) =>
      `${call === 1 ? 'log,why\r\n' : ''}${call === 2 ? '' : `l,"two\r\nlines"\r\nl,""\r\n`}`;
    const ndjson = (call: number) => (call === 2 ? '' : '{}\n{}\n');
    for (const [format, text] of Object.entries({ csv, ndjson })) {
      const type = format === 'csv' ? asCsv : asLines;
      const answer = (_: unknown, call: number) => stream([text(call)], { ...type, 'hallpass-next': 'more' });
      const { code, calls } = await run(['export', '--format', format, '--limit', '5'], answer);
      expect([code, calls.map(({ query }) => query.get('limit'))]).toEqual([0, ['5', '3', '3', '1']]);
    }
  });

  it('comes to an end where the server gives the same page for ever, and nothing on it', async () => {
    const nothing = () => stream([], { 'hallpass-next': 'again' });
    const { code, calls, err } = await run(['export', '--limit', '5'], (_, call) =>
      call > 50 ? stream([]) : nothing(),
    );
    expect([code, calls.length]).toEqual([69, 11]);
    expect(err).toContain('the same page again and again');
  });

  it.each([
    ['a line that is cut', `${JSON.stringify(item(2))}\n${JSON.stringify(item(1)).slice(0, 50)}`, 'cut'],
    ['a line that is no JSON', `${JSON.stringify(item(2))}\n<html>\n`, 'not JSON'],
    ['a line that is no record', 'null\n', 'not JSON'],
  ])('of %s makes no whole document', async (_, text, why) => {
    for (const format of ['json', 'table']) {
      const { code, err } = await run(['export', '--format', format], () => stream([text]));
      expect([code, err]).toEqual([69, `hallpass: ${server} gave no usable answer (${why})\n`]);
    }
  });

  it('says that it is not all, after all that there is, and fails', async () => {
    const answer = (_: unknown, call: number) =>
      stream([`${call}\n`], call === 1 ? { 'hallpass-next': 'more', 'hallpass-missing': '12' } : {});
    const { code, out, err } = await run(['export'], answer);
    expect([code, out]).toEqual([1, '1\n2\n']);
    expect(err).toContain("12 of the ledger's newest entries are in its index not yet");
  });

  it('makes one JSON document of lines, wherever they are cut', async () => {
    const lines = [item(2), item(1)].map((one) => `${JSON.stringify(one)}\n`).join('');
    const cut = [lines.slice(0, 10), lines.slice(10, 700), lines.slice(700)];
    expect(JSON.parse((await run(['export', '--format', 'json'], () => stream(cut))).out)).toEqual({
      items: [item(2), item(1)],
    });
    expect(JSON.parse((await run(['export', '--format', 'json'], () => stream([]))).out)).toEqual({ items: [] });
  });

  it('makes one table of lines, with one head', async () => {
    const lines = [item(2), item(1)].map((one) => `${JSON.stringify(one)}\n`);
    const { out, calls } = await run(['export', '--format', 'table'], (_, call) =>
      stream(lines.slice(call - 1, call), call < 2 ? { 'hallpass-next': 'more' } : {}),
    );
    expect(out.split('\n').map((line) => line.split(' ')[0])).toEqual(['INDEX', '2', '1', '']);
    expect(calls[0]?.query.get('format')).toBe('ndjson');
  });

  it.each<[string, () => Response]>([
    ['a page to sign in at', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['JSON', () => Response.json({ items: [] })],
    ['another format', () => stream(['a,b\r\n'], asCsv)],
    ['nothing', () => new Response(null, { status: 204 })],
  ])('writes nothing of what is no export, such as %s', async (_, answer) => {
    const { code, out, err } = await run(['export'], answer);
    expect([code, out]).toEqual([69, '']);
    expect(err).toContain('gave no usable answer');
  });

  it('fails where the answer was cut, and where it was refused', async () => {
    const broken = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.error(new Error('cut'));
          },
        }),
        { headers: asLines },
      );
    expect((await run(['export'], broken)).code).toBe(69);
    const refused = await run(['export'], () => Response.json({ code: 'denied', detail: 'No.' }, { status: 403 }));
    expect([refused.code, refused.err]).toEqual([77, expect.stringContaining('403 denied: No.')]);
    expect((await run(['export', '--format', 'xml'], broken)).code).toBe(2);
  });
});

describe('issuances tail', () => {
  it('prints the oldest first, goes on with what is newer, and ends when told', async () => {
    let stop = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const answer = (_: Asked, call: number) => {
      // In the pause that follows.
      if (call === 2) setTimeout(stop, 500);
      return Response.json(
        call === 1 ? { items: [item(3), item(2)], newer: 'n1', next: 'x' } : { items: [item(5), item(4)], newer: 'n2' },
      );
    };
    const { code, calls, out } = await run(['tail', '--type', '*', '--format', 'ndjson'], answer, {
      stopped: () => stopped,
    });
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).index),
    ).toEqual([2, 3, 4, 5]);
    expect(calls.map(({ query }) => Object.fromEntries(query))).toEqual([
      { type: '*', limit: '10' },
      { type: '*', cursor: 'n1' },
    ]);
  });

  it('waits for no answer once it is told to end', async () => {
    let stop = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    let given: AbortSignal | null | undefined;
    const parts = {
      stopped: () => stopped,
      fetch: (_: string, { signal }: RequestInit) => {
        given = signal;
        stop();
        return new Promise<Response>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
      },
    };
    const { code, out, err } = await run(['tail'], () => Response.json({}), parts);
    expect([code, out, err]).toEqual([0, '', '']);
    expect(given?.aborted).toBe(true);
  });

  it('looks for a new token once when its own has ended', async () => {
    let stop = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const { code, calls } = await run(
      ['tail'],
      (_, call) => {
        if (call === 1) return Response.json({ code: 'token_invalid' }, { status: 401 });
        setTimeout(stop, 100);
        return Response.json({ items: [], newer: 'n' });
      },
      { stopped: () => stopped },
    );
    expect([code, calls.length]).toEqual([0, 2]);
    const refused = await run(['tail'], () => Response.json({ code: 'denied' }, { status: 403 }));
    expect([refused.code, refused.calls.length]).toEqual([77, 2]);
  });
});

describe('issuances tail of a server that goes away', () => {
  const follow = async (answers: readonly (Response | Error)[], unanswered = 3) => {
    let stop = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const asked: (string | null)[] = [];
    const terminal = fakeTerminal({
      env,
      stopped: () => stopped,
      fetch: async (url) => {
        asked.push(new URL(url).searchParams.get('cursor'));
        const answer = answers[asked.length - 1];
        if (answer instanceof Error) throw answer;
        if (answer !== undefined) return answer;
        stop();
        return new Promise(() => {});
      },
    });
    const open = (parts: Partial<Terminal>) => connect({}, { ...terminal, ...parts });
    const write = writerOf('ndjson', undefined);
    const query = new URLSearchParams({ limit: '10' });
    const ended = followIssuances(open, query, write, terminal, { pollMs: 1, unanswered }).catch((error) => error);
    return { error: (await ended) as Failure | undefined, asked, ...terminal.said };
  };
  const page = (index: number, newer: string) => Response.json({ items: [item(index)], newer });
  const away = () => new TypeError('fetch failed');
  const failing = () => Response.json({ code: 'ledger_unavailable' }, { status: 503 });

  it('goes on where it was when it is there again', async () => {
    const answers = [page(1, 'n1'), away(), failing(), page(2, 'n2'), away(), away(), away(), page(3, 'n3')];
    const { error, asked, out, err } = await follow(answers);
    expect(error).toBeUndefined();
    expect(asked).toEqual([null, 'n1', 'n1', 'n1', 'n2', 'n2', 'n2', 'n2', 'n3']);
    expect([...out.matchAll(/"index":(\d)/g)].map(([, index]) => index)).toEqual(['1', '2', '3']);
    expect(err.match(/asking on/g)).toHaveLength(2);
  });

  it('says that the ledger has fewer entries than it showed, and goes on', async () => {
    const cut = Response.json({ items: [item(1)], newer: 'n2', cut: { 'ledger.example/log': 1 } });
    const { error, asked, out, err } = await follow([page(4, 'n1'), away(), cut, page(2, 'n3')]);
    expect([error, asked]).toEqual([undefined, [null, 'n1', 'n1', 'n2', 'n3']]);
    expect([...out.matchAll(/"index":(\d)/g)].map(([, index]) => index)).toEqual(['4', '1', '2']);
    expect(err).toContain('ledger.example/log has fewer entries than were shown, as a ledger that was restored');
  });

  it('ends with 69 where it stays away, or was not there at first', async () => {
    const gone = await follow([page(1, 'n1'), away(), away(), away(), away(), away(), away()]);
    expect([gone.error?.code, gone.asked.length]).toEqual([69, 5]);
    const never = await follow([away(), page(1, 'n1')]);
    expect([never.error?.code, never.asked.length]).toEqual([69, 1]);
  });
});

describe('issuances trace', () => {
  const input = (text: string) => ({ input: async () => new TextEncoder().encode(text) });

  it('sends what comes by stdin, and says what it was matched as', async () => {
    const { code, calls, out, err } = await run(
      ['trace'],
      () => Response.json({ items: [item(1)], matched: 'fingerprint' }),
      input('leaked-fake-value\n'),
    );
    expect(code).toBe(0);
    expect(calls).toMatchObject([{ method: 'POST', path: '/v1/trace', body: '{"value":"leaked-fake-value\\n"}' }]);
    expect(out).toContain('orders-db');
    expect(err).toBe('matched as fingerprint\n');
    // What is traced is looked for to be ended, shown, or asked about: by its id.
    expect(out).toMatch(/^ {2}issuance {2,}[0-9a-z]{26}$/m);
    expect(out + err).not.toContain('leaked-fake-value');
  });

  it('says of what matched too that there is more, and what could not be compared', async () => {
    const body = { items: [item(1)], matched: 'fingerprint', more: true, notComparable: 3 };
    const { code, err } = await run(['trace'], () => Response.json(body), input('x'));
    expect(code).toBe(0);
    expect(err).toContain('matched as fingerprint; these are the newest, there are more; 3 records carry');
  });

  it('says of a miss that not all was looked through that might be it', async () => {
    const { code, err } = await run(['trace'], () => Response.json({ items: [], more: true }), input('4711'));
    expect([code, err]).toEqual([
      1,
      'nothing matches; there are records that might be it and were not looked through\n',
    ]);
  });

  it('ends with 1 when nothing matches, and says what could not be compared', async () => {
    const { code, err } = await run(['trace'], () => Response.json({ items: [], notComparable: 3 }), input('x'));
    expect(code).toBe(1);
    expect(err).toContain('nothing matches; 3 records');
  });

  it('takes no argument, as that would be in the history of a shell', async () => {
    const { code, calls } = await run(['trace', 'leaked'], () => Response.json({ items: [] }));
    expect([code, calls]).toEqual([2, []]);
    expect((await run(['trace'], () => Response.json({ items: [] }), input(' \n'))).code).toBe(2);
  });
});
