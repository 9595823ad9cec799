import { describe, expect, it } from 'vitest';
import { runCommand } from '../../../src/cli/program.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const server = 'https://pass.example.com';
const id = '01jd9m00000000000000000000';

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: Record<string, unknown>;
}

async function run(args: readonly string[], answer: (asked: Asked) => Response, parts = {}) {
  const calls: Asked[] = [];
  const terminal = fakeTerminal({
    env: { HALLPASS_URL: server, HALLPASS_TOKEN: 'fake-token' },
    fetch: async (url, init) => {
      const asked = {
        method: init.method ?? 'GET',
        path: url.slice(server.length),
        body: init.body === undefined ? {} : JSON.parse(String(init.body)),
      };
      calls.push(asked);
      return answer(asked);
    },
    ...parts,
  });
  const code = await runCommand(['lockdown', ...args], terminal);
  return { code, calls, ...terminal.said };
}

const count = { issued: 3, alive: 2, revocable: 1, livesUntil: '2026-11-22T12:10:00Z' };
const blastRadius = {
  since: '2026-11-21T12:00:00Z',
  complete: true,
  ...count,
  unknown: 1,
  credentials: [{ credential: 'orders-db', kind: 'postgres', ...count }],
  identities: [
    { issuer: 'ci', identity: 'ci:acme/shop@main', ...count },
    { issuer: 'ci', ...count },
  ],
  identitiesTotal: 7,
};
const locked = {
  lockdown: { id, state: 'in_force', match: { issuer: 'ci' }, reason: 'a drill', at: '2026-11-22T12:00:00.000Z' },
  log: 'pass.example.com/ledger',
  index: 41,
  epoch: 3,
  receipt: {},
  blastRadius,
};
const item = (outcome: string, n = 0) => ({
  id: `01jd9m0000000000000000000${n}`,
  credential: 'orders-db',
  kind: 'postgres',
  account: 'hp_x',
  expiresAt: '2026-11-22T12:10:00Z',
  outcome,
});
const drill = ['add', '--issuer', 'ci', '--reason', 'a drill'];

it('holds only where the answer has it, and a dry run only where it says what would be hit', async () => {
  for (const more of [[], ['--dry-run']]) {
    const { code, out, err } = await run(['add', '--everything', '--reason', 'a drill', ...more], () =>
      Response.json({}),
    );
    expect([code, out]).toEqual([69, '']);
    expect(err).toContain('gave no usable answer');
  }
});

describe('lockdown add', () => {
  it('asks for what was named, and prints where it stands and the blast radius', async () => {
    const { code, out, calls } = await run(
      [...drill, '--identity', 'ci:acme/*', '--for', '2h', '--since', '7d', '--force'],
      () => Response.json(locked, { status: 201 }),
    );
    expect(code).toBe(0);
    expect(calls).toEqual([
      {
        method: 'POST',
        path: '/v1/lockdowns',
        body: {
          match: { issuer: 'ci', identity: 'ci:acme/*' },
          reason: 'a drill',
          for: '2h',
          since: '7d',
          force: true,
        },
      },
    ]);
    for (const said of [
      'locked down: issuer ci, until it is lifted',
      `id ${id}, index 41, epoch 3`,
      '3 issued, 2 alive, 1 of them revocable, the others live until 2026-11-22T12:10:00Z at the latest',
      '1 more may match',
      'orders-db   postgres  3       2      1          2026-11-22T12:10:00Z',
      'ci (erased)',
      'and 5 identities more',
    ])
      expect(out).toContain(said);
  });

  it.each([
    [['add', '--reason', 'x'], 'nothing is named'],
    [['add', '--issuer', 'ci'], '--reason'],
    [['add', '--issue', 'ci', '--reason', 'x'], '--issue'],
  ])('refuses %j before it asks for anything', async (args, said) => {
    const { code, calls, err } = await run(args, () => Response.json(locked));
    expect({ code, calls }).toEqual({ code: 2, calls: [] });
    expect(err).toContain(said);
  });

  it('shows warnings, and no control characters of the server’s', async () => {
    const { err, out } = await run(drill, () =>
      Response.json({
        ...locked,
        lockdown: { ...locked.lockdown, match: { issuer: 'a\u001b[31m' } },
        warnings: ['mind\u0007'],
      }),
    );
    expect(err).toBe('warning: mind?\n');
    expect(out).not.toContain('\u001b');
  });

  it('is refused with 77, and says which hint the server gave', async () => {
    const { code, err } = await run(drill, () => Response.json({ code: 'denied', hint: 'A hint.' }, { status: 403 }));
    expect(code).toBe(77);
    expect(err).toContain('A hint.');
  });

  it('with --revoke asks until nothing is left, and tells of each lease', async () => {
    let part = 0;
    const { code, out, err, calls } = await run([...drill, '--revoke'], ({ path }) => {
      if (path === '/v1/lockdowns') return Response.json(locked, { status: 201 });
      part++;
      return Response.json(
        part === 1 ? { items: [item('done'), item('lives_on', 1)], next: '0.7' } : { items: [item('done', 2)] },
      );
    });
    expect(code).toBe(0);
    expect(calls.slice(1)).toEqual([
      { method: 'POST', path: `/v1/lockdowns/${id}/revoke`, body: {} },
      { method: 'POST', path: `/v1/lockdowns/${id}/revoke`, body: { cursor: '0.7' } },
    ]);
    expect(out).toContain('cannot be revoked, lives until 2026-11-22T12:10:00Z');
    expect(err).toBe('2 revoked; 1 cannot be revoked\n');
  });

  it('says of what lies in a store that it stays good, and of nothing else', async () => {
    const items = [item('lives_on'), { ...item('lives_on', 1), stored: true }];
    const { out } = await run([...drill, '--revoke'], ({ path }) =>
      path === '/v1/lockdowns' ? Response.json(locked) : Response.json({ items }),
    );
    expect(out).toContain('cannot be revoked, lives until 2026-11-22T12:10:00Z\n');
    expect(out).toContain('cannot be revoked, stays good until it is rotated\n');
  });

  it.each([
    ['recorded', 'what is recorded is tried until it is gone: `hallpass lease list`'],
    ['failed', 'what failed is tried when you run it again: `hallpass lockdown revoke ID`'],
  ])('ends with 75 when something is %s, and says who goes on', async (outcome, goesOn) => {
    const { code, err } = await run([...drill, '--revoke'], ({ path }) =>
      path === '/v1/lockdowns' ? Response.json(locked) : Response.json({ items: [item('done'), item(outcome, 1)] }),
    );
    expect(code).toBe(75);
    expect(err).toMatch(new RegExp(`\n${goesOn}\n$`));
  });

  it('says that more may have been issued where there was no time for all, and since when the count is whole if it is', async () => {
    const told = async (more: object) => {
      const radius = { ...blastRadius, complete: false, ...more };
      return (await run(drill, () => Response.json({ ...locked, blastRadius: radius }))).out;
    };
    expect(await told({})).toContain('more was issued than is counted here, or may have been\n');
    expect(await told({ from: '2026-11-22T11:00:00.000Z' })).toContain('was issued since 2026-11-22T11:00:00.000Z');
  });

  it('with --json prints one document, the leases in it', async () => {
    const { out } = await run([...drill, '--revoke', '--json'], ({ path }) =>
      path === '/v1/lockdowns' ? Response.json(locked) : Response.json({ items: [item('done')] }),
    );
    expect(JSON.parse(out)).toEqual({ ...locked, revoked: { items: [item('done')] } });
  });

  it('with --json tells of the lockdown, and of what was revoked by then, where the server then fails', async () => {
    let part = 0;
    const { code, out, err } = await run([...drill, '--revoke', '--json'], ({ path }) => {
      if (path === '/v1/lockdowns') return Response.json(locked, { status: 201 });
      if (part++ === 0) return Response.json({ items: [item('done')], next: '0.7' });
      return Response.json({ code: 'ledger_unavailable' }, { status: 503 });
    });
    expect(code).toBe(69);
    expect(JSON.parse(out)).toEqual({ ...locked, revoked: { items: [item('done')], next: '0.7' } });
    expect(err).toContain(`hallpass lockdown revoke ${id}`);
  });

  it('says how to go on where the server fails while it revokes', async () => {
    const { code, out, err } = await run([...drill, '--revoke'], ({ path }) =>
      path === '/v1/lockdowns' ? Response.json(locked) : Response.json({ code: 'denied' }, { status: 403 }),
    );
    expect([code, out.includes(`id ${id}`)]).toEqual([77, true]);
    expect(err).toContain(`hallpass lockdown revoke ${id}`);
  });

  it('says what may be done, and how to go on, where no answer came', async () => {
    const silent = () => {
      throw new TypeError('fetch failed');
    };
    const added = await run([...drill, '--revoke'], silent);
    expect([added.code, added.out]).toEqual([69, '']);
    expect(added.err).toContain('`hallpass lockdown list` shows whether it holds, and `hallpass lockdown revoke ID`');
    const dry = await run([...drill, '--dry-run'], silent);
    expect([dry.code, dry.err.includes('shows whether it holds')]).toEqual([69, false]);
    const { code, err } = await run([...drill, '--revoke'], ({ path }) =>
      path === '/v1/lockdowns' ? Response.json(locked) : silent(),
    );
    expect([code, err.includes(`; later: hallpass lockdown revoke ${id}`)]).toEqual([69, true]);
  });

  it('gives up on a server that gets no further, and says how to go on', async () => {
    const { code, err } = await run([...drill, '--revoke'], ({ path }) =>
      path === '/v1/lockdowns' ? Response.json(locked) : Response.json({ items: [], next: '0' }),
    );
    expect(code).toBe(69);
    expect(err.split(`hallpass lockdown revoke ${id}`)).toHaveLength(2);
  });

  it('at a terminal only tells what everything and --revoke would do, until --yes', async () => {
    const atTerminal = { inIsTerminal: true, errIsTerminal: true };
    const everything = ['add', '--everything', '--reason', 'a drill'];
    const answer = ({ body }: Asked) =>
      Response.json(body.dryRun === true ? { dryRun: true, blastRadius } : { ...locked, items: [] });
    const told = await run(everything, answer, atTerminal);
    expect(told.code).toBe(2);
    expect(told.calls).toMatchObject([{ body: { everything: true, dryRun: true } }]);
    expect(told.err).toContain('--yes');
    const done = await run([...everything, '--yes'], answer, atTerminal);
    expect([done.code, done.calls[0]?.body]).toEqual([0, { everything: true, reason: 'a drill' }]);
    expect((await run(everything, answer)).calls[0]?.body).not.toHaveProperty('dryRun');
    const json = await run([...everything, '--json'], answer, atTerminal);
    expect([json.code, JSON.parse(json.out)]).toEqual([2, { dryRun: true, blastRadius }]);
  });
});

it.each([
  ['--for', '1x', 'such as 30m'],
  ['--since', 'yesterday', 'such as 30m'],
  ['--until', 'yesterday', 'such as 2026-11-22T12:00:00Z'],
])('refuses %s %s before anything is sent', async (option, value, hint) => {
  const { code, calls, err } = await run(['add', '--everything', '--reason', 'r', option, value], () =>
    Response.json({}),
  );
  expect([code, calls]).toEqual([2, []]);
  expect(err).toContain(`${option} "${value}" is no `);
  expect(err).toContain(hint);
});

it('says where ids are to be had to who lifts or revokes none such, and that no lockdown is in force', async () => {
  const none = () => Response.json({ code: 'not_found' }, { status: 404 });
  for (const command of ['lift', 'revoke']) {
    const { code, err } = await run([command, 'nope'], none);
    expect([code, err]).toEqual([1, expect.stringContaining('`hallpass lockdown list` shows the ids')]);
  }
  const empty = await run(['list'], () => Response.json({ items: [] }));
  expect([empty.code, empty.err]).toEqual([0, 'no lockdown is in force\n']);
});

it('lockdown list prints a line for each, or the answer as it is', async () => {
  const body = { items: [{ ...locked.lockdown, by: 'ci:ops' }, { id, state: 'lifted', match: {} }, { id }] };
  const { out, calls } = await run(['list', '--all'], () => Response.json(body));
  expect(calls[0]?.path).toBe('/v1/lockdowns?all=true');
  expect(out).toContain('issuer ci');
  expect(out).toContain('lifted    everything');
  expect(out).toContain('everything (what it named is erased)');
  expect(JSON.parse((await run(['list', '--json'], () => Response.json(body))).out)).toEqual(body);
});

it.each([140, 100, 80, 40])(
  'lockdown list is no wider than a terminal of %i columns, and tells all of it',
  async (width) => {
    const reason = `${'the runner was compromised and is being rebuilt, '.repeat(3)}so there`;
    const lockdown = { ...locked.lockdown, until: '2026-11-22T14:00:00Z', by: 'shop:the-operators-on-call', reason };
    const { out } = await run(['list'], () => Response.json({ items: [lockdown, locked.lockdown] }), {
      outColumns: width,
    });
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width);
    const words = out.replace(/\s+/g, ' ');
    for (const told of [id, 'in_force', 'issuer ci', lockdown.at, lockdown.until, lockdown.by, reason])
      expect(words).toContain(told);
    expect(out.split('\n').filter((line) => line.startsWith(id))).toHaveLength(2);
  },
);

it.each([200, 80, 40])(
  'what becomes of leases is told no wider than a terminal of %i columns, and all of it',
  async (outColumns) => {
    const identity = 'ci:acme/shop@main';
    const items = [
      { ...item('lives_on'), identity, stored: true },
      { ...item('failed', 1), identity, reason: 'busy' },
    ];
    const { out } = await run(['revoke', id], () => Response.json({ items }), { outColumns });
    const lines = out.trimEnd().split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(outColumns);
    const words = out.replace(/\s+/g, ' ');
    for (const { id: lease } of items) expect(words).toContain(lease);
    for (const told of [identity, 'hp_x', 'cannot be revoked, stays good until it is rotated', 'failed (busy)'])
      expect(words).toContain(told);
    // On no terminal, and where they fit, a line each.
    const wide = (await run(['revoke', id], () => Response.json({ items }))).out;
    expect(wide.trimEnd().split('\n')).toHaveLength(2);
    if (outColumns === 200) expect(out).toBe(wide);
  },
);

it('lockdown list warns of names that the server does not have, as those stop nothing there', async () => {
  const items = [{ ...locked.lockdown, unknown: ['issuer', 'role'] }, locked.lockdown];
  const { code, err } = await run(['list'], () => Response.json({ items }));
  expect(code).toBe(0);
  expect(err).toBe(`warning: ${id} stops nothing at this server, which has no such issuer, role\n`);
});

it('lockdown list is a table where the terminal holds it', async () => {
  const list = async (outColumns?: number) =>
    (await run(['list'], () => Response.json({ items: [locked.lockdown] }), { outColumns })).out;
  const table = await list();
  const width = Math.max(...table.split('\n').map((line) => line.length));
  expect(await list(width)).toBe(table);
  expect(await list(width - 1)).not.toContain('STOPS');
});

it('lockdown add --dry-run shortens a name, and nothing else, to what the terminal holds', async () => {
  const identity = `ci:acme/${'shop-'.repeat(30)}`;
  const radius = { ...blastRadius, identities: [{ issuer: 'ci', identity, ...count }] };
  const answer = () => Response.json({ blastRadius: radius });
  const { out } = await run(['add', '--issuer', 'ci', '--reason', 'x', '--dry-run'], answer, { outColumns: 80 });
  const lines = out.split('\n').filter((line) => line.includes(count.livesUntil) && !line.startsWith('since'));
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
});

it('lockdown lift says at which index, or that it was lifted before', async () => {
  const lift = (body: object) => run(['lift', id, '--reason', 'over'], () => Response.json(body));
  const lifted = await lift({ lockdown: locked.lockdown, index: 42, epoch: 4, receipt: {} });
  expect(lifted.calls).toEqual([{ method: 'DELETE', path: `/v1/lockdowns/${id}`, body: { reason: 'over' } }]);
  expect(lifted.out).toBe('lifted at index 42, epoch 4\n');
  expect((await lift({ lockdown: locked.lockdown })).out).toBe('it was lifted before\n');
});

it('lockdown revoke goes on where an earlier run ended', async () => {
  const { code, err, calls } = await run(['revoke', id, '--since', '2d'], () => Response.json({ items: [] }));
  expect([code, err, calls[0]?.body]).toEqual([0, 'nothing was alive\n', { since: '2d' }]);
});
