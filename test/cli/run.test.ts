import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { fakeTerminal } from './fake-terminal.ts';
import { build, run as runBuilt, start } from './hallpass.ts';

const server = 'https://pass.example.com';
const env = { HALLPASS_URL: server, HALLPASS_TOKEN: 'fake-token', KEPT: 'yes' };

const answers: Readonly<Record<string, object>> = {
  'orders-db': { host: 'db.internal', port: 5432, username: 'hp_x', password: 'fake-password', url: 'postgres://hp_x' },
  'stripe-key': { value: 'fake-value', version: '1' },
  'my.key': { value: '{"id":"fake-id"}', fields: { id: 'fake-id', quota: 5 }, version: '1' },
  keys: { accessKeyId: 'fake-id', secretAccessKey: 'fake-secret' },
  nul: { value: 'a\0b' },
};

type Answer = (method: string, path: string, headers: Headers, body: { names?: string[] }) => Response | undefined;

interface World {
  readonly answer?: Answer;
  readonly handles?: boolean;
  /** The exit code of CMD, or what happens while it runs. */
  readonly command?: (signal: (name: NodeJS.Signals) => void) => number | Promise<number>;
  /** Sent while the credentials are asked for. */
  readonly early?: NodeJS.Signals;
  readonly inIsTerminal?: boolean;
}

/** One `hallpass run` of which the server and the command are fakes. */
async function run(args: readonly string[], world: World = {}) {
  const calls: string[] = [];
  const shown: (string | null)[] = [];
  const started: { words: readonly string[]; env: Readonly<Record<string, string | undefined>> }[] = [];
  const killed: string[] = [];
  let signal = (_: NodeJS.Signals): void => {};
  const terminal = fakeTerminal({
    env,
    inIsTerminal: world.inIsTerminal ?? false,
    fetch: async (url, init) => {
      const { method = 'GET' } = init;
      const path = url.slice(server.length);
      const headers = new Headers(init.headers);
      const body = init.body === undefined ? {} : JSON.parse(String(init.body));
      calls.push(`${method} ${path}${body.names === undefined ? '' : ` ${body.names.join(' ')}`}`);
      shown.push(headers.get('hallpass-lease') ?? headers.get('authorization'));
      if (world.early !== undefined) signal(world.early);
      const given = world.answer?.(method, path, headers, body);
      if (given !== undefined) return given;
      if (method === 'DELETE') return new Response(null, { status: 204 });
      return Response.json({
        credentials: (body.names as string[]).map((name) => issued(name, world.handles ?? true)),
      });
    },
    hearSignals: (hear) => {
      signal = hear;
      return () => {
        signal = () => {};
      };
    },
    start: (words, given) => {
      started.push({ words, env: given });
      const ended = Promise.resolve((world.command ?? (() => 0))((name) => signal(name)));
      return { kill: (name) => void killed.push(name), ended };
    },
  });
  const code = await runCommand(['run', ...args], terminal);
  return { code, calls, shown, started, killed, added: withoutEnv(started[0]?.env), ...terminal.said };
}

const issued = (credential: string, handle: boolean) => ({
  id: `id-of-${credential}`,
  credential,
  data: answers[credential],
  lease: { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, ...(handle && { handle: `hpl_${credential}` }) },
});

const withoutEnv = (given: object = {}) => Object.fromEntries(Object.entries(given).filter(([name]) => !(name in env)));

describe('run', () => {
  it('asks for all of them in one call, each once, and starts the command with them and what was there', async () => {
    const args = ['--with', 'stripe-key', '--with', 'orders-db.username', '--with', 'orders-db.password=PGPASSWORD'];
    const { code, calls, started, added, out, err } = await run([...args, '--', 'cmd', '--ttl', 'x']);
    expect({ code, out, err }).toEqual({ code: 0, out: '', err: '' });
    expect(calls[0]).toBe('POST /v1/credentials stripe-key orders-db');
    expect(started[0]?.words).toEqual(['cmd', '--ttl', 'x']);
    expect(started[0]?.env).toMatchObject(env);
    expect(added).toEqual({
      STRIPE_KEY_VALUE: 'fake-value',
      STRIPE_KEY_VERSION: '1',
      ORDERS_DB_USERNAME: 'hp_x',
      PGPASSWORD: 'fake-password',
    });
  });

  it('revokes every lease when the command has ended, by its handle and without a token', async () => {
    const { calls, shown } = await run(['--with', 'stripe-key', '--with', 'orders-db', '--', 'cmd']);
    expect(calls.slice(1).sort()).toEqual(['DELETE /v1/leases/id-of-orders-db', 'DELETE /v1/leases/id-of-stripe-key']);
    expect(shown.slice(1).sort()).toEqual(['hpl_orders-db', 'hpl_stripe-key']);
  });

  it('revokes with a token where there is no handle', async () => {
    const { shown } = await run(['--with', 'stripe-key', '--', 'cmd'], { handles: false });
    expect(shown).toEqual(['Bearer fake-token', 'Bearer fake-token']);
  });

  it('ends as the command does, whatever becomes of the leases', async () => {
    const down: Answer = (method) => (method === 'DELETE' ? new Response(null, { status: 503 }) : undefined);
    const { code, err } = await run(['--with', 'stripe-key', '--', 'cmd'], { command: () => 42, answer: down });
    expect(code).toBe(42);
    expect(err).toBe('hallpass: lease id-of-stripe-key is not revoked (503); it ends 2026-11-22T12:10:00Z\n');
    const late: Answer = (method) => (method === 'DELETE' ? new Response(null, { status: 202 }) : undefined);
    const recorded = await run(['--with', 'stripe-key', '--', 'cmd'], { answer: late });
    expect(recorded.code).toBe(0);
    expect(recorded.err).toContain('not yet done at the target');
  });

  it.each([
    [403, 77],
    [401, 77],
    [503, 69],
    [404, 1],
  ])('a refusal with %d is exit code %d, and the command is not started', async (status, code) => {
    const answer: Answer = () => Response.json({ code: 'some_code' }, { status });
    const ended = await run(['--with', 'a', '--with', 'b', '--', 'cmd'], { answer });
    expect(ended.code).toBe(code);
    expect(ended.started).toEqual([]);
  });

  it('revokes what it got when it cannot be put into an environment, and does not start the command', async () => {
    const bad = [
      [['--with', 'nul'], 1],
      [['--with', 'orders-db.nope'], 1],
      [['--with', 'keys=KEY'], 2],
      [['--with', 'orders-db.host=X', '--with', 'stripe-key=X'], 2],
    ] as const;
    for (const [args, code] of bad) {
      const ended = await run([...args, '--', 'cmd']);
      expect({ code: ended.code, started: ended.started }, args.join(' ')).toEqual({ code, started: [] });
      expect(ended.calls.filter((call) => call.startsWith('DELETE')).length, args.join(' ')).toBeGreaterThan(0);
      expect(ended.err).not.toMatch(/fake-(?:value|secret|password)/);
    }
  });

  it('revokes what it got when the answer lacks one of them, or the command cannot be started', async () => {
    const answer: Answer = (method) =>
      method === 'POST' ? Response.json({ credentials: [issued('stripe-key', true)] }) : undefined;
    const lacking = await run(['--with', 'stripe-key', '--with', 'orders-db', '--', 'cmd'], { answer });
    expect({ code: lacking.code, started: lacking.started }).toEqual({ code: 69, started: [] });
    expect(lacking.calls.at(-1)).toBe('DELETE /v1/leases/id-of-stripe-key');
    const absent = await run(['--with', 'stripe-key', '--', 'cmd'], { command: () => Promise.reject(new Error('no')) });
    expect(absent.code).toBe(1);
    expect(absent.calls.at(-1)).toBe('DELETE /v1/leases/id-of-stripe-key');
  });
});

describe('--with', () => {
  it.each([
    ['stripe-key=KEY', { KEY: 'fake-value' }],
    ['orders-db=DATABASE_URL', { DATABASE_URL: 'postgres://hp_x' }],
    ['orders-db.port', { ORDERS_DB_PORT: '5432' }],
    ['my.key.id=ID', { ID: 'fake-id' }],
    ['my.key.quota', { MY_KEY_QUOTA: '5' }],
    ['my.key.*', { MY_KEY_ID: 'fake-id', MY_KEY_QUOTA: '5', MY_KEY_VALUE: '{"id":"fake-id"}', MY_KEY_VERSION: '1' }],
    ['keys.accessKeyId=AWS_ACCESS_KEY_ID', { AWS_ACCESS_KEY_ID: 'fake-id' }],
    ['stripe-key.id=ISSUANCE', { ISSUANCE: 'id-of-stripe-key' }],
  ])('%s', async (text, expected) => {
    expect((await run(['--with', text, '--', 'cmd'])).added).toEqual(expected);
  });

  it.each(['', '=X', 'a=', 'a=1X', 'a=X=Y', 'a=X Y', 'a=X\n', '.a', 'a/b', '../a'])(
    '%j is wrong usage, and nothing is asked for',
    async (text) => {
      const { code, calls } = await run(['--with', text, '--', 'cmd']);
      expect({ code, calls }).toEqual({ code: 2, calls: [] });
    },
  );

  it('has to be there, as has the command', async () => {
    for (const args of [
      ['--', 'cmd'],
      ['--with', 'a'],
      ['--with', 'a', '--ttl', '5', '--', 'cmd'],
    ]) {
      const { code, calls } = await run(args);
      expect({ code, calls }, args.join(' ')).toEqual({ code: 2, calls: [] });
    }
  });
});

describe('signals', () => {
  it('go to the command, and the leases are revoked when it has ended by them', async () => {
    const { code, killed, calls } = await run(['--with', 'stripe-key', '--', 'cmd'], {
      command: async (signal) => {
        await Promise.resolve();
        signal('SIGTERM');
        signal('SIGHUP');
        return 143;
      },
    });
    expect({ code, killed }).toEqual({ code: 143, killed: ['SIGTERM', 'SIGHUP'] });
    expect(calls).toContain('DELETE /v1/leases/id-of-stripe-key');
  });

  it('of a terminal are not sent twice: it sends Ctrl-C to the command itself', async () => {
    const { killed } = await run(['--with', 'stripe-key', '--', 'cmd'], {
      inIsTerminal: true,
      command: async (signal) => {
        await Promise.resolve();
        signal('SIGINT');
        signal('SIGTERM');
        return 130;
      },
    });
    expect(killed).toEqual(['SIGTERM']);
  });

  it('of a window that changes its size go to the command, and keep none from starting', async () => {
    const { killed } = await run(['--with', 'stripe-key', '--', 'cmd'], {
      command: async (signal) => {
        await Promise.resolve();
        signal('SIGWINCH');
        return 0;
      },
    });
    expect(killed).toEqual(['SIGWINCH']);
    const { code, started } = await run(['--with', 'stripe-key', '--', 'cmd'], { early: 'SIGWINCH' });
    expect({ code, started: started.length }).toEqual({ code: 0, started: 1 });
  });

  it('that come while the credentials are asked for keep the command from starting, and leave no lease', async () => {
    const { code, started, calls } = await run(['--with', 'stripe-key', '--', 'cmd'], { early: 'SIGTERM' });
    expect({ code, started }).toEqual({ code: 143, started: [] });
    expect(calls).toContain('DELETE /v1/leases/id-of-stripe-key');
  });
});

describe('run, built and against a running server', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-run-'));
  let dev: ReturnType<typeof start>;
  let revoked = 0;

  const node = (script: string) => ['--', process.execPath, '-e', script];
  const withSecret = ['run', '--with', 'demo-secret.value=API_KEY'];
  const revocations = async () => {
    const { out } = await runBuilt(['issuances', 'list', '--type', 'revocation', '--json'], { cwd: folder });
    return JSON.parse(out).items.length as number;
  };

  beforeAll(async () => {
    await build();
    dev = start(['dev', '--port', '0'], { cwd: folder });
    await dev.until('until Ctrl-C');
  });
  afterAll(async () => {
    dev.child.kill('SIGTERM');
    await dev.ended;
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives the command its streams and its credential, and its exit code back', async () => {
    const script =
      "process.stdin.on('data', (text) => process.stdout.write(process.env.API_KEY.length + ':' + text)).on('end', () => process.exit(9))";
    const { code, out, err } = await runBuilt([...withSecret, ...node(script)], { cwd: folder, input: 'typed' });
    expect({ code, err }).toEqual({ code: 9, err: '' });
    expect(out).toMatch(/^[1-9]\d*:typed$/);
    expect(await revocations()).toBe(++revoked);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGUSR2', 'SIGALRM'] as const)(
    'passes %s on and counts it as a shell does',
    async (signal) => {
      const running = start([...withSecret, ...node("console.log('up'); setInterval(() => {}, 1000)")], {
        cwd: folder,
      });
      await running.until('up');
      running.child.kill(signal);
      const { code } = await running.ended;
      const expected = { SIGTERM: 143, SIGINT: 130, SIGUSR2: 140, SIGALRM: 142 };
      expect(code).toBe(expected[signal]);
      expect(await revocations()).toBe(++revoked);
    },
  );

  it('lets a command that takes a signal end as it likes', async () => {
    const script = "process.on('SIGTERM', () => process.exit(5)); console.log('up'); setInterval(() => {}, 1000)";
    const running = start([...withSecret, ...node(script)], { cwd: folder });
    await running.until('up');
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(5);
    revoked++;
  });

  it('is 127 for a command that is not there, 126 for one that may not be run, and revokes', async () => {
    const file = join(folder, 'no-program');
    writeFileSync(file, 'text');
    const codes = [];
    for (const name of ['no-such-command', file])
      codes.push((await runBuilt([...withSecret, '--', name], { cwd: folder })).code);
    expect(codes).toEqual([127, 126]);
    revoked += 2;
    expect(await revocations()).toBe(revoked);
  });

  it('is 77 before the command starts when one of several is refused', async () => {
    const marker = join(folder, 'started');
    const args = [
      'run',
      '--with',
      'demo-secret',
      '--with',
      'no-such',
      ...node(`require('fs').writeFileSync('${marker}','')`),
    ];
    const { code, err } = await runBuilt(args, { cwd: folder });
    expect(code).toBe(77);
    expect(err).toContain('denied');
    expect(() => execFileSync('test', ['-e', marker])).toThrow();
  });
});
